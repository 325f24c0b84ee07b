"""The one place: read with its clinic, edited on the clinic's page, and asked for by no page."""

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.urls import reverse

from bookings.availability.opening import Rules
from bookings.availability.search import SlotSearch
from clinic import opening_status
from clinic.models import AuditEvent, Clinic, Closure, Location, OpeningHours
from clinic.staff import roles
from clinic.staff.adapters import DEMO_GROUP
from tests.factories import (
    MONDAY,
    here,
    make_booking,
    make_closure,
    make_hours,
    make_location,
    make_practitioner,
    make_user,
)

pytestmark = pytest.mark.django_db


def test_a_fresh_database_gets_one_of_each():
    assert (here().pk, here().clinic) == (1, Clinic.objects.get())
    assert Location.objects.count() == 1


def test_a_place_and_its_clinic_are_one_query(django_assert_num_queries):
    make_location()
    booking = make_booking()
    booking.refresh_from_db()
    with django_assert_num_queries(1):
        assert here().clinic.name
    with django_assert_num_queries(1):
        assert booking.location.clinic.name


def test_there_is_no_second_place_yet():
    clinic = make_location().clinic
    with pytest.raises(IntegrityError), transaction.atomic():
        Location.objects.create(pk=2, clinic=clinic)


@pytest.mark.parametrize(
    "make", [make_booking, make_hours, lambda: make_closure(first_day=MONDAY, last_day=MONDAY)]
)
def test_what_points_to_a_place_keeps_it(make):
    make()
    with pytest.raises(ProtectedError):
        here().delete()
    with pytest.raises(ProtectedError):
        here().clinic.delete()


def test_opening_hours_are_those_of_the_place_that_is_asked():
    """As when there are two: the answer about one place holds nothing of another."""
    make_location()
    make_hours()
    make_closure(first_day=MONDAY, last_day=MONDAY)
    make_practitioner()
    day, other = MONDAY.date(), Location(pk=2, clinic=Clinic.objects.get())
    ours, theirs = Rules(here(), day, day), Rules(other, day, day)
    assert (len(ours.hours[None]), len(ours.closures[None])) == (7, 1)
    assert (theirs.hours, theirs.closures) == ({}, {})
    assert SlotSearch(location=here(), now=MONDAY).next()
    assert SlotSearch(location=other, now=MONDAY).next() is None
    assert opening_status.read(here()).rows
    assert opening_status.read(other) is None


# --- the clinic's page ----------------------------------------------------------------------------

PAGE = "admin:clinic_clinic_change"


@pytest.fixture
def page(client):
    """The clinic's page for its manager: what a browser would post back, and how."""
    roles.apply_roles()
    make_location()
    manager = make_user(roles.MANAGER)
    manager.groups.add(Group.objects.get_or_create(name=DEMO_GROUP)[0])
    client.force_login(manager)
    address = reverse(PAGE, args=[1])
    form = client.get(address).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    values = {
        name: str(value) for name, value in values.items() if str(value) not in ("None", "False")
    }
    return lambda **changes: client.post(address, values | changes)


def test_the_page_edits_both_and_records_one_change(page):
    assert page(street="7 Other Street", slot_step="15").status_code == 302
    assert (here().street, here().clinic.slot_step) == ("7 Other Street", 15)
    assert (here().zone_confirmed, here().city) == (True, "Los Angeles")
    event = AuditEvent.objects.get(action="clinic.changed")
    assert sorted(event.details["fields"]) == ["Step (minutes)", "Street"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_zone", "Mars/Base"),
        ("phone", "12"),
        ("desk_email", "desk"),
        ("country", "USA"),
        ("access_note", "Guaranteed relief at step-free doors."),
    ],
)
def test_a_value_that_cannot_be_is_refused_beside_its_field(page, field, value):
    response = page(**{field: value, "slot_step": "15"})
    assert list(response.context["adminform"].form.errors) == [field]
    assert (here().street, here().clinic.slot_step) == ("48 Linden Walk, Suite 2", 30)


def test_hours_and_closures_made_in_the_admin_are_of_the_place(page, client):
    client.post(
        reverse("admin:clinic_openinghours_add"),
        {"weekday": 1, "opens": "09:00", "closes": "12:00"},
    )
    day = "2027-01-04"
    client.post(reverse("admin:clinic_closure_add"), {"first_day": day, "last_day": day})
    assert OpeningHours.objects.get().location == Closure.objects.get().location == here()
