"""Opening hours as stretches of real time: weekly rules, closures, and every kind of odd day."""

from datetime import UTC, date, datetime, time, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clinic.hours import day_start, intersect, merge, open_periods, stretches, subtract
from clinic.models import Closure, OpeningHours, Weekday

UTC_ZONE = ZoneInfo("UTC")
LOS_ANGELES = ZoneInfo("America/Los_Angeles")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")

# Zone, date, the date's length in hours. Changes at 02:00, by half an hour, at midnight forwards
# and back, not at all (both countries stay on summer time), and a date that was left out.
# Past dates, because countries change their plans.
ODD_DAYS = [
    ("America/Los_Angeles", date(2026, 3, 8), 23),
    ("America/Los_Angeles", date(2026, 11, 1), 25),
    ("America/Los_Angeles", date(2026, 3, 7), 24),
    ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
    ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
    ("America/Santiago", date(2025, 9, 7), 23),
    ("America/Santiago", date(2025, 4, 5), 25),
    ("America/Havana", date(2025, 11, 2), 25),
    ("America/Havana", date(2025, 3, 9), 23),
    ("Europe/Istanbul", date(2026, 3, 29), 24),
    ("Europe/Istanbul", date(2026, 10, 25), 24),
    ("America/Vancouver", date(2026, 11, 1), 24),
    ("Pacific/Apia", date(2011, 12, 30), 0),
]


def rule(opens, closes, weekday=None, valid_from=None, valid_until=None):
    """One weekly rule, or the same on all seven days."""
    values = {
        "opens": time.fromisoformat(opens),
        "closes": time.fromisoformat(closes),
        "valid_from": valid_from,
        "valid_until": valid_until,
    }
    return [OpeningHours(weekday=day, **values) for day in ([weekday] if weekday else Weekday)]


def closure(first, last=None, from_time=None, until_time=None):
    return Closure(
        first_day=first,
        last_day=last or first,
        from_time=from_time and time.fromisoformat(from_time),
        until_time=until_time and time.fromisoformat(until_time),
    )


def shown(periods, zone=UTC_ZONE):
    """Periods as the wall clock shows them: ["09:00-17:00"]."""
    return [f"{a.astimezone(zone):%H:%M}-{b.astimezone(zone):%H:%M}" for a, b in periods]


def hours_in(periods):
    return sum((b - a for a, b in periods), timedelta()) / timedelta(hours=1)


MONDAY = date(2027, 1, 4)


# --- periods --------------------------------------------------------------------------------------

small_periods = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6)


def points(periods):
    return {point for start, end in periods for point in range(start, end)}


def assert_in_order_and_apart(periods):
    edges = [edge for period in periods for edge in period]
    assert edges == sorted(set(edges))


@given(small_periods)
def test_merge_keeps_every_point_and_joins_what_touches(periods):
    merged = merge(periods)
    assert points(merged) == points(periods)
    assert_in_order_and_apart(merged)


@given(small_periods, small_periods)
@example([(0, 2), (5, 9)], [(1, 6)])
def test_subtract_leaves_the_points_outside_the_holes(periods, holes):
    left = subtract(periods, holes)
    assert points(left) == points(periods) - points(holes)
    assert_in_order_and_apart(left)


@given(small_periods, small_periods)
def test_intersect_keeps_the_points_of_both(a, b):
    both = intersect(a, b)
    assert points(both) == points(a) & points(b)
    assert_in_order_and_apart(both)


def test_touching_periods_do_not_overlap():
    assert intersect([(0, 5)], [(5, 9)]) == []
    assert subtract([(0, 5)], [(5, 9)]) == [(0, 5)]
    assert merge([(5, 9), (0, 5)]) == [(0, 9)]


# --- rules ----------------------------------------------------------------------------------------


def test_a_rule_is_read_in_the_clinics_wall_clock():
    [(start, end)] = open_periods(MONDAY, rule("09:00", "17:00"), [], LOS_ANGELES)
    assert start == datetime(2027, 1, 4, 17, tzinfo=UTC)
    assert end == datetime(2027, 1, 5, 1, tzinfo=UTC)
    assert start.utcoffset() == timedelta(0)


@pytest.mark.parametrize("weekday", range(1, 8))
def test_each_weekday_opens_on_its_own_day_only(weekday):
    week = [MONDAY + timedelta(days=n) for n in range(7)]
    hours = rule("09:00", "17:00", weekday=weekday)
    open_days = [day for day in week if open_periods(day, hours, [], LOS_ANGELES)]
    assert [day.isoweekday() for day in open_days] == [weekday]
    assert [f"{day:%A}" for day in open_days] == [Weekday(weekday).label]


def test_several_rules_a_day_are_joined_where_they_touch():
    hours = [*rule("14:00", "17:00"), *rule("09:00", "12:00"), *rule("12:00", "13:00")]
    assert shown(open_periods(MONDAY, hours, [], UTC_ZONE)) == ["09:00-13:00", "14:00-17:00"]


def test_no_rules_is_closed():
    assert open_periods(MONDAY, [], [], LOS_ANGELES) == []


def test_valid_from_and_until_are_both_included():
    hours = rule("09:00", "17:00", valid_from=date(2027, 1, 5), valid_until=date(2027, 1, 6))
    days = [MONDAY + timedelta(days=n) for n in range(4)]
    assert [bool(open_periods(day, hours, [], UTC_ZONE)) for day in days] == [0, 1, 1, 0]


def test_closing_at_midnight_is_the_end_of_the_day_and_meets_the_next():
    today = open_periods(MONDAY, rule("20:00", "00:00"), [], LOS_ANGELES)
    tomorrow = open_periods(MONDAY + timedelta(days=1), rule("00:00", "02:00"), [], LOS_ANGELES)
    assert shown(today, LOS_ANGELES) == ["20:00-00:00"]
    assert hours_in(today) == 4
    assert hours_in(merge(today + tomorrow)) == 6
    assert len(merge(today + tomorrow)) == 1


def test_open_round_the_clock():
    assert hours_in(open_periods(MONDAY, rule("00:00", "00:00"), [], LOS_ANGELES)) == 24


@pytest.mark.parametrize(
    ("day", "weekday"), [(date(2028, 2, 29), 2), (date(2027, 12, 31), 5), (date(2028, 1, 1), 6)]
)
def test_leap_day_and_turn_of_the_year(day, weekday):
    hours = rule("09:00", "17:00", weekday=weekday)
    assert shown(open_periods(day, hours, [], LOS_ANGELES), LOS_ANGELES) == ["09:00-17:00"]
    assert open_periods(day + timedelta(days=1), hours, [], LOS_ANGELES) == []


# --- closures -------------------------------------------------------------------------------------


def test_a_whole_day_closure_closes_its_first_and_last_day():
    closures = [closure(date(2027, 1, 5), date(2027, 1, 6))]
    days = [MONDAY + timedelta(days=n) for n in range(4)]
    found = [bool(open_periods(day, rule("09:00", "17:00"), closures, UTC_ZONE)) for day in days]
    assert found == [1, 0, 0, 1]


def test_a_part_day_closure_closes_that_part_of_each_of_its_days():
    closures = [closure(MONDAY, date(2027, 1, 5), "12:00", "13:30")]
    for day in (MONDAY, date(2027, 1, 5)):
        assert shown(open_periods(day, rule("09:00", "17:00"), closures, UTC_ZONE)) == [
            "09:00-12:00",
            "13:30-17:00",
        ]
    after = open_periods(date(2027, 1, 6), rule("09:00", "17:00"), closures, UTC_ZONE)
    assert shown(after) == ["09:00-17:00"]


def test_closures_may_overlap_each_other_and_the_edges():
    closures = [
        closure(MONDAY, MONDAY, "08:00", "09:30"),
        closure(MONDAY, MONDAY, "09:15", "10:00"),
        closure(MONDAY, MONDAY, "16:00", "18:00"),
    ]
    found = open_periods(MONDAY, rule("09:00", "17:00"), closures, UTC_ZONE)
    assert shown(found) == ["10:00-16:00"]


# --- days on which the clock changes --------------------------------------------------------------


@pytest.mark.parametrize(("zone", "day", "length"), ODD_DAYS)
def test_a_day_is_as_long_as_it_really_is(zone, day, length):
    zone = ZoneInfo(zone)
    assert hours_in(open_periods(day, rule("00:00", "00:00"), [], zone)) == length
    assert sum((b - a for a, b, _ in stretches(day, zone)), timedelta()) == timedelta(hours=length)


@pytest.mark.parametrize(("zone", "day", "length"), [odd for odd in ODD_DAYS if odd[2]])
def test_days_follow_each_other_without_a_gap(zone, day, length):
    zone = ZoneInfo(zone)
    days = [day + timedelta(days=n) for n in range(-2, 3)]
    parts = [part for each in days for part in stretches(each, zone)]
    assert all(before[1] == after[0] for before, after in zip(parts, parts[1:], strict=False))
    assert [stretches(each, zone)[0][0] for each in days] == [day_start(x, zone) for x in days]


def test_the_missing_hour_holds_nothing():
    day = date(2026, 3, 8)  # 02:00 is followed by 03:00
    assert open_periods(day, rule("02:00", "03:00"), [], LOS_ANGELES) == []
    opens = open_periods(day, rule("02:30", "04:00"), [], LOS_ANGELES)
    closes = open_periods(day, rule("01:00", "02:30"), [], LOS_ANGELES)
    assert (shown(opens, LOS_ANGELES), hours_in(opens)) == (["03:00-04:00"], 1)
    assert (shown(closes, LOS_ANGELES), hours_in(closes)) == (["01:00-03:00"], 1)


def test_the_doubled_hour_counts_twice():
    day = date(2026, 11, 1)  # 01:00 to 02:00 happens twice
    assert hours_in(open_periods(day, rule("01:00", "02:00"), [], LOS_ANGELES)) == 2
    assert hours_in(open_periods(day, rule("00:00", "06:00"), [], LOS_ANGELES)) == 7
    twice = open_periods(day, rule("01:00", "01:30"), [], LOS_ANGELES)
    assert [start.hour for start, _ in twice] == [8, 9]
    closures = [closure(day, day, "01:00", "02:00")]
    assert hours_in(open_periods(day, rule("00:00", "06:00"), closures, LOS_ANGELES)) == 5


def test_half_hour_changes():
    forward, back = date(2026, 10, 4), date(2026, 4, 5)
    assert hours_in(open_periods(forward, rule("00:00", "06:00"), [], LORD_HOWE)) == 5.5
    assert open_periods(forward, rule("02:00", "02:30"), [], LORD_HOWE) == []
    assert hours_in(open_periods(back, rule("00:00", "06:00"), [], LORD_HOWE)) == 6.5
    assert hours_in(open_periods(back, rule("01:30", "02:00"), [], LORD_HOWE)) == 1


@pytest.mark.parametrize(("zone", "day", "length"), [odd for odd in ODD_DAYS if odd[2]])
def test_office_hours_are_the_same_on_the_wall_on_odd_days(zone, day, length):
    zone = ZoneInfo(zone)
    for each in (day - timedelta(days=1), day, day + timedelta(days=1)):
        found = open_periods(each, rule("09:00", "17:00"), [], zone)
        assert shown(found, zone) == ["09:00-17:00"]
        assert hours_in(found) == 8


@settings(deadline=None)
@given(
    st.sampled_from(ODD_DAYS),
    st.lists(st.tuples(st.integers(0, 95), st.integers(1, 96)), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 95), st.integers(0, 95)), max_size=2),
)
def test_open_exactly_when_the_clock_on_the_wall_says_so(odd_day, quarters, closed_quarters):
    """Every quarter of an hour of three days, judged by its wall-clock time alone."""
    zone, day = ZoneInfo(odd_day[0]), odd_day[1]
    quarters = [(a, b) for a, b in quarters if a < b]
    closed_quarters = [(a, b) for a, b in closed_quarters if a < b]

    def clock(quarter):
        return time(quarter // 4 % 24, quarter % 4 * 15)

    every = {"valid_from": None, "valid_until": None, "weekday": day.isoweekday()}
    hours = [SimpleNamespace(opens=clock(a), closes=clock(b), **every) for a, b in quarters]
    closures = [
        SimpleNamespace(first_day=day, last_day=day, from_time=clock(a), until_time=clock(b))
        for a, b in closed_quarters
    ]
    found = open_periods(day, hours, closures, zone)
    assert_in_order_and_apart(found)
    instant = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=1)
    for _ in range(3 * 96):
        wall = instant.astimezone(zone)
        quarter = wall.hour * 4 + wall.minute // 15
        expected = (
            wall.date() == day
            and any(a <= quarter < b for a, b in quarters)
            and not any(a <= quarter < b for a, b in closed_quarters)
        )
        assert any(start <= instant < end for start, end in found) == expected, wall
        instant += timedelta(minutes=15)
