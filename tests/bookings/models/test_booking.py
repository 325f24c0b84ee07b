"""Named groups of bookings: each door gives the same answer, because it asks the same method."""

import itertools
import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from bookings.desk import day_board
from bookings.models import Booking
from clinic.models import Practitioner
from clinic.staff import roles
from clinic.staff.adapters import DEMO_GROUP
from tests.factories import (
    here,
    make_booking,
    make_clinic,
    make_hours,
    make_practitioner,
    make_user,
)

pytestmark = pytest.mark.django_db

NOW = datetime(2027, 1, 5, 20, 10, tzinfo=UTC)  # Tuesday 12:10 in Los Angeles
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def clinic():
    with time_machine.travel(NOW, tick=False):
        make_hours()
        yield make_clinic()


@pytest.fixture
def desk(clinic):
    roles.apply_roles()
    client, user = Client(), make_user(roles.FRONT_DESK)
    user.groups.add(Group.objects.get_or_create(name=DEMO_GROUP)[0])
    client.force_login(user)
    return client


def test_a_row_says_of_itself_what_the_group_says(clinic):
    """Every status, with each hold, end and erasure."""
    ends = (-40 * DAY, -HOUR, timedelta(), HOUR)
    holds = (None, NOW - HOUR, NOW, NOW + HOUR)
    for status, end, hold, erased in itertools.product(
        Booking.Status, ends, holds, (None, NOW - DAY)
    ):
        ended = {"cancelled_by": "patient", "cancelled_at": NOW} if status == "cancelled" else {}
        starts_at = None if status == "waitlist" and hold is None else NOW + end - HOUR / 2
        make_booking(status=status, starts_at=starts_at, hold_until=hold, erased_at=erased, **ended)
    rows = Booking.objects.all()
    for group, says in (
        (rows.waiting(), Booking.is_waiting),
        (rows.needs_outcome(), Booking.lacks_outcome),
        (rows.lapsed(), Booking.hold_is_over),
        (rows.holding_time_at(), lambda row: row.holds_time and not row.hold_is_over()),
    ):
        keys = set(group.values_list("pk", flat=True))
        assert keys, says
        assert keys == {row.pk for row in rows if says(row)}, says
    for group in (rows.ahead(), rows.awaited()):
        assert group
        assert not any(row.hold_is_over() for row in group)


CASES = {
    "lapsed": ({"status": "pending", "hold_until": NOW - HOUR}, DAY, False, False),
    "pending": ({"status": "pending"}, DAY, True, False),
    "arrived": ({"status": "arrived"}, -DAY, False, True),
    "forgotten": ({"status": "booked"}, -40 * DAY, False, True),
    "seen": ({"status": "fulfilled"}, -DAY, False, False),
}


@pytest.mark.parametrize("name", CASES)
def test_board_list_and_page_agree(clinic, desk, name):
    """Seen before: 0 waiting on the board, 1 in the list, and a button that is refused."""
    values, distance, waits, needs_outcome = CASES[name]
    booking = make_booking(
        practitioner=make_practitioner(), starts_at=NOW + distance, created_at=NOW - HOUR, **values
    )
    rows = Booking.objects.all()
    board = day_board.board(rows, Practitioner.objects.all(), day=NOW.date(),
                            location=here(), now=NOW)  # fmt: skip
    assert [item.booking for item in board["waiting"]] == [booking] * waits
    assert board["missing"] == [booking] * needs_outcome

    changelist = reverse("admin:bookings_booking_changelist")
    for choice, expected in (("waiting", waits), ("outcome", needs_outcome)):
        listed = desk.get(f"{changelist}?day={choice}").content.decode()
        assert (booking.spoken_reference in listed) == expected

    page = reverse("admin:bookings_booking_change", args=[booking.pk])
    for address, where in (
        (changelist, r'<td class="field-state[^>]*>([^<]+)<'),
        (page, r'field-state.*?readonly">([^<]+)<'),
    ):
        words = re.search(where, desk.get(address).content.decode(), re.DOTALL)[1]
        assert words.endswith("needs an outcome") == needs_outcome
        assert (words == "Waiting for the clinic") == waits
        assert (words == "Time limit passed") == (name == "lapsed")
    assert ("waits 1 h" in desk.get(changelist).content.decode()) == waits


def test_a_request_that_lapsed_is_not_on_the_board_of_its_day(clinic):
    make_booking(
        practitioner=make_practitioner(), starts_at=NOW + HOUR, status="pending", hold_until=NOW
    )
    rows = Booking.objects.all()
    people = Practitioner.objects.all()
    shown = day_board.board(rows, people, day=NOW.date(), location=here(), now=NOW)
    assert [entry for block in shown["columns"][0].blocks for entry in block.entries] == []


@pytest.mark.parametrize(
    ("status", "look", "words"),
    [
        ("pending", "waiting", "Waiting for the clinic to confirm"),
        ("waitlist", "waiting", "We will call you"),
        ("booked", "live", "Confirmed"),
        ("arrived", "live", "Arrived"),
        ("fulfilled", "live", "Seen"),
        ("cancelled", "off", "Cancelled"),
        ("noshow", "off", "Did not come"),
    ],
)
def test_how_a_patient_sees_a_status(status, look, words):
    booking = Booking(status=status)
    assert (booking.look, booking.status_for_patient) == (look, words)
