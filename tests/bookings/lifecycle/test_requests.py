"""The verbs: what each changes, records and announces, and what it refuses."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from bookings import manage_links
from bookings.lifecycle import answers, errors, visits
from bookings.models import Booking, Message
from clinic.models import Actor, AuditEvent
from tests.bookings.lifecycle.conftest import HALF, NINE, NOW, actions, ask, call_me, kinds
from tests.factories import (
    asked_of,
    make_booking,
    make_clinic,
    make_condition,
    make_hours,
    make_practitioner,
    make_user,
    slot_search,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic():
    make_hours()
    return make_clinic()


@pytest.fixture
def doctor(clinic):
    return make_practitioner()


# --- request --------------------------------------------------------------------------------------


def test_a_request_waits_and_holds_its_time(doctor):
    booking = ask()
    booking.refresh_from_db()
    assert booking.status == "pending"
    assert (booking.practitioner, booking.starts_at, booking.ends_at) == (doctor, NINE, NINE + HALF)
    assert kinds(booking) == ["desk_new", "received"]
    assert actions(booking) == ["booking.requested"]
    with pytest.raises(errors.SlotTaken):
        ask(name="Somebody Else")


def test_a_policy_switch_confirms_at_once(doctor):
    make_clinic(confirm_at_once=True)
    booking = ask()
    assert booking.status == "booked"
    assert "confirmed" in kinds(booking)
    assert "received" not in kinds(booking)


def test_buffers_are_held_too(doctor):
    make_clinic(buffer_before=10, buffer_after=20, slot_step=10)
    booking = ask(start=NINE + HALF)
    assert booking.busy_from == NINE + timedelta(minutes=20)
    assert booking.busy_until == NINE + timedelta(minutes=80)
    with pytest.raises(errors.SlotTaken):
        ask(start=NINE + timedelta(minutes=80), name="Too close")
    assert ask(start=NINE + timedelta(minutes=90), name="Far enough")


def test_any_practitioner_tries_the_free_ones_in_turn(doctor):
    second = make_practitioner(position=doctor.position + 1)
    assert ask().practitioner == doctor
    assert ask(name="Second").practitioner == second
    with pytest.raises(errors.SlotTaken):
        ask(name="Third")


@pytest.mark.parametrize(
    "start",
    [
        NINE - timedelta(days=3),  # past
        NINE + timedelta(minutes=7),  # off the grid
        datetime(2027, 1, 4, 3, tzinfo=UTC),  # closed
        NINE + timedelta(days=400),  # beyond the horizon
    ],
)
def test_a_time_that_is_not_offered_cannot_be_taken(doctor, start):
    with pytest.raises(errors.SlotTaken):
        ask(start=start)
    assert not Booking.objects.exists()
    assert not Message.objects.exists()


def test_condition_length_is_used(doctor):
    condition = make_condition(consultation_minutes=60)
    assert ask(condition=condition).ends_at == NINE + 2 * HALF


# --- idempotency ----------------------------------------------------------------------------------


def test_the_same_key_gives_the_same_booking(doctor):
    """R-01: once in the moment, and again a day later; one row, one set of messages."""
    key = uuid.uuid4()
    first = ask(key=key)
    assert ask(key=key) == first
    assert ask(key=key, now=NOW + timedelta(hours=24)) == first
    assert Booking.objects.count() == 1
    assert kinds(first) == ["desk_new", "received"]


def test_the_same_key_with_other_answers_is_refused(doctor):
    """R-02"""
    key = uuid.uuid4()
    ask(key=key)
    with pytest.raises(errors.KeyReused):
        ask(key=key, name="Other", start=NINE + HALF)
    with pytest.raises(errors.KeyReused):
        call_me(key=key)
    assert Booking.objects.count() == 1


def test_a_callback_needs_no_time(clinic):
    booking = call_me()
    assert (booking.status, booking.starts_at, booking.call_when) == ("waitlist", None, "Mornings")
    assert kinds(booking) == ["callback", "desk_new"]
    assert kinds(call_me(email="")) == ["desk_new"]


# --- the database refuses -------------------------------------------------------------------------


def test_the_database_refuses_an_overlap_from_any_door(doctor):
    ask()
    with pytest.raises(IntegrityError), transaction.atomic():
        make_booking(practitioner=doctor, starts_at=NINE + timedelta(minutes=10))
    other = make_booking(practitioner=doctor, starts_at=NINE + 4 * HALF)
    with pytest.raises(IntegrityError), transaction.atomic():
        Booking.objects.filter(pk=other.pk).update(
            busy_from=NINE, starts_at=NINE, ends_at=NINE + HALF, busy_until=NINE + HALF
        )
    with (
        pytest.raises(IntegrityError),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "UPDATE bookings_booking SET busy_from = (SELECT min(busy_from) FROM bookings_booking)"
        )
    cancelled = make_booking(
        practitioner=doctor, starts_at=NINE, status="cancelled", cancelled_by="clinic",
        cancelled_at=NOW,
    )  # fmt: skip
    with pytest.raises(IntegrityError), transaction.atomic():
        Booking.objects.filter(pk=cancelled.pk).update(
            status="booked", cancelled_by="", cancelled_at=None
        )
    assert make_booking(practitioner=doctor, starts_at=NINE + HALF), "touching is allowed"


# --- confirm, cancel, move ------------------------------------------------------------------------


def test_confirm(doctor):
    user = make_user()
    booking = answers.confirm(ask(), by=user, now=NOW)
    assert booking.status == "booked"
    assert booking.confirmed_at == NOW
    assert "confirmed" in kinds(booking)
    assert AuditEvent.objects.get(action="booking.confirmed").actor == user
    with pytest.raises(errors.NotAllowed):
        answers.confirm(booking, by=user, now=NOW)
    assert kinds(booking).count("confirmed") == 1


def test_cancel_frees_the_time(doctor):
    booking = ask()
    cancelled = answers.cancel(booking, by="patient", reason="Better", now=NOW)
    assert (cancelled.status, cancelled.cancelled_by) == ("cancelled", "patient")
    assert {"cancelled", "desk_cancelled"} <= set(kinds(booking))
    assert ask(name="Next").starts_at == NINE
    with pytest.raises(errors.NotAllowed):
        answers.cancel(booking, by="patient", now=NOW)


def test_a_patient_cannot_cancel_or_move_after_the_deadline(doctor):
    booking = ask(start=NINE + 4 * HALF)
    late = booking.starts_at - timedelta(hours=3)  # the policy says 4
    with pytest.raises(errors.NotAllowed):
        answers.cancel(booking, by="patient", now=late)
    with pytest.raises(errors.NotAllowed):
        answers.reschedule(booking, start=NINE + 10 * HALF, by="patient", now=late)
    booking.refresh_from_db()
    assert booking.status == "pending"
    by_staff = answers.cancel(booking, by=make_user(), cancelled_by="clinic", now=late)
    assert by_staff.status == "cancelled"


def test_a_move_by_the_patient_waits_again(doctor):
    booking = answers.confirm(ask(), by=make_user(), now=NOW)
    early = NOW
    before = booking.sequence
    secret = manage_links.issue(booking, now=early)
    moved = answers.reschedule(booking, start=NINE + timedelta(days=1), by="patient", now=early)
    assert (moved.status, moved.starts_at) == ("pending", NINE + timedelta(days=1))
    assert moved.sequence > before
    assert manage_links.look_up(secret, now=early) is None
    assert ask(name="Next").starts_at == NINE, "the old time is free"


def test_a_move_by_staff_is_booked(doctor):
    moved = answers.reschedule(ask(), start=NINE + 2 * HALF, by=make_user(), now=NOW)
    assert moved.status == "booked"
    assert "changed" in kinds(moved)


def test_a_move_may_overlap_the_old_time(doctor):
    make_clinic(slot_step=10)
    moved = answers.reschedule(ask(), start=NINE + timedelta(minutes=10), by=make_user(), now=NOW)
    assert moved.starts_at == NINE + timedelta(minutes=10)


def test_a_refused_move_keeps_the_old_time(doctor):
    booking, other = ask(), ask(start=NINE + HALF, name="Other")
    with pytest.raises(errors.SlotTaken):
        answers.reschedule(booking, start=other.starts_at, by="patient", now=NOW)
    booking.refresh_from_db()
    assert (booking.starts_at, booking.status) == (NINE, "pending")
    assert "desk_changed" not in kinds(booking)


def test_a_callback_gets_its_first_time(doctor):
    booking = answers.reschedule(call_me(), start=NINE, by=make_user(), now=NOW)
    assert (booking.status, booking.practitioner, booking.starts_at) == ("booked", doctor, NINE)


# --- the day --------------------------------------------------------------------------------------


def test_arrived_seen_and_undo(doctor):
    user = make_user()
    booking = answers.confirm(ask(), by=user, now=NOW)
    visits.mark_arrived(booking, by=user, now=NINE)
    seen = visits.record_outcome(booking, outcome="fulfilled", by=user, now=NINE + HALF)
    assert seen.status == "fulfilled"
    assert visits.undo(booking, by=user, now=NINE + HALF).status == "booked"
    missed = visits.record_outcome(booking, outcome="noshow", by=user, now=NINE + HALF)
    assert missed.status == "noshow"
    assert actions(booking)[-3:] == ["booking.fulfilled", "booking.undone", "booking.noshow"]


def test_undo_is_refused_when_the_time_is_somebody_elses(doctor):
    user = make_user()
    booking = answers.confirm(ask(), by=user, now=NOW)
    visits.record_outcome(booking, outcome="noshow", by=user, now=NINE + timedelta(minutes=5))
    make_booking(practitioner=doctor, starts_at=NINE + timedelta(minutes=15), minutes=10)
    with pytest.raises(errors.SlotTaken):
        visits.undo(booking, by=user, now=NINE + HALF)
    booking.refresh_from_db()
    assert booking.status == "noshow"


def test_nobody_arrives_on_an_earlier_day(doctor):
    """A slip of the mouse in another day's list; early on the day itself is all right."""
    booking = answers.confirm(ask(), by="system", now=NOW)
    with pytest.raises(errors.NotAllowed, match="later day"):
        visits.mark_arrived(booking, by="system", now=NOW - timedelta(hours=5))
    early = NOW - timedelta(hours=4)  # midnight in Los Angeles
    assert visits.mark_arrived(booking, by="system", now=early).status == "arrived"


@pytest.mark.parametrize(
    ("status", "verb"),
    [
        ("pending", lambda b: visits.mark_arrived(b, by="system", now=NINE)),
        (
            "pending",
            lambda b: visits.record_outcome(b, outcome="noshow", by=Actor.SYSTEM, now=NINE),
        ),
        ("arrived", lambda b: answers.cancel(b, by=Actor.SYSTEM, cancelled_by="clinic", now=NINE)),
        (
            "arrived",
            lambda b: visits.record_outcome(b, outcome="noshow", by=Actor.SYSTEM, now=NINE),
        ),
        ("fulfilled", lambda b: answers.confirm(b, by=Actor.SYSTEM, now=NINE)),
        ("noshow", lambda b: answers.reschedule(b, start=NINE + HALF, by=Actor.SYSTEM, now=NOW)),
        ("booked", lambda b: visits.undo(b, by=Actor.SYSTEM, now=NINE)),
        (
            "booked",
            lambda b: visits.record_outcome(b, outcome="cancelled", by=Actor.SYSTEM, now=NINE),
        ),
        (
            "booked",
            lambda b: visits.record_outcome(b, outcome="fulfilled", by=Actor.SYSTEM, now=NOW),
        ),
    ],
)
def test_what_the_status_does_not_allow_is_refused(doctor, status, verb):
    booking = make_booking(practitioner=doctor, starts_at=NINE, status=status)
    with pytest.raises(errors.NotAllowed):
        verb(booking)
    booking.refresh_from_db()
    assert booking.status == status
    assert not AuditEvent.objects.exists()
    assert not Message.objects.exists()


def test_a_lapsed_hold_gives_its_time_to_the_next(doctor):
    held = make_booking(
        practitioner=doctor, starts_at=NINE, status="pending", hold_until=NOW - timedelta(minutes=1)
    )
    assert slot_search(visit_type="in_person", practitioner=doctor, now=NOW).at(NINE)
    assert ask().starts_at == NINE
    held.refresh_from_db()
    assert (held.status, held.cancelled_by) == ("cancelled", "system")


def test_deciding_takes_few_queries(doctor, django_assert_max_num_queries):
    for number in range(40):
        make_booking(practitioner=doctor, starts_at=NINE + timedelta(days=2 + number))
    asked = asked_of()
    with django_assert_max_num_queries(31):
        ask(key=uuid.uuid4(), asked=asked)
