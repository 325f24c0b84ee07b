"""The settings that docs/running.md names start the site; what is mistyped is named with a way out."""

import importlib
import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from clinic import settings as read
from clinic.models import Clinic
from clinic.staff.adapters import StaffAccounts

SECRET = "s3cr3t"


@pytest.fixture
def settings_with(monkeypatch, tmp_path):
    """clinic/settings.py read anew with these variables; as it was afterwards."""

    def load(**values):
        for name in ("SITE_URL", "DATABASE_URL", "EMAIL_URL", "DEFAULT_FROM_EMAIL"):
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        importlib.reload(read)
        return {name: getattr(read, name) for name in dir(read) if name.isupper()}

    yield load
    monkeypatch.undo()
    importlib.reload(read)


@pytest.mark.parametrize(
    ("url", "host", "name"),
    [
        (f"postgres://user:{SECRET}@host:5432/name", "host", "name"),
        (f"postgresql://user:{SECRET}@host:5432/name", "host", "name"),
        (f"postgres://user:{SECRET}@host:5432/name?sslmode=require", "host", "name"),
        ("postgres://user@/name?host=/run/postgresql", "/run/postgresql", "name"),
        ("postgres://user@/name?host=/run/postgresql&port=5433", "/run/postgresql", "name"),
    ],
)
def test_each_form_of_a_postgresql_url(settings_with, url, host, name):
    database = settings_with(DATABASE_URL=url)["DATABASES"]["default"]
    assert (database["HOST"], database["NAME"]) == (host, name)
    assert "lock_timeout" in database["OPTIONS"]["options"]
    assert "host" not in database["OPTIONS"]


@pytest.mark.parametrize(
    "url",
    [
        f"postgress://user:{SECRET}@host/name",
        f"mysql://user:{SECRET}@host/name",
        f"user:{SECRET}@host/name",
        f"postgres://user:{SECRET}@host:port/name",
        f"postgres://user:{SECRET}/and-more@host/name",
        f"postgres://user:{SECRET}#and-more@host/name",
        f"postgres://user:{SECRET}@host",
        f"postgres://user:1234/{SECRET}@host/name",
        f"postgres://user:{SECRET}@host/name?sslmod=require",
        f"postgres://user:{SECRET}@host/name?sslmode=required",
        "sqlite:/path/to/file",
        "sqlite://",
        "sqlite:///",
        "sqlite:////path/to/file?mode=ro",
    ],
)
def test_a_mistyped_database_is_named_without_its_password(settings_with, url):
    with pytest.raises(ImproperlyConfigured, match="postgres://user:password@host") as refused:
        settings_with(DATABASE_URL=url)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "port", "starttls", "tls"),
    [
        (f"submission://u:{SECRET}@mail.example", 587, True, False),
        (f"smtp://u:{SECRET}@mail.example:465/?ssl=True", 465, False, True),
        (f"smtp://u:{SECRET}@mail.example:465", 465, False, True),
        (f"smtp://u:{SECRET}@mail.example:587", 587, True, False),
        (f"smtp://u:{SECRET}@mail.example:25/?tls=True", 25, True, False),
        (f"smtp://u:{SECRET}@127.0.0.1:2525", 2525, False, False),
        ("smtp://mail.example:25", 25, False, False),
        ("smtp://mail.example", 25, False, False),
        (f"smtps://u:{SECRET}@mail.example", 465, False, True),
        (f"smtp://u:{SECRET}@mail.example:465/?tls=True", 465, False, True),
        (f"smtp://u:{SECRET}@mail.example:587/?ssl=True", 587, True, False),
    ],
)
def test_each_form_of_a_mail_url(settings_with, url, port, starttls, tls):
    found = settings_with(EMAIL_URL=url)
    assert found["EMAIL_PORT"] == port
    assert (found["EMAIL_USE_TLS"], found["EMAIL_USE_SSL"]) == (starttls, tls)


@pytest.mark.parametrize("port", [":25", ":2525", ""])
def test_no_login_in_clear_text_to_another_machine(settings_with, port):
    with pytest.raises(ImproperlyConfigured, match="clear text") as refused:
        settings_with(EMAIL_URL=f"smtp://user:{SECRET}@mail.example{port}")
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "mail.example",
        f"http://u:{SECRET}@mail.example",
        f"smtp://u:{SECRET}@h:port",
        f"smtp://u:{SECRET}/and-more@mail.example",
        f"smtp://u:1234/{SECRET}@mail.example",
        f"smtp://u:1234?{SECRET}@mail.example",
        f"smtp://u:1234#{SECRET}@mail.example",
        "smtp://mail.example/587",
        "smtp://mail.example:2525/?sll=True",
        "smtp://mail.example:2525/?tls=ture",
    ],
)
def test_a_mistyped_mail_server_is_named_without_its_password(settings_with, url):
    with pytest.raises(ImproperlyConfigured, match="submission://user") as refused:
        settings_with(EMAIL_URL=url)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/clinic",
        "https://example.org?clinic",
        "https://example.org#clinic",
        "https://somebody@example.org",
        "https://example.org:port",
        "https:/example.org",
        "https://",
        "example.org",
        "ftp://example.org",
    ],
)
def test_an_address_that_cannot_be_served_is_refused(settings_with, url):
    with pytest.raises(ImproperlyConfigured, match="https://clinic.example"):
        settings_with(SITE_URL=url)


@pytest.mark.parametrize("url", ["https://clinic.example", "https://clinic.example/"])
def test_a_slash_at_the_end_does_no_harm(settings_with, url):
    assert settings_with(SITE_URL=url)["SITE_URL"] == "https://clinic.example"


@pytest.mark.parametrize("sender", ["Harbor", "Harbor Clinic", "@harbor.org", "mail@"])
def test_a_sender_that_is_no_address_is_refused(settings_with, sender):
    with pytest.raises(ImproperlyConfigured, match="DEFAULT_FROM_EMAIL"):
        settings_with(DEFAULT_FROM_EMAIL=sender)


@pytest.mark.django_db
def test_account_mails_come_from_the_clinic(settings):
    settings.DEFAULT_FROM_EMAIL = ""
    Clinic.objects.current()
    Clinic.objects.update(name="Harbor\nClinic", email="hello@harbor.example")
    assert StaffAccounts().get_from_email() == "Harbor Clinic <hello@harbor.example>"
    settings.DEFAULT_FROM_EMAIL = "Somebody <mail@harbor.example>"
    assert Clinic.objects.current().sender == "Harbor Clinic <mail@harbor.example>"


@pytest.mark.parametrize("command", ["check", "migrate", "serve"])
@pytest.mark.parametrize("name", ["DATABASE_URL", "EMAIL_URL"])
def test_commands_say_it_in_one_line_without_any_part_of_the_password(tmp_path, command, name):
    """What is cut off at the slash looks like a port, and its error names it."""
    done = subprocess.run(
        [sys.executable, "manage.py", command],
        cwd=settings.BASE_DIR,
        env=os.environ | {"VAR_DIR": str(tmp_path), name: f"smtp://u:{SECRET}/more@host/x"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"manage.py: {name} is not understood.")
    assert done.stderr.count("\n") == 1
    assert SECRET not in done.stderr + done.stdout


def test_a_setting_of_the_wrong_type_is_named_without_a_traceback(tmp_path):
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=settings.BASE_DIR,
        env=os.environ | {"VAR_DIR": str(tmp_path), "TRUSTED_PROXIES": "one"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "TRUSTED_PROXIES" in done.stderr
    assert "Traceback" not in done.stderr
