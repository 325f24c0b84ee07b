"""The clinic's part of the admin: one clinic, archived practitioners, closures, the record."""

from datetime import date, time

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bookings.models import Booking
from clinic import audit
from clinic.hours import open_periods
from clinic.models import AuditEvent, Clinic, Closure, OpeningHours, Practitioner
from clinic.staff import roles
from clinic.staff.adapters import DEMO_GROUP
from tests.factories import (
    here,
    make_booking,
    make_clinic,
    make_closure,
    make_hours,
    make_practitioner,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager(client):
    roles.apply_roles()
    make_clinic()
    user = make_user(roles.MANAGER, first_name="Morgan")
    user.groups.add(Group.objects.get_or_create(name=DEMO_GROUP)[0])
    client.force_login(user)
    return user


def form_values(response):
    """What a browser would post back from the form that the admin page shows."""
    form = response.context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    return {
        name: str(value)
        for name, value in values.items()
        if value is not None and value is not False
    }


def test_clinic_opens_directly_and_keeps_one_row(client, manager):
    response = client.get(reverse("admin:clinic_clinic_changelist"))
    assert response["Location"] == reverse("admin:clinic_clinic_change", args=[1])
    assert client.get(reverse("admin:clinic_clinic_add")).status_code == 403
    assert client.get(reverse("admin:clinic_clinic_delete", args=[1])).status_code == 403


def test_clinic_is_changed_and_the_change_recorded(client, manager):
    address = reverse("admin:clinic_clinic_change", args=[1])
    values = form_values(client.get(address)) | {"slot_step": 15, "desk_email": "d@example.org"}
    assert client.post(address, values).status_code == 302
    assert Clinic.objects.current().slot_step == 15
    event = AuditEvent.objects.get(action="clinic.changed")
    assert event.actor == manager
    assert "example.org" not in str(event.details)
    assert "Step (minutes)" in event.details["fields"]


@pytest.mark.parametrize(("field", "value"), [("time_zone", "Mars/Base"), ("slot_step", "0")])
def test_clinic_refuses_nonsense(client, manager, field, value):
    address = reverse("admin:clinic_clinic_change", args=[1])
    response = client.post(address, form_values(client.get(address)) | {field: value})
    assert response.status_code == 200
    assert field in response.context["adminform"].form.errors


def test_practitioners_are_archived_and_their_bookings_stay(client, manager):
    booking = make_booking()
    address = reverse("admin:clinic_practitioner_changelist")
    picked = {"_selected_action": [booking.practitioner_id]}
    client.post(address, picked | {"action": "archive"})
    assert Practitioner.objects.get().archived
    assert Booking.objects.get().practitioner_id == booking.practitioner_id
    assert AuditEvent.objects.filter(action="practitioner.changed").count() == 1
    client.post(address, picked | {"action": "bring_back"})
    assert not Practitioner.objects.get().archived
    client.post(address, picked | {"action": "delete_selected", "post": "yes"})
    assert Practitioner.objects.exists()


def test_a_closure_never_touches_a_booking(client, manager):
    booking = make_booking(practitioner=make_practitioner())
    before = Booking.objects.values().get()
    day = booking.starts_at.date().isoformat()
    response = client.post(
        reverse("admin:clinic_closure_add"),
        {"practitioner": booking.practitioner_id, "first_day": day, "last_day": day},
    )
    assert response.status_code == 302
    assert Closure.objects.count() == 1
    assert Booking.objects.values().get() == before


@pytest.mark.parametrize(
    "times",
    [
        {"from_time": "09:00"},
        {"until_time": "09:00"},
        {"from_time": "10:00", "until_time": "09:00"},
    ],
)
def test_a_closure_has_both_times_in_order_or_none(client, manager, times):
    days = {"first_day": "2027-01-04", "last_day": "2027-01-04"}
    response = client.post(reverse("admin:clinic_closure_add"), days | times)
    assert response.status_code == 200
    assert response.context["errors"]
    assert not Closure.objects.exists()


def test_hours_refuse_to_close_before_they_open(client, manager):
    address = reverse("admin:clinic_openinghours_add")
    rule = {"weekday": 1, "opens": "17:00", "closes": "09:00"}
    assert client.post(address, rule).status_code == 200
    assert client.post(address, rule | {"closes": "00:00"}).status_code == 302
    assert OpeningHours.objects.count() == 1


@pytest.mark.parametrize(
    ("day", "shut", "hours_lost"),
    [
        # 02:00 to 03:00 does not exist: what is left of the closure is 03:00 to 03:30.
        ("2027-03-14", ("02:30", "03:30"), 0.5),
        ("2027-03-14", ("02:15", "02:45"), 0),
        # 01:00 to 02:00 comes twice: both are closed, as the wall clock says.
        ("2027-11-07", ("01:30", "02:00"), 1),
    ],
)
def test_a_closure_at_a_clock_change_is_read_off_the_wall_clock(
    client, manager, day, shut, hours_lost
):
    """T-04: staff type wall-clock times, also those that a day skips or has twice."""
    values = {"first_day": day, "last_day": day, "from_time": shut[0], "until_time": shut[1]}
    assert client.post(reverse("admin:clinic_closure_add"), values).status_code == 302
    around = OpeningHours(weekday=7, opens=time(), closes=time(6))
    zone, date_of = here().zone, date.fromisoformat(day)
    before = open_periods(date_of, [around], [], zone)
    after = open_periods(date_of, [around], list(Closure.objects.all()), zone)
    assert hours(before) - hours(after) == hours_lost


def hours(periods):
    return sum((end - start).total_seconds() for start, end in periods) / 3600


@pytest.mark.parametrize(
    "page", ["clinic_practitioner", "clinic_openinghours", "clinic_closure", "clinic_user"]
)
def test_lists_cost_the_same_at_any_length(client, manager, page):
    address = reverse(f"admin:{page}_changelist")

    def fill(count):
        for _ in range(count):
            practitioner = make_practitioner(user=make_user(roles.EDITOR))
            make_hours(practitioner, weekday=1)
            make_closure(practitioner, first_day="2027-01-04", last_day="2027-01-04")

    fill(1)
    client.get(address)
    with CaptureQueriesContext(connection) as few:
        client.get(address)
    fill(10)
    with CaptureQueriesContext(connection) as many:
        client.get(address)
    assert len(many) == len(few)


def test_the_record_is_listed_searched_and_filtered(client, manager):
    clinic = Clinic.objects.current()
    for action in ("booking.confirmed", "booking.cancelled"):
        audit.record(action, clinic, by=manager, details={"was": "pending"})
    address = reverse("admin:clinic_auditevent_changelist")
    for query, count in (
        ({"q": "booking.cancelled"}, 1),
        ({"what": "clinic.clinic", "when": "7"}, 2),
        ({"what": "bookings.booking"}, 0),
    ):
        assert client.get(address, query).context["cl"].result_count == count


def test_the_record_does_not_count_everything(client, manager, monkeypatch):
    from clinic.admin.paginator import BoundedPaginator

    monkeypatch.setattr(BoundedPaginator, "LIMIT", 3)
    for _ in range(5):
        audit.record("x", Clinic.objects.current())
    response = client.get(reverse("admin:clinic_auditevent_changelist"))
    assert response.context["cl"].result_count == 3


def test_the_desk_shows_whose_it_is_and_warns_of_demo_accounts(client, manager, settings):
    html = client.get("/admin/").content.decode()
    assert "Linden &amp; Vale" in html
    assert "Demo account: no second factor." in html
    assert "clinic/desk.css" in html
    assert "style=" not in html
    settings.DEMO_ACCOUNTS_SKIP_SECOND_FACTOR = False
    assert client.get("/admin/").status_code == 302


def test_resetting_a_second_factor(client, manager):
    from allauth.mfa.models import Authenticator

    user = make_user(roles.EDITOR)
    Authenticator.objects.create(user=user, type="totp", data={})
    address = reverse("admin:clinic_user_changelist")
    picked = [user.pk, manager.pk]
    client.post(reverse("account_reauthenticate"), {"password": "correct horse battery"})
    client.post(address, {"action": "reset_second_factor", "_selected_action": picked})
    assert not Authenticator.objects.filter(user=user).exists()
    event = AuditEvent.objects.get(action="second_factor.reset")
    assert (event.object_key, event.actor) == (str(user.pk), manager)
