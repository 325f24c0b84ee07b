"""docs/running.md, executed: each form of address it names, and the first hour of a public site.

The forms are read from the document, so one that is added there is tried here. PostgreSQL is
Debian's, with TLS; the mail server is a real one, with and without TLS and login.
"""

import re
import time
from contextlib import contextmanager
from urllib.parse import quote

import pytest
from allauth.mfa.totp.internal import auth as totp
from django.conf import settings

from tests.debian_postgres import PASSWORD, USER, DebianPostgres
from tests.mail_server import MailServer, make_certificate
from tests.server import Server, Visitor

DOCUMENT = (settings.BASE_DIR / "docs/running.md").read_text()
LOGIN = ("clinic@harbor.org", "mail/pa@s:s")
HOST = "clinic.test"
FIRST, SECOND, THIRD = "first of all words", "the second of words", "a third to end with"


def documented(variable):
    """The addresses in a variable's row of the table, queries that are told apart put on."""
    [row] = re.findall(rf"^\| `{variable}` \|.*$", DOCUMENT, re.MULTILINE)
    found = re.findall(r"`([^`]+)`", row.split("|", 3)[3])
    addresses = [word for word in found if "://" in word]
    return addresses + [addresses[0] + word for word in found if word.startswith("?")]


def escaped(secret):
    """As the document says to write it."""
    return quote(secret, safe="")


# --- databases ------------------------------------------------------------------------------------

SAYS = """
from django.db import connection as c
cursor = c.cursor()
if c.vendor == "postgresql":
    cursor.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    print("tls" if cursor.fetchone()[0] else "clear", "socket" if c.settings_dict["HOST"][0] == "/" else "tcp")
else:
    cursor.execute("SELECT 1")
    print(c.vendor, c.settings_dict["NAME"])
"""


@pytest.fixture(scope="module")
def postgres():
    made = DebianPostgres()
    try:
        yield made
    finally:
        made.close()


def on(postgres, address, folder):
    """The documented address with the names of this server and this folder in the place of its own."""
    address = address.replace("user:password@", f"{USER}:{escaped(PASSWORD)}@")
    address = address.replace("user@/", f"{USER}@/").replace("/path/to", str(folder))
    address = address.replace("@host:5432/", f"@127.0.0.1:{postgres.port}/")
    address = re.sub(r"/name\b", "/clinic", address)
    return address.replace("/run/postgresql", f"{postgres.folder}&port={postgres.port}")


@pytest.fixture(scope="module")
def said(postgres, tmp_path_factory):
    """What a start on each documented form of DATABASE_URL says, by the form."""
    folder = tmp_path_factory.mktemp("databases")
    forms = documented("DATABASE_URL")
    return {
        form: Server(folder, env={"DATABASE_URL": on(postgres, form, folder)}).python(SAYS).strip()
        for form in forms
    }


@pytest.mark.only_on("postgresql")
def test_each_documented_database_is_reached(said):
    connections = sorted(words.split(" /")[0] for words in said.values())
    assert len(said) == 4
    # With TLS wherever the server has it, also without being asked to.
    assert connections == ["clear socket", "sqlite", "tls tcp", "tls tcp"]
    assert any("sslmode=require" in form for form in said)


@pytest.mark.only_on("postgresql")
def test_a_server_without_tls_is_refused_where_tls_is_required(postgres, tmp_path):
    postgres.sql("ALTER SYSTEM SET ssl = off")
    postgres.sql("SELECT pg_reload_conf()")
    [form] = [form for form in documented("DATABASE_URL") if "sslmode=require" in form]
    try:
        time.sleep(0.5)
        server = Server(tmp_path, env={"DATABASE_URL": on(postgres, form, tmp_path)})
        with pytest.raises(AssertionError, match="does not support SSL") as refused:
            server.python(SAYS)
        assert PASSWORD not in str(refused.value)
    finally:
        postgres.sql("ALTER SYSTEM SET ssl = on")
        postgres.sql("SELECT pg_reload_conf()")
        time.sleep(0.5)


# --- mail servers ---------------------------------------------------------------------------------


def to(server, address):
    """The documented address with the name of this server and of its user in it."""
    address = address.replace("user:password@", f"{escaped(LOGIN[0])}:{escaped(LOGIN[1])}@")
    address = address.replace("mail.example:465", "mail.example")
    return re.sub(r"mail\.example|127\.0\.0\.1:25", f"127.0.0.1:{server.port}", address)


@contextmanager
def mail_server(kind, tmp_path):
    certificate = make_certificate(tmp_path, name="127.0.0.1") if kind else None
    with MailServer(certificate, tls=kind or "", login=LOGIN if kind else None) as server:
        yield server, {"SSL_CERT_FILE": str(certificate)} if kind else {}


KINDS = {"submission://": "starttls", ":465/?ssl=True": "implicit", "smtp://127.0.0.1:25": None}
SEND = """
from django.core.mail import EmailMessage
EmailMessage("Hello", "text", "clinic@harbor.org", ["pat@harbor.org"]).send()
"""


@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize("address", documented("EMAIL_URL"))
def test_each_documented_mail_server_takes_mail(tmp_path, address):
    [kind] = [kind for part, kind in KINDS.items() if part in address]
    with mail_server(kind, tmp_path) as (server, environment):
        site = Server(tmp_path, env=environment | {"EMAIL_URL": to(server, address)})
        site.python(SEND)
        assert server.addresses() == ["pat@harbor.org"]
        assert server.logins == bool(kind)
        if kind == "starttls":
            assert b"AUTH" not in server.clear
            assert b"pat@harbor.org" not in server.clear


@pytest.mark.only_on("sqlite")
def test_a_certificate_that_nobody_vouches_for_gets_no_login(tmp_path):
    with mail_server("starttls", tmp_path) as (server, _environment):
        site = Server(tmp_path, env={"EMAIL_URL": to(server, documented("EMAIL_URL")[0])})
        with pytest.raises(AssertionError, match="CERTIFICATE_VERIFY_FAILED"):
            site.python(SEND)
        assert server.logins == 0
        assert server.received == []


# --- the first hour -------------------------------------------------------------------------------


class BehindProxy(Visitor):
    """A browser whose requests arrive as the documented proxies send them."""

    def send(self, method, path, body=None, headers=None, *, stay=True):
        passed_on = {
            "Host": HOST,
            "X-Forwarded-Proto": "https",
            "X-Forwarded-For": "203.0.113.7",
            "Origin": f"https://{HOST}",
        }
        return super().send(method, path, body, passed_on | (headers or {}), stay=stay)

    def sign_in(self, password):
        self.get("/account/login/")
        return self.post("/account/login/", {"login": "owner", "password": password})


def code_for(secret):
    counter = next(iter(totp.yield_hotp_counters_from_time()))
    return totp.format_hotp_value(totp.hotp_value(secret, counter))


def open_the_admin(browser, code):
    """With the second factor, where it is asked for again."""
    answer = browser.get("/admin/")
    if answer.status == 302:
        browser.get(answer.location)
        browser.post(answer.location, {"code": code})
    assert browser.get("/admin/").status == 200


def newest(server, words):
    """The newest mail whose subject has these words."""
    [*_earlier, mail] = [mail for mail in server.received if words in mail["Subject"]]
    return mail


@pytest.fixture
def site(postgres, tmp_path):
    """Set up as documented: PostgreSQL and mail with TLS and login, https, one proxy."""
    [database] = [form for form in documented("DATABASE_URL") if "sslmode=require" in form]
    with mail_server("starttls", tmp_path) as (mails, environment):
        made = Server(
            tmp_path,
            env=environment
            | {
                "SITE_URL": f"https://{HOST}",
                "ALLOWED_HOSTS": f"{HOST},127.0.0.1",  # the second for this test's own questions
                "TRUSTED_PROXIES": "1",
                "SECRET_KEY": "not-secret-" * 6,
                "DATABASE_URL": on(postgres, database, tmp_path),
                "EMAIL_URL": to(mails, documented("EMAIL_URL")[0]),
                "DJANGO_SUPERUSER_PASSWORD": FIRST,
            },
        )
        made.env.pop("ABUSE_LIMITS")
        made.mails = mails
        made.prepare()
        try:
            yield made.start()
        finally:
            made.close()


@pytest.mark.only_on("postgresql")
def test_the_first_account_of_a_public_site(site):
    """First account, second factor, recovery codes, a forgotten and a changed password."""
    site.manage("createsuperuser", "--noinput", "--username", "owner", "--email", "o@harbor.org")
    own = "from clinic.models import Clinic; Clinic.objects.update(name='Harbor', email='hi@harbor.org')"
    site.python(own)
    browser = BehindProxy(site.port)
    assert browser.get("/admin/").location.startswith("/admin/login/")
    assert "__Host-" in str(browser.sign_in(FIRST).headers)
    assert browser.get("/admin/").location == "/account/2fa/"

    browser.get("/account/reauthenticate/")
    browser.post("/account/reauthenticate/", {"password": FIRST})
    page = browser.get("/account/2fa/totp/activate/")
    secret = re.search(r'id="authenticator_secret" value="([A-Z2-7]+)"', page.text)[1]
    answer = browser.post("/account/2fa/totp/activate/", {"code": code_for(secret)})
    assert answer.location == "/account/2fa/recovery-codes/", answer.text
    codes = re.findall(r"\b[0-9a-f]{8}\b", browser.get(answer.location).text)
    assert len(set(codes)) == 10
    assert browser.get("/account/2fa/webauthn/add/").status == 200
    open_the_admin(browser, codes[1])

    site.mails.stop()  # the pages answer all the same
    stranger = BehindProxy(site.port)
    stranger.get("/account/password/reset/")
    answer = stranger.post("/account/password/reset/", {"email": "o@harbor.org"})
    assert answer.location == "/account/password/reset/done/"
    site.mails.start()
    site.manage("run_worker", "--once")
    for mail in site.mails.received:
        assert mail["From"] == "Harbor <hi@harbor.org>"
        assert mail["X-Envelope-To"] == "o@harbor.org"
    link = re.search(rf"https://{HOST}(/\S+)", newest(site.mails, "assword").get_content())[1]
    form = stranger.get(stranger.get(link).location or link)
    assert form.status == 200
    answer = stranger.post(stranger_path(link), {"password1": SECOND, "password2": SECOND})
    assert answer.location == "/account/password/reset/key/done/", answer.text

    assert BehindProxy(site.port).sign_in(FIRST).status == 200, "the old password is refused"
    again = BehindProxy(site.port)
    assert again.sign_in(SECOND).location.startswith("/account/2fa/authenticate/")
    again.get("/account/2fa/authenticate/")
    assert again.post("/account/2fa/authenticate/", {"code": codes[0]}).status == 302
    assert again.get("/admin/").status == 200
    again.get("/account/password/change/")
    form = {"oldpassword": SECOND, "password1": THIRD, "password2": THIRD}
    assert again.post("/account/password/change/", form).status == 302
    assert BehindProxy(site.port).sign_in(THIRD).status == 302

    before = len(site.mails.received)
    site.manage("run_worker", "--once")
    assert len(site.mails.received) > before, "a changed password is told"
    assert site.mails.logins
    for words in (b"AUTH", b"harbor"):
        assert words not in site.mails.clear
    log = (site.folder / "server.log").read_text()
    for hidden in (FIRST, SECOND, THIRD, secret, codes[0], link, PASSWORD, LOGIN[1]):
        assert hidden not in log


def stranger_path(link):
    """Where the form of a reset link is: allauth moves its secret into the session."""
    key = link.split("/account/password/reset/key/")[1].rstrip("/")
    return f"/account/password/reset/key/{key.split('-')[0]}-set-password/"
