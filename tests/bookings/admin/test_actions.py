"""The buttons of a booking, and moving it."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from bookings.models import Booking, Message
from clinic.models import AuditEvent
from clinic.staff import roles
from tests.bookings.admin.conftest import EARLIER, LATER, NOW, page, press, says, signed_in
from tests.factories import (
    make_booking,
    make_practitioner,
)

pytestmark = pytest.mark.django_db


# --- the buttons ----------------------------------------------------------------------------------


BUTTONS = {
    # status, starts before now: buttons
    ("pending", False): {"confirm", "move", "offer", "link", "cancel"},
    ("booked", False): {"move", "link", "cancel"},
    ("booked", True): {"arrived", "seen", "noshow", "move", "cancel"},
    ("arrived", True): {"seen", "undo"},
    ("fulfilled", True): {"undo"},
    ("noshow", True): {"undo"},
    ("cancelled", False): set(),
    ("waitlist", None): {"move", "offer", "link", "cancel"},
}


def booking_in(status, past, doctor, **values):
    if status == "waitlist":
        return make_booking(status=status, created_at=NOW, **values)
    if status == "cancelled":
        values |= {"cancelled_by": "clinic", "cancelled_at": NOW}
    starts_at = EARLIER if past else LATER
    return make_booking(status=status, practitioner=doctor, starts_at=starts_at, **values)


@pytest.mark.parametrize(("status", "past"), BUTTONS)
def test_only_legal_buttons_are_shown(desk, doctor, status, past):
    booking = booking_in(status, past, doctor)
    content = desk.get(page("booking_change", booking.pk)).content.decode()
    shown = set(re.findall(rf"/admin/bookings/booking/{booking.pk}/(\w+)/\"", content))
    assert shown - {"history", "change"} == BUTTONS[status, past]


@pytest.mark.parametrize("name", ["confirm", "arrived", "seen", "noshow", "undo", "link", "cancel",
                                  "move", "offer"])  # fmt: skip
@pytest.mark.parametrize(("status", "past"), BUTTONS)
def test_illegal_presses_are_refused_in_words(desk, doctor, status, past, name):
    if name in BUTTONS[status, past]:
        return
    booking = booking_in(status, past, doctor)
    start = "2027-01-07T18:00:00Z"
    response = press(desk, booking, name, start=start, reason="", step="offer", times=f"{start} ")
    assert response.status_code == 200
    assert len(says(response)) == 1
    assert str(booking) in says(response)[0]
    after = Booking.objects.get(pk=booking.pk)
    assert (after.status, after.starts_at) == (booking.status, booking.starts_at)
    assert not AuditEvent.objects.filter(object_key=booking.reference).exists()


@pytest.mark.parametrize(
    ("name", "status", "past", "result", "action"),
    [
        ("confirm", "pending", False, "booked", "booking.confirmed"),
        ("arrived", "booked", True, "arrived", "booking.arrived"),
        ("seen", "arrived", True, "fulfilled", "booking.fulfilled"),
        ("noshow", "booked", True, "noshow", "booking.noshow"),
        ("undo", "noshow", True, "booked", "booking.undone"),
        ("cancel", "pending", False, "cancelled", "booking.cancelled"),
        ("cancel", "waitlist", None, "cancelled", "booking.cancelled"),
    ],
)
def test_each_button_calls_its_verb(desk, doctor, name, status, past, result, action):
    booking = booking_in(status, past, doctor)
    response = press(desk, booking, name, reason="Doctor is ill")
    assert response.redirect_chain == [(page("booking_change", booking.pk), 302)]
    booking.refresh_from_db()
    assert booking.status == result
    event = AuditEvent.objects.get(object_key=booking.reference)
    assert (event.action, event.actor) == (action, desk.user)
    if result == "cancelled":
        assert (booking.cancelled_by, booking.cancel_reason) == ("clinic", "Doctor is ill")


def test_buttons_take_posts_only_with_a_token(doctor):
    booking = make_booking(practitioner=doctor, status="pending", starts_at=LATER)
    desk = signed_in(roles.FRONT_DESK)
    for name in ("confirm", "arrived", "seen", "noshow", "undo", "link", "told"):
        assert desk.get(page(f"booking_{name}", booking.pk)).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(desk.user)
    for name in ("confirm", "cancel", "move", "offer", "told"):
        assert strict.post(page(f"booking_{name}", booking.pk)).status_code == 403
    assert desk.get(page("booking_cancel", booking.pk)).status_code == 200
    assert Booking.objects.get(pk=booking.pk).status == "pending"


def test_the_link_is_sent_again(desk, doctor):
    booking = make_booking(practitioner=doctor, starts_at=LATER)
    assert "A new link is on its way" in says(press(desk, booking, "link"))[0]
    assert booking.messages.get().kind == Message.Kind.LINK
    event = AuditEvent.objects.get(action="booking.link_sent")
    assert (event.actor, event.object_key) == (desk.user, booking.reference)
    without = make_booking(practitioner=doctor, starts_at=LATER + timedelta(hours=1), email="")
    assert "no address" in says(press(desk, without, "link"))[0]


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:x", ""])
def test_a_button_goes_back_to_this_site_only(desk, doctor, target):
    booking = make_booking(practitioner=doctor, status="pending", starts_at=LATER)
    response = desk.post(page("booking_confirm", booking.pk), {"next": target})
    assert response["Location"] == page("booking_change", booking.pk)


def test_the_board_records_an_outcome_and_comes_back(desk, doctor):
    booking = make_booking(practitioner=doctor, starts_at=EARLIER)
    address = page("desk") + "?day=2027-01-05"
    content = desk.get(address).content.decode()
    assert page("booking_seen", booking.pk) in content
    assert page("booking_noshow", booking.pk) in content
    response = press(desk, booking, "seen", next=address)
    assert response.redirect_chain == [(address, 302)]
    assert page("booking_seen", booking.pk) not in response.content.decode()


# --- moving ---------------------------------------------------------------------------------------


def test_a_booking_is_moved_to_a_listed_time(desk, doctor):
    other = make_practitioner(name="Dr. Two", slug="two")
    booking = make_booking(practitioner=doctor, status="pending", starts_at=LATER)
    make_booking(practitioner=other, starts_at=LATER + timedelta(hours=1))
    shown = desk.get(page("booking_move", booking.pk), {"who": "two", "day": "2027-01-06"})
    starts = re.findall(r'name="start"\s+value="([^"]+)"', shown.content.decode())
    assert "2027-01-06T17:00:00Z" in starts
    assert "2027-01-06T18:00:00Z" not in starts
    assert "Los Angeles time" in shown.content.decode()
    response = press(desk, booking, "move", start=starts[1], who="two")
    assert "Dr. Two" in says(response)[0]
    booking.refresh_from_db()
    assert (booking.practitioner, booking.status) == (other, "booked")
    assert booking.starts_at == datetime(2027, 1, 6, 17, 30, tzinfo=UTC)
    assert AuditEvent.objects.get(action="booking.rescheduled").actor == desk.user


def test_a_call_back_gets_its_first_time(desk, doctor):
    booking = make_booking(status="waitlist", visit_type="phone", created_at=NOW)
    assert "Give a time" in desk.get(page("booking_change", booking.pk)).content.decode()
    press(desk, booking, "move", start="2027-01-06T17:00:00Z")
    booking.refresh_from_db()
    assert (booking.status, booking.practitioner) == ("booked", doctor)


@pytest.mark.parametrize(
    "start", ["", "soon", "2027-01-06T17:00:00", "2027-01-06T18:00:00Z", "2027-01-06T03:00:00Z",
              "2020-01-06T18:00:00Z", "9999-99-99T99:99Z"]
)  # fmt: skip
def test_an_impossible_time_moves_nothing(desk, doctor, start):
    booking = make_booking(practitioner=doctor, starts_at=LATER)
    make_booking(practitioner=doctor, starts_at=LATER + timedelta(hours=1))
    response = press(desk, booking, "move", start=start, who="one")
    assert response.status_code == 200
    assert len(says(response)) == 1
    assert Booking.objects.get(pk=booking.pk).starts_at == LATER


def test_what_cannot_be_moved_lists_no_times(desk, doctor):
    booking = make_booking(practitioner=doctor, status="fulfilled", starts_at=EARLIER)
    content = desk.get(page("booking_move", booking.pk)).content.decode()
    assert "cannot be moved" in content
    assert 'name="start"' not in content
