"""The clinic offers other times: they are held, one is taken, the rest are free at once."""

from datetime import timedelta

import pytest
from django.db import connection

from bookings.lifecycle import answers, errors, offers, requests, visits
from bookings.models import Booking, Message
from tests.bookings.lifecycle.conftest import HALF, NINE, NOW, actions, ask, call_me, kinds
from tests.factories import here, make_clinic, make_hours, make_practitioner, make_user, slot_search

pytestmark = pytest.mark.django_db


@pytest.fixture
def doctor():
    make_clinic()
    make_hours()
    return make_practitioner()


@pytest.fixture
def desk():
    return make_user()


def three(doctor):
    return [(NINE + number * 2 * HALF, doctor) for number in (1, 2, 3)]


def free(start):
    return slot_search(visit_type="in_person", now=NOW).at(start)


def test_offered_times_are_held(doctor, desk):
    booking = call_me(visit_type="in_person")
    offers.offer(booking, times=three(doctor), by=desk, now=NOW)
    assert booking.offers.filter(status="proposed").count() == 3
    assert not any(free(start) for start, _ in three(doctor))
    with pytest.raises(errors.SlotTaken):
        ask(start=NINE + 2 * HALF)
    assert "offered" in kinds(booking)
    assert "booking.offered" in actions(booking)


def test_choosing_one_frees_the_others_and_confirms(doctor, desk):
    booking = call_me(visit_type="in_person")
    offers.offer(booking, times=three(doctor), by=desk, now=NOW)
    second = booking.offers.order_by("starts_at")[1]
    chosen = offers.choose(booking, offered=second, now=NOW)
    assert (chosen.status, chosen.starts_at, chosen.practitioner) == (
        "booked", second.starts_at, doctor
    )  # fmt: skip
    assert {"confirmed", "desk_changed"} <= set(kinds(booking))
    assert not booking.offers.filter(status="proposed").exists()
    assert free(NINE + 2 * HALF)
    assert free(NINE + 6 * HALF)
    assert not free(second.starts_at)
    with pytest.raises(errors.SchedulingError):
        offers.choose(booking, offered=booking.offers.order_by("starts_at")[0], now=NOW)
    again = offers.choose(booking, offered=second, now=NOW)
    assert (again.starts_at, again.sequence) == (chosen.starts_at, chosen.sequence)
    assert kinds(booking).count("confirmed") == 1


def unverified(**changes):
    return ask(verify_within=timedelta(minutes=15), **changes)


def test_nothing_is_offered_for_a_request_that_lapsed(doctor, desk):
    booking = unverified()
    later = NOW + timedelta(minutes=16)
    with pytest.raises(errors.NotAllowed):
        offers.offer(booking, times=[(NINE + HALF, doctor)], by=desk, now=later)
    assert free(NINE + HALF)
    assert "offered" not in kinds(booking)


def test_a_request_that_the_clinic_answers_does_not_lapse(doctor, desk):
    booking = unverified()
    offers.offer(booking, times=[(NINE + 4 * HALF, doctor)], by=desk, now=NOW)
    later = NOW + timedelta(hours=1)
    requests.free_all_lapsed(later)
    chosen = offers.choose(booking, offered=booking.offers.get(), now=later)
    assert (chosen.status, chosen.starts_at) == ("booked", NINE + 4 * HALF)


def test_a_request_keeps_its_time_until_another_is_chosen(doctor, desk):
    booking = ask()
    offers.offer(booking, times=three(doctor), by=desk, now=NOW)
    assert not free(NINE)
    offers.choose(booking, offered=booking.offers.first(), now=NOW)
    assert free(NINE)


def test_expiry_frees_all(doctor, desk):
    booking = call_me(visit_type="in_person")
    offers.offer(booking, times=three(doctor), by=desk, hold=timedelta(minutes=30), now=NOW)
    later = NOW + timedelta(minutes=31)
    with pytest.raises(errors.SlotTaken):
        offers.choose(booking, offered=booking.offers.first(), now=later)
    assert requests.free_all_lapsed(later) == 3
    assert requests.free_all_lapsed(later) == 0
    assert ask(start=NINE + 2 * HALF, now=later)
    assert not Booking.objects.filter(status="proposed").exists()


def test_one_taken_time_holds_nothing(doctor, desk):
    ask(start=NINE + 4 * HALF)
    booking = call_me(visit_type="in_person")
    with pytest.raises(errors.SlotTaken):
        offers.offer(booking, times=three(doctor), by=desk, now=NOW)
    assert not Booking.objects.filter(status="proposed").exists()
    assert not Message.objects.filter(kind="offered").exists()


@pytest.mark.parametrize("count", [0, 4])
def test_one_to_three(doctor, desk, count):
    booking = call_me(visit_type="in_person")
    times = [(NINE + number * 2 * HALF, doctor) for number in range(count)]
    with pytest.raises(errors.NotAllowed):
        offers.offer(booking, times=times, by=desk, now=NOW)


def test_a_new_offer_replaces_the_old(doctor, desk):
    booking = call_me(visit_type="in_person")
    offers.offer(booking, times=three(doctor), by=desk, now=NOW)
    offers.offer(booking, times=[(NINE, None)], by=desk, now=NOW + HALF / 2)
    assert booking.offers.filter(status="proposed").count() == 1
    assert Message.objects.filter(kind="offered").count() == 2


def test_another_bookings_offer_cannot_be_taken(doctor, desk):
    booking, other = call_me(visit_type="in_person"), call_me(visit_type="in_person", name="Other")
    offers.offer(booking, times=three(doctor), by=desk, now=NOW)
    with pytest.raises(errors.SlotTaken):
        offers.choose(other, offered=booking.offers.first(), now=NOW)


@pytest.mark.parametrize("end", ["confirm", "cancel", "reschedule"])
def test_every_answer_ends_the_offers(doctor, desk, end):
    booking = ask()
    offers.offer(booking, times=three(doctor), by=desk, now=NOW)
    if end == "confirm":
        answers.confirm(booking, by=desk, now=NOW)
    elif end == "cancel":
        answers.cancel(booking, by=desk, cancelled_by="clinic", now=NOW)
    else:
        answers.reschedule(booking, start=NINE + 10 * HALF, by=desk, now=NOW)
    assert not Booking.objects.filter(status="proposed").exists()


def test_an_unverified_request_lapses_and_a_verified_one_stands(doctor):
    booking = ask(verify_within=timedelta(minutes=15))
    assert kinds(booking) == ["verify"]
    assert not free(NINE)
    requests.verify_email(booking, now=NOW + timedelta(minutes=14))
    assert kinds(booking) == ["desk_new", "received", "verify"]
    requests.verify_email(booking, now=NOW + timedelta(minutes=20))
    late = ask(start=NINE + HALF, verify_within=timedelta(minutes=15), name="Late")
    with pytest.raises(errors.NotAllowed):
        requests.verify_email(late, now=NOW + timedelta(minutes=15))
    assert ask(start=NINE + HALF, name="Next", now=NOW + timedelta(minutes=16))


def test_a_missed_visit_is_followed_up_unless_undone(doctor, desk):
    booking = answers.confirm(ask(), by=desk, now=NOW)
    visits.record_outcome(booking, outcome="noshow", by=desk, now=NINE + HALF)
    follow_up = Message.objects.get(kind="follow_up")
    assert follow_up.due_at == NINE + HALF + timedelta(hours=1)


def test_lapsed_holds_are_found_without_reading_the_past(doctor):
    """At 100,000 bookings the whole past of a practitioner cost 12 ms of every booking."""
    seen = {
        "location": here(),
        "practitioner": doctor,
        "status": "fulfilled",
        "visit_type": "video",
    }
    past = [NOW - timedelta(hours=number) for number in range(2, 4002)]
    Booking.objects.bulk_create(
        Booking(starts_at=at, ends_at=at + HALF, busy_from=at, busy_until=at + HALF, **seen)
        for at in past
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "ANALYZE bookings_booking" if connection.vendor == "postgresql" else "SELECT 1"
        )
    assert "booking_time_held" in Booking.objects.lapsed(NOW).filter(practitioner=doctor).explain()
