"""The start-up checks: each says no to the wrong setting and yes to the shipped one."""

import os
import sqlite3
import subprocess
import sys
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.core import checks as framework
from django.db import connection

from bookings.checks import demo_bookings_stay_at_home
from bookings.models import Booking
from clinic import checks, starter_clinic
from clinic.models import Clinic
from clinic.staff.adapters import DEMO_GROUP
from tests.factories import make_booking, make_clinic, make_practitioner, make_user


def ids(problems):
    return [problem.id for problem in problems]


@pytest.mark.django_db
def test_shipped_settings_pass(settings, tmp_path):
    tmp_path.chmod(0o700)
    settings.VAR_DIR = tmp_path
    found = framework.run_checks(databases=["default"])
    assert [problem for problem in found if str(problem.id).startswith("clinic.")] == []


def test_short_key(settings):
    settings.SECRET_KEY = "x" * 49
    assert ids(checks.secret_key_is_long(None)) == ["clinic.E001"]


def test_stale_time_zone_data(monkeypatch):
    # Los Angeles still changes its clocks, as Vancouver does in old data.
    monkeypatch.setattr(checks, "ZoneInfo", lambda _name: ZoneInfo("America/Los_Angeles"))
    assert ids(checks.time_zone_data_is_current(None)) == ["clinic.E002"]


def test_public_site_without_https(settings):
    settings.ON_LOOPBACK, settings.HTTPS = False, False
    settings.SITE_URL = "http://clinic.example"
    assert ids(checks.public_sites_use_https(None)) == ["clinic.E003"]
    settings.HTTPS = True
    assert checks.public_sites_use_https(None) == []


def test_data_folder(settings, tmp_path, monkeypatch):
    settings.VAR_DIR = tmp_path
    tmp_path.chmod(0o755)
    assert ids(checks.data_folder_is_private_and_writable(None)) == ["clinic.W005"]
    monkeypatch.setattr(checks.os, "access", lambda *_args: False)
    assert ids(checks.data_folder_is_private_and_writable(None)) == ["clinic.E004"]


def test_debug_on_a_public_site(settings):
    settings.DEBUG, settings.ON_LOOPBACK = True, False
    assert ids(checks.debug_stays_at_home(None)) == ["clinic.E006"]
    settings.ON_LOOPBACK = True
    assert checks.debug_stays_at_home(None) == []


@pytest.mark.parametrize("name", ["ABUSE_LIMITS", "NETWORK_LIMITS"])
def test_limits_that_are_off_on_a_public_site(settings, name):
    settings.ON_LOOPBACK, settings.ABUSE_LIMITS, settings.NETWORK_LIMITS = False, True, True
    assert checks.limits_hold_on_public_sites(None) == []
    setattr(settings, name, False)
    assert ids(checks.limits_hold_on_public_sites(None)) == ["clinic.W010"]
    settings.ON_LOOPBACK = True
    assert checks.limits_hold_on_public_sites(None) == []


@pytest.mark.django_db
def test_isolation_level():
    assert checks.database_reads_committed_rows(None, databases=["default"]) == []
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        found = checks.database_reads_committed_rows(None, databases=["default"])
        assert ids(found) == ["clinic.E007"]


@pytest.mark.parametrize("command", [["migrate"], ["serve", "--prepare"]])
def test_a_database_from_before_the_first_release_is_refused(tmp_path, command):
    """Its tables would be half changed, and the site would answer 500."""
    tmp_path.chmod(0o700)
    old = sqlite3.connect(tmp_path / "db.sqlite3")
    old.execute("CREATE TABLE django_migrations (id INTEGER, app TEXT, name TEXT, applied TEXT)")
    old.execute(
        "INSERT INTO django_migrations VALUES (1, 'clinic', '0001_the_clinic', '2026-11-01')"
    )
    old.commit()
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        env=os.environ | {"VAR_DIR": str(tmp_path), "DATABASE_URL": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "made before the first release" in done.stderr
    assert "Traceback" not in done.stderr
    tables = old.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    old.close()
    assert tables == [("django_migrations",)]


@pytest.mark.django_db
def test_demo_accounts_on_a_public_site(settings):
    user = make_user("Manager")
    user.groups.add(Group.objects.create(name=DEMO_GROUP))
    assert checks.demo_accounts_stay_at_home(None, databases=["default"]) == []
    settings.ON_LOOPBACK = False
    assert ids(checks.demo_accounts_stay_at_home(None, databases=["default"])) == ["clinic.W008"]
    assert checks.demo_accounts_stay_at_home(None, databases=None) == []


def test_mails_that_become_files_on_a_public_site(settings):
    settings.ON_LOOPBACK, settings.EMAIL_FILE_PATH = False, "/var/lib/clinic/mail"
    assert ids(checks.mails_of_public_sites_leave_the_machine(None)) == ["clinic.W011"]
    settings.ON_LOOPBACK = True
    assert checks.mails_of_public_sites_leave_the_machine(None) == []
    settings.ON_LOOPBACK = False
    del settings.EMAIL_FILE_PATH
    assert checks.mails_of_public_sites_leave_the_machine(None) == []


def test_https_that_no_proxy_brings(settings):
    settings.HTTPS, settings.TRUSTED_PROXIES = True, 0
    assert ids(checks.a_proxy_is_trusted_where_there_is_https(None)) == ["clinic.W012"]
    settings.TRUSTED_PROXIES = 1
    assert checks.a_proxy_is_trusted_where_there_is_https(None) == []


def test_a_secret_key_that_other_machines_do_not_share(settings, monkeypatch):
    monkeypatch.setitem(
        settings.DATABASES, "default", {"ENGINE": "django.db.backends.postgresql", "NAME": "clinic"}
    )
    settings.SECRET_KEY_IS_THIS_MACHINES = True
    assert ids(checks.machines_share_the_secret_key(None)) == ["clinic.W014"]
    settings.SECRET_KEY_IS_THIS_MACHINES = False
    assert checks.machines_share_the_secret_key(None) == []
    settings.SECRET_KEY_IS_THIS_MACHINES = True
    monkeypatch.setitem(
        settings.DATABASES, "default", {"ENGINE": "django.db.backends.sqlite3", "NAME": "clinic"}
    )
    assert checks.machines_share_the_secret_key(None) == []


@pytest.mark.django_db
def test_the_demo_on_a_public_site(settings):
    make_clinic(name="Harbor Clinic")
    make_practitioner(name="Dr. Real", license_number="CA 1234")
    settings.ON_LOOPBACK = False
    assert checks.a_public_site_is_not_the_demo(None, databases=["default"]) == []
    make_practitioner(name="Dr. Nobody", license_number="DEMO-1")
    make_practitioner(name="Dr. Gone", license_number="DEMO-2", archived=True)
    Clinic.objects.update(name=starter_clinic.CLINIC["name"])
    [problem] = checks.a_public_site_is_not_the_demo(None, databases=["default"])
    assert problem.id == "clinic.W013"
    assert "Dr. Nobody" in problem.msg
    assert starter_clinic.CLINIC["name"] in problem.msg
    assert "Dr. Gone" not in problem.msg
    settings.ON_LOOPBACK = True
    assert checks.a_public_site_is_not_the_demo(None, databases=["default"]) == []


@pytest.mark.django_db
def test_bookings_of_the_demo_on_a_public_site(settings):
    make_booking(is_demo=True)
    settings.ON_LOOPBACK = False
    [problem] = demo_bookings_stay_at_home(None, databases=["default"])
    assert problem.msg.startswith("1 bookings of the demo")
    Booking.objects.update(is_demo=False)
    assert demo_bookings_stay_at_home(None, databases=["default"]) == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("clinic", "setting", "found"),
    [
        ("", "", ["clinic.W015"]),
        ("hello@lindenvale.example", "", ["clinic.W015"]),
        ("hello@harbor.org", "", []),
        ("", "Harbor <mail@harbor.org>", []),
        ("", "nobody@clinic.example", ["clinic.W015"]),
    ],
)
def test_mails_without_a_sender_on_a_public_site(settings, clinic, setting, found):
    make_clinic(email=clinic)
    settings.ON_LOOPBACK, settings.DEFAULT_FROM_EMAIL = False, setting
    assert ids(checks.mails_have_a_sender(None, databases=["default"])) == found
    settings.ON_LOOPBACK = True
    assert checks.mails_have_a_sender(None, databases=["default"]) == []


def run_check(tmp_path, **environment):
    """What `manage.py check --deploy` says with these settings alone."""
    names = ("SITE_URL", "EMAIL_URL", "DATABASE_URL", "SECRET_KEY", "DJANGO_ALLOW_ASYNC_UNSAFE")
    clean = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=settings.BASE_DIR,
        env=clean | {"VAR_DIR": str(tmp_path)} | environment,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_command_speaks_of_all_that_is_missing(tmp_path):
    url = "postgres://clinic@/clinic?host=/run/postgresql"
    code, said = run_check(tmp_path, SITE_URL="https://clinic.example", DATABASE_URL=url)
    assert code == 1
    for words in ("EMAIL_URL", "TRUSTED_PROXIES", "SECRET_KEY", "The database does not answer"):
        assert words in said
    assert "Traceback" not in said


@pytest.mark.django_db
def test_deploying_looks_into_the_database_without_being_told(settings):
    """`check --deploy`, as most people type it."""
    make_clinic(email="")
    make_practitioner(name="Dr. Nobody", license_number="DEMO-1")
    make_booking(is_demo=True)
    settings.ON_LOOPBACK = False
    missing = {"clinic.W013", "clinic.W015", "bookings.W001"}
    assert missing <= set(ids(framework.run_checks(include_deployment_checks=True)))
    assert not missing & set(ids(framework.run_checks()))
    told = ids(framework.run_checks(include_deployment_checks=True, databases=["default"]))
    assert [told.count(name) for name in missing] == [1, 1, 1]


def test_the_command_is_content_with_the_documented_settings(tmp_path):
    """Those of docs/running.md, step 2."""
    lines = (settings.BASE_DIR / "docs/running.md").read_text().split("**2. Settings**")[1]
    block = lines.split("```sh\n")[1].split("```")[0]
    documented = dict(line.replace('"', "").split("=", 1) for line in block.splitlines())
    tmp_path.chmod(0o700)
    code, said = run_check(tmp_path, **documented | {"VAR_DIR": str(tmp_path)})
    assert said == "System check identified no issues (1 silenced).\n"
    assert code == 0
