"""The clinic offers other times at the desk."""

import re
from datetime import timedelta

import pytest

from bookings.lifecycle import offers
from bookings.models import Booking, Message
from clinic.models import AuditEvent
from tests.bookings.admin.conftest import LATER, NOW, listed, offered, page, press, says
from tests.factories import (
    make_booking,
    make_closure,
    make_practitioner,
)

pytestmark = pytest.mark.django_db


def ticks(response, checked=False):
    """The values of the page's boxes for times, or of those that are ticked."""
    pattern = r'type="checkbox" name="times" value="([^"]*)"'
    return re.findall(pattern + (" checked" if checked else ""), response.content.decode())


def test_times_are_offered_over_several_days(desk, doctor):
    make_practitioner(name="Dr. Two", slug="two")
    booking = make_booking(status="waitlist", visit_type="phone", created_at=NOW)
    address = page("booking_offer", booking.pk)
    assert address in desk.get(page("booking_change", booking.pk)).content.decode()
    first = desk.get(address, {"day": "2027-01-06"})
    assert "2027-01-06T17:00:00Z " in ticks(first)
    assert ticks(first, checked=True) == []
    second = desk.post(
        address, {"day": ["2027-01-06", "2027-01-07"], "who": "two", "times": ticks(first)[0]}
    )
    assert ticks(second, checked=True) == ["2027-01-06T17:00:00Z "]
    assert "2027-01-07T17:00:00Z two" in ticks(second)
    chosen = [*ticks(second, checked=True), "2027-01-07T17:00:00Z two", "2027-01-08T18:30:00Z one"]
    back = desk.post(address, {"day": "2027-01-07", "who": "two", "times": chosen})
    assert set(ticks(back, checked=True)) == set(chosen)
    assert not Booking.objects.filter(status="proposed").exists()
    done = press(desk, booking, "offer", times=chosen, who="two", day="2027-01-07", step="offer")
    assert done.redirect_chain == [(page("booking_change", booking.pk), 302)]
    assert "offered and held" in says(done)[0]
    rows = booking.offers.order_by("starts_at").values_list("practitioner__slug", "status")
    assert list(rows) == [("one", "proposed"), ("two", "proposed"), ("one", "proposed")]
    assert AuditEvent.objects.get(action="booking.offered").actor == desk.user
    assert booking.messages.filter(kind=Message.Kind.OFFERED).exists()


def test_the_booking_says_what_became_of_its_offers(desk, doctor):
    booking = make_booking(status="waitlist", visit_type="in_person", created_at=NOW)
    times = [(LATER + timedelta(hours=hours), doctor) for hours in (0, 1)]
    offers.offer(booking, times=times, by=desk.user)
    address = page("booking_change", booking.pk)
    content = desk.get(address).content.decode()
    assert content.count("Held until Wed 6 Jan 2027, 09:00") == 1
    assert content.count("Held until Wed 6 Jan 2027, 10:00") == 1
    assert "The patient chooses one on the manage page" in content
    offers.choose(booking, offered=booking.offers.order_by("starts_at")[1])
    content = desk.get(address).content.decode()
    assert content.count("Ended, the time was given back") == 1
    assert content.count("<small>Taken</small>") == 1
    assert "The patient chooses one" not in content


def test_an_offer_whose_hold_ran_out_has_ended(desk, doctor):
    booking = make_booking(status="waitlist", created_at=NOW)
    offered(booking, doctor, LATER, hold_until=NOW - timedelta(minutes=1))
    content = desk.get(page("booking_change", booking.pk)).content.decode()
    assert "Ended, the time was given back" in content
    assert "Offered</b>" not in desk.get(page("desk") + "?day=2027-01-06").content.decode()


def test_a_time_that_somebody_else_took_is_named_and_the_others_kept(desk, doctor):
    booking = make_booking(status="waitlist", visit_type="in_person", created_at=NOW)
    make_booking(practitioner=doctor, starts_at=LATER)
    chosen = ["2027-01-06T17:00:00Z one", "2027-01-06T18:00:00Z one"]
    response = press(
        desk, booking, "offer", times=chosen, who="one", day="2027-01-06", step="offer"
    )
    assert "just been taken" in says(response)[0]
    assert set(ticks(response, checked=True)) == set(chosen)
    assert response.content.decode().count("No longer free") == 1
    assert not Booking.objects.filter(status="proposed").exists()


def test_offered_times_are_ticked_when_more_are_offered(desk, doctor):
    booking = make_booking(status="waitlist", visit_type="in_person", created_at=NOW)
    offers.offer(booking, times=[(LATER, doctor)], by=desk.user)
    kept = ticks(desk.get(page("booking_offer", booking.pk)), checked=True)
    assert kept == ["2027-01-06T17:00:00Z one"]
    press(desk, booking, "offer", times=[*kept, "2027-01-06T18:00:00Z "], step="offer")
    assert booking.offers.filter(status="proposed").count() == 2


@pytest.mark.parametrize(
    "times",
    [[], ["soon one"], ["2027-01-06T17:00:00Z nobody"], ["2027-01-06T03:00:00Z one"],
     [f"2027-01-06T{hour}:00:00Z " for hour in (17, 18, 19, 20)],
     ["2027-01-06T17:00:00Z one", "2027-01-06T17:00:00Z "], ["2020-01-06T18:00:00Z one"],
     ["9999-99-99T99:99Z one"], [f"2027-01-06T17:00:{n:02}Z " for n in range(60)]],
)  # fmt: skip
def test_impossible_choices_offer_nothing(desk, doctor, times):
    booking = make_booking(status="waitlist", visit_type="in_person", created_at=NOW)
    response = press(desk, booking, "offer", times=times, step="offer")
    assert response.status_code == 200
    assert len(says(response)) == 1
    assert not Booking.objects.filter(status="proposed").exists()


def test_the_first_day_shown_has_something_to_offer(desk, doctor):
    make_closure(first_day="2027-01-05", last_day="2027-01-13")
    call = make_booking(status="waitlist", visit_type="phone", created_at=NOW)
    assert "2027-01-14T17:00:00Z " in ticks(desk.get(page("booking_offer", call.pk)))
    asked = make_booking(practitioner=doctor, status="pending",
                         starts_at=LATER + timedelta(days=9, hours=1))  # fmt: skip
    assert "2027-01-15T17:00:00Z " in ticks(desk.get(page("booking_offer", asked.pk)))


def test_without_an_address_nothing_is_offered(desk, doctor):
    booking = make_booking(status="waitlist", visit_type="phone", email="", created_at=NOW)
    address = page("booking_offer", booking.pk)
    assert address not in desk.get(page("booking_change", booking.pk)).content.decode()
    assert "no e-mail address" in desk.get(address).content.decode()
    response = press(desk, booking, "offer", times=["2027-01-06T17:00:00Z one"], step="offer")
    assert "no e-mail address" in says(response)[0]
    assert not Booking.objects.filter(status="proposed").exists()


def test_offered_times_are_no_requests_of_their_own(desk, doctor):
    booking = make_booking(status="waitlist", name="Ana Waits", created_at=NOW)
    row = offered(booking, doctor, LATER)
    assert listed(desk) == [booking]
    assert listed(desk, day="week") == []
    assert listed(desk, q=row.reference) == []
    assert listed(desk, status__exact="proposed") == [row]
    content = desk.get(page("desk") + "?day=2027-01-06").content.decode()
    assert re.search(r'class="appointment appointment-offer"\s+href="([^"]+)"', content)[1] == page(
        "booking_change", booking.pk
    )
    assert "<b>Offered</b><span><bdi>Ana Waits</bdi></span>" in content
    of_row = " ".join(desk.get(page("booking_change", row.pk)).content.decode().split())
    assert f'offer for <a href="{page("booking_change", booking.pk)}">{booking}</a>' in of_row
    assert 'name="staff_note"' not in of_row


def test_a_practitioner_sees_that_time_is_held_but_not_for_whom(practitioner, doctor):
    booking = make_booking(status="waitlist", name="Ana Waits", created_at=NOW)
    row = offered(booking, doctor, LATER)
    board = practitioner.get(page("desk") + "?day=2027-01-06").content.decode()
    of_row = practitioner.get(page("booking_change", row.pk)).content.decode()
    assert page("booking_change", row.pk) in board
    for content in (board, of_row):
        assert "Ana Waits" not in content
        assert str(booking) not in content
