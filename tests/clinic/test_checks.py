"""The start-up checks: each says no to the wrong setting and yes to the shipped one."""

from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Group
from django.core import checks as framework
from django.db import connection

from clinic import checks
from clinic.sign_in import DEMO_GROUP
from tests.factories import make_user


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


@pytest.mark.django_db
def test_demo_accounts_on_a_public_site(settings):
    user = make_user("Manager")
    user.groups.add(Group.objects.create(name=DEMO_GROUP))
    assert checks.demo_accounts_stay_at_home(None, databases=["default"]) == []
    settings.ON_LOOPBACK = False
    assert ids(checks.demo_accounts_stay_at_home(None, databases=["default"])) == ["clinic.W008"]
    assert checks.demo_accounts_stay_at_home(None, databases=None) == []
