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

from tests.debian_postgres import PASSWORD as DATABASE_PASSWORD
from tests.debian_postgres import USER, DebianPostgres
from tests.mail_server import MailServer, make_certificate
from tests.public_site import ADDRESS, DOCUMENT, NAME, PASSWORD, PublicSite
from tests.server import Server

LOGIN = ("clinic@harbor.org", "mail/pa@s:s")


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
    address = address.replace("user:password@", f"{USER}:{escaped(DATABASE_PASSWORD)}@")
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
        assert DATABASE_PASSWORD not in str(refused.value)
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

SECOND, THIRD = "the second of words", "a third to end with"
OWN_CLINIC = """
from clinic.models import Clinic
Clinic.objects.update(name="Harbor", email="hi@harbor.org")
"""
TRIED_IN_VAIN = """
import time
from clinic.models import AccountMail
while AccountMail.objects.filter(state="queued", tries=0): time.sleep(0.2)
print(set(AccountMail.objects.values_list("state", flat=True)))
"""
LATER = """
from django.utils import timezone
from clinic.models import AccountMail
AccountMail.objects.filter(state="queued").update(due_at=timezone.now())
"""


def step(path):
    """An address that the document names for a step."""
    assert f"`{path}`" in DOCUMENT
    return path


def fill(browser, path, **data):
    """Open a page and send its form; returns the answer."""
    assert browser.get(path).status == 200
    return browser.post(path, data)


def sign_in(browser, password):
    return fill(browser, "/account/login/", login=NAME, password=password)


def code_for(secret):
    counter = next(iter(totp.yield_hotp_counters_from_time()))
    return totp.format_hotp_value(totp.hotp_value(secret, counter))


def mail_about(server, words, seconds=30):
    """The mail whose subject has these words, once it came."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for mail in server.received:
            if words in mail["Subject"]:
                return mail
        time.sleep(0.2)
    raise AssertionError([mail["Subject"] for mail in server.received])


@pytest.fixture
def site(postgres, tmp_path):
    """PostgreSQL and mail with TLS and login, https by a proxy, the documented service."""
    [database] = [form for form in documented("DATABASE_URL") if "sslmode=require" in form]
    with mail_server("starttls", tmp_path) as (mails, environment):
        made = PublicSite(
            tmp_path,
            env=environment,
            SECRET_KEY="not-secret-" * 6,
            DATABASE_URL=on(postgres, database, tmp_path),
            EMAIL_URL=to(mails, documented("EMAIL_URL")[0]),
        )
        made.mails = mails
        try:
            yield made.start()
        finally:
            made.close()


@pytest.mark.only_on("postgresql")
def test_the_first_account_of_a_public_site(site):
    """First account, second factor, recovery codes, a forgotten and a changed password."""
    assert "created successfully" in site.first_account()
    assert "clinic.W015" in site.typed("check --deploy --database default")
    site.python(OWN_CLINIC)
    assert "clinic.W" not in site.typed("check --deploy --database default")
    assert "opening soon" in site.visitor().get("/").text.lower()

    # No page needs the mail server.
    site.mails.stop()
    browser = site.visitor()
    assert browser.get(step("/admin/")).location.startswith("/admin/login/")
    assert "__Host-" in str(sign_in(browser, PASSWORD).headers)
    assert browser.get("/admin/").location == step("/account/2fa/")
    assert 'href="/account/2fa/totp/activate/"' in browser.get("/account/2fa/").text
    page = browser.get("/account/2fa/totp/activate/")
    secret = re.search(r'id="authenticator_secret"\s+value="([A-Z2-7]+)"', page.text)[1]
    answer = browser.post("/account/2fa/totp/activate/", {"code": code_for(secret)})
    assert answer.location == step("/account/2fa/recovery-codes/"), answer.text
    codes = re.findall(r"\b[0-9a-f]{8}\b", browser.get(answer.location).text)
    assert len(set(codes)) == 10
    assert browser.get("/admin/").status == 200

    stranger = site.visitor()
    answer = fill(stranger, step("/account/password/reset/"), email=ADDRESS)
    assert answer.location == "/account/password/reset/done/"
    assert site.python(TRIED_IN_VAIN).strip() == "{'queued'}"
    assert site.mails.received == []
    site.mails.start()
    site.python(LATER)
    text = mail_about(site.mails, "Password Reset").get_content()
    mail_about(site.mails, "Authenticator App Activated")
    for mail in site.mails.received:
        assert mail["From"] == "Harbor <hi@harbor.org>"
        assert mail["X-Envelope-To"] == ADDRESS
    link = re.search(rf"https://{site.host}(/\S+)", text)[1]
    form = stranger.get(link).location
    answer = fill(stranger, form, password1=SECOND, password2=SECOND)
    assert answer.location == "/account/password/reset/key/done/", answer.text
    assert not site.visitor().get(link).location, "a link works once"

    assert sign_in(site.visitor(), PASSWORD).status == 200, "the old password is refused"
    again, third = site.visitor(), site.visitor()
    assert sign_in(again, SECOND).location.startswith("/account/2fa/authenticate/")
    assert fill(again, "/account/2fa/authenticate/", code=codes[0]).status == 302
    assert again.get("/admin/").status == 200
    sign_in(third, SECOND)
    assert fill(third, "/account/2fa/authenticate/", code=codes[0]).status == 200, "used once"
    assert third.get("/admin/").status == 302
    assert fill(third, "/account/2fa/authenticate/", code=codes[1]).status == 302
    assert third.get("/admin/").status == 200

    change = step("/account/password/change/")
    answer = fill(again, change, oldpassword=SECOND, password1=THIRD, password2=THIRD)
    assert answer.status == 302, answer.text
    mail_about(site.mails, "Password Changed")
    assert sign_in(site.visitor(), SECOND).status == 200
    assert sign_in(site.visitor(), THIRD).status == 302

    assert site.mails.logins
    for words in (b"AUTH", b"harbor"):
        assert words not in site.mails.clear
    log = (site.folder / "server.log").read_text()
    for hidden in (PASSWORD, SECOND, THIRD, secret, *codes, link, DATABASE_PASSWORD, LOGIN[1]):
        assert hidden not in log
