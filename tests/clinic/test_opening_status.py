"""The opening hours in words: open or closed now, the next opening, the coming week."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from clinic import opening_status
from clinic.models import Closure, OpeningHours
from tests.factories import make_closure, make_hours, make_location, make_practitioner

ZONE = ZoneInfo("America/Los_Angeles")


def rules(*days, opens="08:00", closes="18:00"):
    return [
        OpeningHours(
            weekday=day, opens=time.fromisoformat(opens), closes=time.fromisoformat(closes)
        )
        for day in days
    ]


WEEK = [*rules(1, 2, 3, 4), *rules(5, closes="16:00"), *rules(6, opens="09:00", closes="13:00")]
THANKSGIVING = Closure(
    first_day=date(2026, 11, 26), last_day=date(2026, 11, 26), public_note="Thanksgiving"
)


def at(text):
    """An instant from local Los Angeles time."""
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC)


def describe(text, hours=WEEK, closures=(), **kwargs):
    return opening_status.describe(hours, closures, ZONE, at(text), **kwargs)


@pytest.mark.parametrize(
    ("now", "open_now", "sentence"),
    [
        ("2026-11-23T08:00", True, "Open now, until 18:00."),
        ("2026-11-23T17:59", True, "Open now, until 18:00."),
        ("2026-11-23T18:00", False, "Closed now, opens tomorrow at 08:00."),
        ("2026-11-23T06:30", False, "Closed now, opens today at 08:00."),
        ("2026-11-21T14:00", False, "Closed now, opens Monday at 08:00."),
    ],
)
def test_open_or_closed_now(now, open_now, sentence):
    told = describe(now)
    assert (told.open_now, told.sentence) == (open_now, sentence)


def test_a_closure_counts():
    told = describe("2026-11-26T10:00", closures=[THANKSGIVING])
    assert told.sentence == "Closed now, opens tomorrow at 08:00."


def test_a_lunch_break_counts():
    hours = rules(1, closes="12:00") + rules(1, opens="13:00")
    told = describe("2026-11-23T12:30", hours)
    assert told.sentence == "Closed now, opens today at 13:00."
    assert told.rows[0] == ("Mon", "08:00 to 12:00, 13:00 to 18:00", True)


def test_a_long_closure_names_the_date_or_none():
    away = Closure(first_day=date(2026, 11, 23), last_day=date(2026, 12, 2))
    told = describe("2026-11-23T10:00", closures=[away])
    assert told.sentence == "Closed now, opens on December 3 at 08:00."
    gone = Closure(first_day=date(2026, 11, 23), last_day=date(2027, 3, 1))
    assert describe("2026-11-23T10:00", closures=[gone]).sentence == "Closed now."


def test_the_week_groups_equal_days_and_marks_today():
    told = describe("2026-11-22T11:30", closures=[THANKSGIVING], city="Los Angeles")
    assert told.rows == [
        ("Mon to Wed", "08:00 to 18:00", False),
        ("Thu 26 Nov", "Thanksgiving, closed", False),
        ("Fri", "08:00 to 16:00", False),
        ("Sat", "09:00 to 13:00", False),
        ("Sun", "Closed", True),
    ]
    assert told.now_text == "Los Angeles time. It is now 11:30 on Sunday there."


def test_today_is_never_grouped():
    labels = [label for label, _value, _today in describe("2026-11-24T10:00").rows]
    assert labels == ["Mon", "Tue", "Wed to Thu", "Fri", "Sat", "Sun"]


def test_the_clock_change_moves_the_instant_not_the_words():
    # Clocks go back on 1 November 2026.
    assert describe("2026-10-31T14:00").sentence == "Closed now, opens Monday at 08:00."
    assert describe("2026-11-02T07:59").sentence == "Closed now, opens today at 08:00."


@pytest.mark.django_db
def test_read_takes_the_clinic_rules_only(django_assert_num_queries):
    location = make_location()
    assert opening_status.read(location) is None
    make_hours(weekday=1)
    make_hours(make_practitioner(), weekday=2)
    make_closure(make_practitioner(), first_day="2026-11-23", last_day="2026-11-23")
    with django_assert_num_queries(2):
        told = opening_status.read(location, now=at("2026-11-23T10:00"))
    assert told.open_now
    assert ("Tue to Sun", "Closed", False) in told.rows
