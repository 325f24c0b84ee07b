"""Fault catalogue T-01, T-03, T-05, T-08, T-10: clock changes and odd dates, in any zone.

Counts are worked out by hand from what the country's clocks did; the days are past or fixed by law.
"""

import zoneinfo
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from bookings.models import Booking
from clinic.hours import open_periods
from clinic.models import OpeningHours, Practitioner, Weekday
from tests.factories import make_booking, make_clinic, make_hours, make_practitioner, slot_search


def offered(zone, day, opens, closes, **policy):
    """Free slots on one local date, of one practitioner without bookings."""
    make_clinic(time_zone=zone, **policy)
    OpeningHours.objects.all().delete()
    make_hours(opens=opens, closes=closes)
    if not Practitioner.objects.exists():
        make_practitioner()
    return slot_search(now=some_days_before(day)).free(day, day)


def some_days_before(day):
    return datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=3)


def shown(slots, zone):
    return [f"{slot.starts_at.astimezone(ZoneInfo(zone)):%H:%M}" for slot in slots]


LA, HOWE, ISTANBUL, VANCOUVER = (
    "America/Los_Angeles",
    "Australia/Lord_Howe",
    "Europe/Istanbul",
    "America/Vancouver",
)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("zone", "day", "night", "office", "afternoon"),
    [
        # 02:00 becomes 03:00: six hours on the wall are five, so 10 half hours.
        (LA, date(2026, 3, 8), 10, 16, 10),
        # 02:00 becomes 01:00: seven hours, 14 half hours.
        (LA, date(2026, 11, 1), 14, 16, 10),
        (LA, date(2026, 3, 7), 12, 16, 10),
        (LA, date(2026, 11, 2), 12, 16, 10),
        # 02:00 becomes 02:30: five and a half hours, 11.
        (HOWE, date(2026, 10, 4), 11, 16, 10),
        # 02:00 becomes 01:30: six and a half hours, 13.
        (HOWE, date(2026, 4, 5), 13, 16, 10),
        # No change since 2016, whatever the neighbors do that night.
        (ISTANBUL, date(2026, 3, 29), 12, 16, 10),
        (ISTANBUL, date(2026, 10, 25), 12, 16, 10),
        # British Columbia stayed on summer time from 2026.
        (VANCOUVER, date(2026, 3, 8), 10, 16, 10),
        (VANCOUVER, date(2026, 11, 1), 12, 16, 10),
    ],
)
def test_t01_half_hours_on_transition_days(zone, day, night, office, afternoon):
    for opens, closes, count in [
        ("00:00", "06:00", night),
        ("09:00", "17:00", office),
        ("13:00", "18:00", afternoon),
    ]:
        slots = offered(zone, day, opens, closes)
        assert len({slot.starts_at for slot in slots}) == len(slots) == count, (opens, closes)


@pytest.mark.django_db
def test_t01_the_missing_hour_is_never_offered():
    spring = offered(LA, date(2026, 3, 8), "00:00", "06:00")
    assert " ".join(shown(spring, LA)) == (
        "00:00 00:30 01:00 01:30 03:00 03:30 04:00 04:30 05:00 05:30"
    )


@pytest.mark.django_db
def test_t01_a_half_hour_change_keeps_to_the_wall_clocks_grid():
    spring = offered(HOWE, date(2026, 10, 4), "00:00", "06:00", slot_step=60)
    assert " ".join(shown(spring, HOWE)) == "00:00 01:00 03:00 04:00 05:00"
    autumn = slot_search(now=some_days_before(date(2026, 4, 5))).free(
        date(2026, 4, 5), date(2026, 4, 5)
    )
    assert " ".join(shown(autumn, HOWE)) == "00:00 01:00 02:00 03:00 04:00 05:00"
    assert autumn[2].starts_at - autumn[1].starts_at == timedelta(minutes=90)


@pytest.mark.django_db
def test_t01_the_same_office_hours_all_around_a_change():
    make_clinic(time_zone=LA)
    make_practitioner()
    make_hours(opens="09:00", closes="17:00")
    for change in (date(2026, 3, 8), date(2026, 11, 1)):
        first, last = change - timedelta(days=3), change + timedelta(days=3)
        slots = slot_search(now=some_days_before(first)).free(first, last)
        local = [slot.starts_at.astimezone(ZoneInfo(LA)) for slot in slots]
        assert Counter(when.date() for when in local) == {
            first + timedelta(days=n): 16 for n in range(7)
        }
        assert {when.time() for when in local} == {
            time(hour, minute) for hour in range(9, 17) for minute in (0, 30)
        }


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("zone", "day", "clock", "apart"),
    [
        (LA, date(2026, 11, 1), "01:30", timedelta(hours=1)),
        (HOWE, date(2026, 4, 5), "01:30", timedelta(minutes=30)),
    ],
)
def test_t03_both_instants_of_a_doubled_time_are_offered_and_booked_apart(zone, day, clock, apart):
    slots = offered(zone, day, "00:00", "06:00")
    twins = [slot for slot in slots if shown([slot], zone) == [clock]]
    assert len(twins) == 2
    first, second = twins
    assert second.starts_at - first.starts_at == apart
    assert len({slot.starts_at.astimezone(ZoneInfo(zone)).tzname() for slot in twins}) == 2
    make_booking(practitioner=first.practitioner, starts_at=first.starts_at)
    asked = {
        "condition": None,
        "visit_type": "in_person",
        "practitioner": first.practitioner,
        "now": some_days_before(day),
    }
    assert slot_search(**asked).at(first.starts_at) is None
    assert slot_search(**asked).at(second.starts_at) == second
    make_booking(practitioner=first.practitioner, starts_at=second.starts_at)
    assert Booking.objects.count() == 2
    assert slot_search(**asked).at(second.starts_at) is None


def test_t05_nine_in_the_morning_stays_nine_in_every_zone_for_a_year():
    hours = [OpeningHours(weekday=day, opens=time(9), closes=time(17)) for day in Weekday]
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(365)]
    names = zoneinfo.available_timezones()
    assert len(names) > 400
    wrong = []
    for name in names:
        zone = ZoneInfo(name)
        for day in days:
            [(start, end)] = open_periods(day, hours, (), zone)
            opens, closes = start.astimezone(zone), end.astimezone(zone)
            if (opens.hour, opens.minute, closes.hour, opens.day) != (9, 0, 17, day.day):
                wrong.append((name, day))
    assert wrong == []


@pytest.mark.django_db
def test_t08_the_zone_data_knows_that_british_columbia_stays_on_summer_time():
    assert datetime(2026, 12, 1, 12, tzinfo=UTC).astimezone(ZoneInfo(VANCOUVER)).hour == 5
    [first, *_] = offered(VANCOUVER, date(2026, 12, 1), "09:00", "17:00")
    assert first.starts_at == datetime(2026, 12, 1, 16, tzinfo=UTC)
    make_clinic(time_zone=LA)
    [first, *_] = slot_search(now=some_days_before(date(2026, 12, 1))).free(
        date(2026, 12, 1), date(2026, 12, 1)
    )
    assert first.starts_at == datetime(2026, 12, 1, 17, tzinfo=UTC)


@pytest.mark.django_db
@pytest.mark.parametrize("day", [date(2028, 2, 29), date(2027, 12, 31), date(2027, 2, 28)])
def test_t10_the_last_slot_of_an_odd_date_ends_at_midnight_and_the_next_begins_there(day):
    slots = offered(LA, day, "22:00", "00:00")
    assert shown(slots, LA) == ["22:00", "22:30", "23:00", "23:30"]
    ends = slots[-1].ends_at.astimezone(ZoneInfo(LA))
    assert (ends.date(), ends.time()) == (day + timedelta(days=1), time(0))
    make_hours(opens="00:00", closes="01:00")
    both = slot_search(now=some_days_before(day)).free(day, day + timedelta(days=1))
    evening, night = ["22:00", "22:30", "23:00", "23:30"], ["00:00", "00:30"]
    assert shown(both, LA) == 2 * (night + evening)
    dates = [slot.starts_at.astimezone(ZoneInfo(LA)).date() for slot in both]
    assert dates == 6 * [day] + 6 * [day + timedelta(days=1)]
