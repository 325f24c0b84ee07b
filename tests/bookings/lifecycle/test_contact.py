"""Reaching a patient: every door asks the verb, and each act leaves its row in the record."""

from datetime import UTC, datetime, timedelta

import pytest

from bookings.lifecycle import contact, errors, offers
from bookings.models import Booking
from clinic.models import AuditEvent
from tests.factories import make_booking, make_clinic, make_practitioner, make_user

pytestmark = pytest.mark.django_db

NOW = datetime(2027, 1, 4, 16, tzinfo=UTC)
AHEAD = NOW + timedelta(days=1)


@pytest.fixture(autouse=True)
def clinic():
    return make_clinic()


def recorded(booking):
    events = AuditEvent.objects.filter(object_key=booking.reference).order_by("pk")
    return [(event.action, event.actor_label, event.details) for event in events]


def links_of(booking):
    return booking.messages.filter(kind="link").count()


@pytest.mark.parametrize(
    "values",
    [
        {"email": ""},
        {"starts_at": NOW - timedelta(hours=1)},
        {"status": "fulfilled"},
        {"erased_at": NOW},
    ],
)
def test_no_link_is_sent_without_an_address_or_a_visit_ahead(values):
    booking = make_booking(**{"starts_at": AHEAD} | values)
    with pytest.raises(errors.NotAllowed, match="no address to send it to, or nothing left"):
        contact.send_link(booking, by=make_user(), now=NOW)
    assert (links_of(booking), recorded(booking)) == (0, [])


def test_nothing_is_offered_to_whom_no_mail_can_tell():
    booking = make_booking(status="waitlist", email="")
    with pytest.raises(errors.NotAllowed, match="There is no e-mail address"):
        offers.offer(booking, times=[(AHEAD, None)], by=make_user(), now=NOW)
    assert not Booking.objects.filter(offered_for=booking).exists()


def test_a_lost_link_is_mailed_for_what_is_ahead_and_recorded():
    doctor = make_practitioner()
    mine = {"email": "ana@example.org", "practitioner": doctor}
    ahead = make_booking(starts_at=AHEAD, **mine)
    over = make_booking(starts_at=NOW - timedelta(hours=1), **mine)
    contact.mail_lost_links("Ana@Example.org", now=NOW)
    assert (links_of(ahead), links_of(over)) == (1, 0)
    assert recorded(ahead) == [("booking.link_asked", "patient", {})]
    assert recorded(over) == []


def test_a_correction_says_what_was_changed_and_by_whom_never_to_what():
    user, booking = make_user(), make_booking(starts_at=AHEAD)
    changed = contact.correct(booking, changes={"email": "b@example.org", "name": "B"}, by=user)
    assert (changed.email, changed.name) == ("b@example.org", "B")
    assert recorded(booking) == [("booking.changed", user.username, {"fields": ["E-mail", "Name"]})]


def test_an_offer_and_what_is_erased_are_not_corrected():
    asks = make_booking(status="waitlist")
    held = make_booking(status="proposed", offered_for=asks, starts_at=AHEAD)
    gone = make_booking(starts_at=AHEAD, erased_at=NOW)
    for booking in (held, gone):
        with pytest.raises(errors.NotAllowed):
            contact.correct(booking, changes={"name": "Ana"}, by=make_user(), now=NOW)
        assert recorded(booking) == []
