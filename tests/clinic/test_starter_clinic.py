"""The demo clinic: complete on the first load, untouched afterwards."""

import stat
from datetime import UTC, date, datetime

import pytest
from django.core.management import call_command
from django.utils import timezone

from clinic import starter_clinic
from clinic.models import AuditEvent, Clinic, Closure, OpeningHours, Practitioner, User
from clinic.staff import roles
from clinic.staff.adapters import DEMO_GROUP
from tests.factories import here

pytestmark = pytest.mark.django_db

SUNDAY = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.VAR_DIR = tmp_path


def load_all():
    roles.apply_roles()
    starter_clinic.load(now=SUNDAY)
    return starter_clinic.make_staff()


def test_first_load_makes_a_whole_clinic():
    load_all()
    location = here()
    assert location.clinic.name == "Linden & Vale Clinic"
    assert location.phone.as_e164 == "+13235550142"
    location.full_clean()
    location.clinic.full_clean()
    slugs = Practitioner.objects.values_list("slug", flat=True)
    assert list(slugs) == [
        "elena-marlow",
        "kerem-aydin",
        "sofia-reyes",
        "daniel-whitcombe",
        "miriam-castellan",
    ]
    assert OpeningHours.objects.filter(practitioner=None).count() == 6
    assert all(person.opening_hours.exists() for person in Practitioner.objects.bookable())
    for row in [*Practitioner.objects.all(), *OpeningHours.objects.all(), *Closure.objects.all()]:
        row.full_clean()
    sofia = Practitioner.objects.get(slug="sofia-reyes")
    assert sofia.visit_types == ["in_person", "phone"]


def test_closures_lie_ahead():
    load_all()
    holiday = Closure.objects.get(practitioner=None)
    assert (holiday.first_day, holiday.public_note) == (date(2026, 11, 26), "Thanksgiving")
    conference = Closure.objects.exclude(practitioner=None).get()
    assert (conference.first_day, conference.last_day) == (date(2026, 11, 24), date(2026, 11, 25))


@pytest.mark.parametrize(
    ("today", "day"),
    [
        (date(2026, 11, 26), date(2026, 11, 26)),
        (date(2026, 11, 27), date(2027, 11, 25)),
        (date(2028, 1, 1), date(2028, 11, 23)),
        (date(2029, 11, 1), date(2029, 11, 22)),
    ],
)
def test_thanksgiving_is_the_fourth_thursday(today, day):
    assert starter_clinic.thanksgiving(today) == day


def test_second_load_changes_nothing_that_staff_changed():
    load_all()
    Clinic.objects.update(name="Our Clinic", slot_step=15)
    Practitioner.objects.filter(slug="elena-marlow").update(slug="marlow", name="Dr. M.")
    Closure.objects.all().delete()
    OpeningHours.objects.all().delete()
    assert starter_clinic.load() is False
    assert Clinic.objects.current().name == "Our Clinic"
    assert Practitioner.objects.count() == 5
    assert not Closure.objects.exists()
    assert not OpeningHours.objects.exists()
    assert AuditEvent.objects.filter(action=starter_clinic.LOADED).count() == 1


def test_a_clinic_that_staff_named_first_keeps_its_name():
    Clinic.objects.current()
    Clinic.objects.update(name="Our Clinic")
    starter_clinic.load(now=SUNDAY)
    assert (here().clinic.name, here().street) == ("Our Clinic", "")


def test_staff_have_random_passwords_kept_for_the_owner_alone(client):
    passwords = load_all()
    assert sorted(passwords) == [
        "editor", "frontdesk", "manager", "owner", "practitioner", "reviewer"
    ]  # fmt: skip
    assert len({*passwords.values()}) == 6
    assert all(len(password) == 20 for password in passwords.values())
    path = starter_clinic.logins_path()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [line.split() for line in path.read_text().splitlines()] == [
        [name, password] for name, password in passwords.items()
    ]
    assert not User.objects.filter(is_superuser=True).exists()
    for username, held, *_ in starter_clinic.STAFF:
        user = User.objects.get(username=username)
        assert user.check_password(passwords[username])
        assert roles.names_of(user) == {*held, DEMO_GROUP}
    assert starter_clinic.make_staff() == {}


def test_staff_are_linked_to_their_practitioners():
    load_all()
    marlow = Practitioner.objects.get(slug="elena-marlow")
    castellan = Practitioner.objects.get(slug="miriam-castellan")
    assert (marlow.user.username, castellan.user.username) == ("practitioner", "reviewer")
    age = timezone.localdate(SUNDAY, here().zone) - castellan.license_checked_on
    assert 0 < age.days < 365


def test_command_loads_everything_twice_the_same(capsys):
    call_command("load_starter")
    assert "manager" in capsys.readouterr().out
    events = AuditEvent.objects.count()
    call_command("load_starter")
    assert capsys.readouterr().out == ""
    assert AuditEvent.objects.count() == events


def test_no_demo_accounts_on_a_public_site(settings, capsys):
    settings.ON_LOOPBACK = False
    call_command("load_starter")
    assert not User.objects.exists()
    assert "createsuperuser" in capsys.readouterr().out
    assert not starter_clinic.logins_path().exists()
