"""A real SMTP server in a thread, which can be told to misbehave.

It listens on a free port of the loopback address. ``received`` holds what it answered with 250, in
order; ``taken`` also what it took in and then dropped; ``clear`` every byte that came unencrypted.
"""

import asyncio
import contextlib
import datetime
import ipaddress
import socket
import ssl
from email import message_from_bytes, policy

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def make_certificate(folder, *, name):
    """A self-signed certificate for a host name or IP address; returns the path of key and all."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    try:
        alternative = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class _Session(SMTP):
    """One connection: notes what comes in the clear, and breaks STARTTLS on demand."""

    def __init__(self, mail_server, **options):
        self.mail_server = mail_server
        super().__init__(mail_server, **options)

    def connection_made(self, transport):
        if self._tls_protocol is None:
            self.mail_server.connections += 1
        super().connection_made(transport)

    def data_received(self, data):
        if self._tls_protocol is None:
            self.mail_server.clear += data
        super().data_received(data)

    async def smtp_STARTTLS(self, arg):  # noqa: N802 - aiosmtpd finds commands by this name
        if self.mail_server.starttls == "refused":
            await self.push("454 TLS not available")
        elif self.mail_server.starttls == "broken":
            await self.push("220 Ready to start TLS")
            await self.push("this is not a handshake")
        else:
            await super().smtp_STARTTLS(arg)


class MailServer:
    """Set its attributes at any time; stop() refuses connections until start() is called again."""

    def __init__(self, certificate=None, *, tls="starttls", login=None):
        self.port = _free_port()
        self.certificate = certificate  # encrypts when set,
        self.tls = tls  # after STARTTLS or from the start ("implicit")
        self.login = login  # (user name, password): takes no mail without them
        self.logins = 0
        self.starttls = "works"  # or "refused", "broken"
        self.rcpt_replies = {}  # address → reply to RCPT, such as "550 No such user"
        self.data_replies = []  # replies to the next DATAs, before it is friendly again
        self.drops = 0  # how many of the next messages it takes in without a reply
        self.delay = 0  # seconds before it answers DATA
        self.received = []
        self.taken = []
        self.clear = b""
        self.connections = 0
        self._controller = None

    def _context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        return context

    def _new_session(self):
        options = {}
        if self.certificate and self.tls == "starttls":
            options["tls_context"] = self._context()
        if self.login:
            starts_in_clear = not self.certificate or self.tls == "implicit"
            options |= {
                "authenticator": self._knows,
                "auth_required": True,
                "auth_require_tls": not starts_in_clear,
            }
        return _Session(self, hostname="mail.example", **options)

    def _knows(self, _server, _session, _envelope, _mechanism, data):
        known = (data.login.decode(), data.password.decode()) == self.login
        self.logins += known
        return AuthResult(success=known)

    def start(self):
        context = self._context() if self.certificate and self.tls == "implicit" else None
        self._controller = Controller(
            self, hostname="127.0.0.1", port=self.port, ssl_context=context
        )
        self._controller.factory = self._new_session
        self._controller.start()
        self.connections = 0  # the controller made one to see whether it answers
        return self

    def stop(self):
        if self._controller:
            self._controller.stop(no_assert=True)
            self._controller = None

    __enter__ = start

    def __exit__(self, *_error):
        self.stop()

    def use(self, settings, **more):
        """Point Django's SMTP back end here."""
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST = "127.0.0.1"
        settings.EMAIL_PORT = self.port
        settings.EMAIL_TIMEOUT = 5
        for name, value in more.items():
            setattr(settings, name, value)
        return self

    def addresses(self):
        """Whom it has mail for, one entry a message."""
        return [
            address for message in self.received for address in message["X-Envelope-To"].split()
        ]

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        reply = self.rcpt_replies.get(address)
        if reply:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        message = message_from_bytes(envelope.content, policy=policy.default)
        message["X-Envelope-To"] = " ".join(envelope.rcpt_tos)
        message.raw = envelope.content
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.data_replies:
            return self.data_replies.pop(0)
        self.taken.append(message)
        if self.drops:
            self.drops -= 1
            with contextlib.suppress(OSError):
                server.transport.abort()
            return "421 Gone"
        self.received.append(message)
        return "250 OK"
