"""A public site, set up by what stands in docs/running.md: its settings file, its service, its commands.

Paths, ports and addresses of other machines are replaced by those of a test, and nothing else.
"""

import http.client
import os
import pty
import re
import select
import shlex
import socket
import ssl
import sys
from urllib.parse import urlsplit

from django.conf import settings

from tests.mail_server import make_certificate
from tests.server import ROOT, Server, Visitor
from tests.tls_proxy import TLSProxy

DOCUMENT = (settings.BASE_DIR / "docs/running.md").read_text()
NAME, ADDRESS, PASSWORD = "owner", "owner@harbor.org", "first of all words"


def block(words):
    """The one block of code in which these words stand."""
    [found] = [
        code for code in re.findall(r"```\w+\n(.*?)```", DOCUMENT, re.DOTALL) if words in code
    ]
    return found


def in_a_terminal(command, answers):
    """Run a command of the shell as a person does; type each answer when its question is asked."""
    process, terminal = pty.fork()
    if not process:
        os.execve("/bin/sh", ["sh", "-c", command], {"PATH": os.defpath})
    shown, waiting = "", list(answers)
    while select.select([terminal], [], [], 60)[0]:
        try:
            shown += os.read(terminal, 1000).decode()
        except OSError:  # it ended
            break
        if waiting and shown.rstrip().endswith(waiting[0][0]):
            os.write(terminal, f"{waiting.pop(0)[1]}\n".encode())
    os.close(terminal)
    assert (os.waitpid(process, 0)[1], waiting) == (0, []), shown
    return shown


class TLSConnection(http.client.HTTPSConnection):
    """To the site by its name, wherever the proxy is."""

    def __init__(self, site):
        context = ssl.create_default_context(cafile=site.certificate)
        super().__init__(site.host, timeout=60, context=context)
        self.proxy_port, self.trust = site.proxy.port, context

    def connect(self):
        there = socket.create_connection(("127.0.0.1", self.proxy_port), self.timeout)
        self.sock = self.trust.wrap_socket(there, server_hostname=self.host)


class PublicVisitor(Visitor):
    """Comes by https, through the proxy."""

    def __init__(self, site):
        super().__init__(site.port)
        self.site = site

    def connection(self):
        return TLSConnection(self.site)

    def send(self, method, path, body=None, headers=None, *, stay=True):
        origin = {"Origin": f"https://{self.site.host}"} if method == "POST" else {}
        return super().send(method, path, body, origin | (headers or {}), stay=stay)


class PublicSite(Server):
    """``more`` are further settings of the file, or others in the place of documented ones."""

    def __init__(self, folder, *, env=None, **more):
        documented = dict(line.split("=", 1) for line in block("SITE_URL=").splitlines())
        written = {name: "".join(shlex.split(value)) for name, value in documented.items()}
        written |= {"VAR_DIR": str(folder)} | more
        super().__init__(folder, env=written | (env or {}))
        del self.env["ABUSE_LIMITS"]
        self.host = urlsplit(written["SITE_URL"]).hostname
        self.certificate = make_certificate(self.folder, name=self.host)
        self.file = self.folder / "clinic.env"
        self.file.write_text("".join(f'{name}="{value}"\n' for name, value in written.items()))
        self.proxy = TLSProxy(self.port, self.certificate)

    def command(self):
        """The service's own."""
        [documented] = re.findall(r"^ExecStart=(.+)$", block("ExecStart="), re.MULTILINE)
        command = documented.replace("/srv/clinic/.venv/bin/python", sys.executable)
        return shlex.split(command.replace("8000", str(self.port)))

    def start(self, **options):
        self.reuse_static()
        self.proxy.start()
        return super().start(**options)

    def wait(self, seconds=120):
        """The first start makes the tables."""
        super().wait(seconds)

    def visitor(self):
        return PublicVisitor(self)

    def typed(self, command, *answers):
        """A command as it is documented for the first account, typed in a terminal."""
        line = block("manage.py createsuperuser").strip().replace("createsuperuser", command)
        line = line.removeprefix("sudo -u clinic ").replace("/etc/clinic.env", str(self.file))
        line = line.replace("/srv/clinic", str(ROOT)).replace(".venv/bin/python", sys.executable)
        return in_a_terminal(line, answers)

    def first_account(self):
        return self.typed(
            "createsuperuser",
            ("Username:", NAME),
            ("Email address:", ADDRESS),
            ("Password:", PASSWORD),
            ("Password (again):", PASSWORD),
        )

    def close(self):
        self.proxy.stop()
        super().close()
