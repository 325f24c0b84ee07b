"""C-12: the check of what must never be finds each kind of damage, and nothing in a sound database.

Each kind is made by raw SQL with the constraints off, inside the test's transaction.
"""

from contextlib import contextmanager
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from bookings import invariants
from bookings.lifecycle import answers, offers, visits
from bookings.models import Booking
from clinic.models import AuditEvent
from tests.factories import (
    MONDAY,
    asked_of,
    here,
    make_clinic,
    make_hours,
    make_practitioner,
    make_request,
    make_user,
)

pytestmark = pytest.mark.django_db

NOW = MONDAY + timedelta(hours=12)
NINE = MONDAY + timedelta(hours=17)
HALF = timedelta(minutes=30)


@contextmanager
def unguarded():
    """The same database without what refuses wrong rows; it comes back with the test's end."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = ON")
            for event in ("insert", "update"):
                cursor.execute(f"DROP TRIGGER booking_no_overlap_{event}")
        else:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            for constraint in Booking._meta.constraints:
                cursor.execute(f"ALTER TABLE bookings_booking DROP CONSTRAINT {constraint.name}")
    try:
        yield
    finally:
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA ignore_check_constraints = OFF")


def sql(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        assert cursor.rowcount == 1


@pytest.fixture
def bookings():
    """One booking in every state that verbs lead to."""
    make_clinic()
    make_hours()
    doctor = make_practitioner()
    desk = make_user()
    number = iter(range(100))

    def ask():
        return make_request(
            start=NINE + 2 * HALF * next(number), practitioner=doctor, visit_type="in_person",
            name="Pat Example", email="pat@example.org", phone="+13235550119",
            consent_version="1", asked=asked_of(), now=NOW,
        )  # fmt: skip

    made = {
        "pending": ask(),
        "booked": answers.confirm(ask(), by=desk, now=NOW),
        "cancelled": answers.cancel(ask(), by="patient", now=NOW),
        "moved": answers.reschedule(ask(), start=NINE + 13 * HALF, by="patient", now=NOW),
        "moved by staff": answers.reschedule(ask(), start=NINE + 15 * HALF, by=desk, now=NOW),
        "call-back": make_request(
            visit_type="phone", name="Pat", phone="+13235550119", email="pat@example.org",
            consent_version="1", asked=asked_of(), now=NOW,
        ),
    }  # fmt: skip
    for outcome in ("fulfilled", "noshow"):
        booking = answers.confirm(ask(), by=desk, now=NOW)
        late = booking.ends_at + HALF
        visits.record_outcome(booking, outcome=outcome, by=desk, now=late)
        if outcome == "noshow":
            visits.undo(booking, by=desk, now=late)
        made[outcome] = booking
    asked = make_request(
        visit_type="in_person", name="Sam", phone="+13235550118", email="sam@example.org",
        consent_version="1", asked=asked_of(), now=NOW,
    )  # fmt: skip
    evening = [(NINE + hours * 2 * HALF + HALF, doctor) for hours in range(3)]
    offers.offer(asked, times=evening, by=desk, now=NOW)
    offers.offer(asked, times=evening[1:], by=desk, now=NOW)
    offers.choose(
        asked, offered=asked.offers.get(status="proposed", starts_at=evening[1][0]), now=NOW
    )
    made["offer taken"] = asked
    return made


def broken():
    return {name: found for name, found in invariants.broken().items() if found}


def test_a_sound_database_breaks_nothing(bookings):
    output = StringIO()
    call_command("check_invariants", stdout=output)
    lines = output.getvalue().splitlines()
    assert len(lines) == len(invariants.INVARIANTS)
    assert {line.split()[0] for line in lines} == {"0"}


# Each: which booking is damaged, how (with its key as %s), and what has to be noticed.
DAMAGE = {
    "overlap": (
        "pending",
        "UPDATE bookings_booking SET busy_until = (SELECT busy_until FROM bookings_booking b "
        "WHERE b.status = 'booked' ORDER BY busy_from LIMIT 1) WHERE id = %s",
        "overlapping bookings that hold time",
    ),
    "part of a time": (
        "cancelled",
        "UPDATE bookings_booking SET ends_at = NULL WHERE id = %s",
        "bookings whose times are not whole",
    ),
    "times in a wrong order": (
        "cancelled",
        "UPDATE bookings_booking SET busy_until = starts_at WHERE id = %s",
        "bookings whose times are not whole",
    ),
    "nobody's time": (
        "pending",
        "UPDATE bookings_booking SET practitioner_id = NULL WHERE id = %s",
        "bookings that hold time without a practitioner",
    ),
    "no consent": (
        "call-back",
        "UPDATE bookings_booking SET consent_at = NULL WHERE id = %s",
        "bookings from the website without consent",
    ),
    "no version of the consent": (
        "pending",
        "UPDATE bookings_booking SET consent_version = '' WHERE id = %s",
        "bookings from the website without consent",
    ),
    "status changed past the verbs": (
        "pending",
        "UPDATE bookings_booking SET status = 'arrived' WHERE id = %s",
        "bookings whose status or time has no audit row",
    ),
    "time changed past the verbs": (
        "cancelled",
        "UPDATE bookings_booking SET starts_at = (SELECT starts_at FROM bookings_booking b WHERE "
        "b.status = 'pending' ORDER BY starts_at LIMIT 1) WHERE id = %s",
        "bookings whose status or time has no audit row",
    ),
    "confirmation unannounced": (
        "booked",
        "DELETE FROM bookings_message WHERE kind = 'confirmed' AND booking_id = %s",
        "confirmed or cancelled bookings without exactly one message",
    ),
    "cancellation unannounced": (
        "cancelled",
        "DELETE FROM bookings_message WHERE kind = 'cancelled' AND booking_id = %s",
        "confirmed or cancelled bookings without exactly one message",
    ),
}


@pytest.mark.parametrize(("which", "statement", "noticed"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_noticed(bookings, which, statement, noticed):
    with unguarded():
        sql(statement, bookings[which].pk)
        found = broken()
        assert noticed in found
        with pytest.raises(CommandError, match="invariants are broken") as stop:
            call_command("check_invariants", stdout=StringIO())
        assert stop.value.returncode == 1


def test_a_second_message_of_the_same_news_is_noticed(bookings):
    message = bookings["booked"].messages.get(kind="confirmed")
    message.pk, message.key = None, message.key.replace("confirmed", "changed")
    message.save()
    assert list(broken()) == ["confirmed or cancelled bookings without exactly one message"]


def test_a_booking_without_any_audit_row_is_noticed(bookings):
    reference = bookings["call-back"].reference
    AuditEvent.objects.filter(object_key=reference).delete()
    assert broken() == {"bookings whose status or time has no audit row": [reference]}


def test_a_booking_of_a_place_that_is_gone_is_noticed(bookings):
    booking = Booking.objects.filter(pk=bookings["booked"].pk)
    booking.update(location=99)  # the foreign key is looked at when the transaction ends
    assert broken() == {"bookings of a place that is not there": [booking.get().reference]}
    booking.update(location=here())


def test_the_command_names_bookings_to_begin_with(bookings):
    reference = bookings["cancelled"].reference
    bookings["cancelled"].messages.filter(kind="cancelled").delete()
    output = StringIO()
    with pytest.raises(CommandError):
        call_command("check_invariants", stdout=output)
    assert (
        f"     1  confirmed or cancelled bookings without exactly one message  ({reference})"
        in (output.getvalue())
    )
