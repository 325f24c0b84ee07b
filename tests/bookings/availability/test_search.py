"""Free consultation times: the pure rule against brute force, then what is read from where."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bookings.availability import conflicts
from bookings.availability.search import SlotSearch
from bookings.availability.slots import starts_in
from bookings.models import Booking
from clinic.models import Closure, OpeningHours
from tests.factories import (
    here,
    make_booking,
    make_clinic,
    make_closure,
    make_condition,
    make_hours,
    make_practitioner,
    slot_search,
)

ZONE = ZoneInfo("America/Los_Angeles")
HOUR = timedelta(hours=1)
MONDAY = date(2027, 1, 4)
TUESDAY = date(2027, 1, 5)
NOW = datetime(2027, 1, 3, 20, tzinfo=UTC)  # Sunday noon at the clinic
MINUTE = timedelta(minutes=1)


def at(clock, day=MONDAY):
    """A wall-clock time of the clinic as a UTC instant."""
    return datetime.combine(day, time.fromisoformat(clock), tzinfo=ZONE).astimezone(UTC)


def shown(slots):
    """Starts as the clinic's wall clock shows them."""
    return [f"{slot.starts_at.astimezone(ZONE):%H:%M}" for slot in slots]


def on(day=MONDAY, **asked):
    return shown(slot_search(now=NOW, **asked).free(day, day))


# --- the pure rule --------------------------------------------------------------------------------

# Midnight UTC before a plain day, clock changes both ways, a half-hour change, one at midnight.
SCENES = [
    ("America/Los_Angeles", datetime(2027, 1, 4, tzinfo=UTC)),
    ("America/Los_Angeles", datetime(2026, 3, 8, tzinfo=UTC)),
    ("America/Los_Angeles", datetime(2026, 11, 1, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, tzinfo=UTC)),
    ("America/Havana", datetime(2025, 11, 1, 12, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2027, 1, 4, tzinfo=UTC)),
]
SPAN = 32 * 60  # minutes looked at: always a local midnight, and the clock change of the scene

spans = st.tuples(st.integers(0, SPAN), st.integers(1, 600)).map(lambda x: (x[0], x[0] + x[1]))
short_spans = st.tuples(st.integers(0, SPAN), st.integers(1, 90)).map(lambda x: (x[0], x[0] + x[1]))
asks = st.fixed_dictionaries(
    {
        "scene": st.sampled_from(SCENES),
        "opened": st.lists(spans, min_size=1, max_size=4),
        "held": st.lists(short_spans, max_size=12),
        "length": st.integers(5, 120),
        "step": st.sampled_from([5, 7, 10, 15, 20, 25, 30, 45, 50, 60, 90, 240]),
        "before": st.integers(0, 40),
        "after": st.integers(0, 40),
        "earliest": st.integers(0, SPAN // 2),
        "latest": st.integers(SPAN // 2, SPAN),
    }
)
touching = {
    "scene": SCENES[0],
    "opened": [(1020, 1110)],
    "held": [(1020, 1040), (1070, 1110)],
    "length": 20,
    "step": 60,
    "before": 5,
    "after": 5,
    "earliest": 0,
    "latest": SPAN,
}

# Local midnight is minute 480: the hour before it holds no point of the grid but 00:00.
up_to_midnight = touching | {"opened": [(440, 540)], "held": [], "length": 10}


def ask(scene, opened, held, **rest):
    zone, base = scene
    rest = {key: timedelta(minutes=value) for key, value in rest.items()}
    rest["earliest"], rest["latest"] = base + rest["earliest"], base + rest["latest"]
    return starts_in(
        [(base + a * MINUTE, base + b * MINUTE) for a, b in opened],
        [(base + a * MINUTE, base + b * MINUTE) for a, b in held],
        zone=ZoneInfo(zone),
        **rest,
    )


def ask_minute_by_minute(scene, opened, held, length, step, before, after, earliest, latest):
    """The same rule spelled out for every single minute; slow, and sharing no code with ours."""
    zone, base = ZoneInfo(scene[0]), scene[1]
    size = SPAN + 1200
    is_open = [any(a <= m < b for a, b in opened) for m in range(size)]
    is_held = [any(a <= m < b for a, b in held) for m in range(-60, size)]

    def fits(m):
        return (
            earliest <= m < latest
            and all(is_open[m : m + length])
            and not any(is_held[60 + m - before : 60 + m + length + after])
        )

    gaps, last_seen = [], None
    for m in range(SPAN):
        if not fits(m):
            last_seen = None
            continue
        wall = (base + m * MINUTE).astimezone(zone)
        seen = wall.date(), wall.utcoffset()
        if seen != last_seen:
            gaps.append([])
        last_seen = seen
        gaps[-1].append((m, wall.hour * 60 + wall.minute))
    expected = []
    for gap in gaps:
        on_grid = [m for m, wall in gap if wall % step == 0]
        on_fives = [m for m, wall in gap if wall % 5 == 0]
        expected += on_grid or on_fives[:1] or [gap[0][0]]
    return [base + m * MINUTE for m in expected]


thorough = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])


@thorough
@given(asks)
@example(touching)
@example(up_to_midnight)
def test_offered_starts_are_those_found_minute_by_minute(asked):
    assert ask(**asked) == ask_minute_by_minute(**asked)


@thorough
@given(asks)
@example(touching)
def test_no_offered_start_leaves_open_time_or_meets_held_time(asked):
    base, length = asked["scene"][1], asked["length"]
    for start in ask(**asked):
        m = (start - base) // MINUTE
        assert asked["earliest"] <= m < asked["latest"]
        covered = {x for a, b in asked["opened"] for x in range(a, b)}
        assert covered.issuperset(range(m, m + length))
        for a, b in asked["held"]:
            assert m + length + asked["after"] <= a or b <= m - asked["before"]


@thorough
@given(asks)
def test_what_is_offered_does_not_depend_on_the_days_asked_for(asked):
    zone = ZoneInfo(asked["scene"][0])
    base = asked["scene"][1]
    midnight = next(
        m
        for m in range(1, SPAN)
        if (base + m * MINUTE).astimezone(zone).date()
        != (base + (m - 1) * MINUTE).astimezone(zone).date()
    )
    whole = asked | {"earliest": 0, "latest": SPAN}
    assert ask(**whole) == ask(**whole | {"latest": midnight}) + ask(
        **whole | {"earliest": midnight}
    )


def test_touching_edges_are_free_and_a_minute_more_is_not():
    assert len(ask(**touching)) == 1
    assert ask(**touching | {"length": 21}) == []
    assert ask(**touching | {"before": 6}) == []
    assert ask(**touching | {"after": 6}) == []


def test_nothing_is_offered_for_empty_or_reversed_input():
    for change in ({"opened": []}, {"opened": [(500, 400)]}, {"earliest": 900, "latest": 900}):
        assert ask(**touching | change) == []


# --- from the database ----------------------------------------------------------------------------


@pytest.fixture
def clinic(db):
    """Open 09:00 to 12:00 every day, 30-minute consultations every 30 minutes, no buffers."""
    make_hours(opens="09:00", closes="12:00")
    return make_clinic()


@pytest.fixture
def marlow(clinic):
    return make_practitioner(name="Dr. Marlow", position=1)


MORNING = ["09:00", "09:30", "10:00", "10:30", "11:00", "11:30"]


def test_an_empty_morning_is_offered_whole(marlow):
    slots = slot_search(now=NOW).free(MONDAY, MONDAY)
    assert shown(slots) == MORNING
    assert slots[0].practitioner == marlow
    assert slots[0].starts_at == datetime(2027, 1, 4, 17, tzinfo=UTC)
    assert slots[0].ends_at == datetime(2027, 1, 4, 17, 30, tzinfo=UTC)
    assert slots[0].starts_at.tzinfo is UTC


def test_the_busy_time_of_a_slot_has_the_buffers(marlow):
    make_clinic(buffer_before=10, buffer_after=15)
    slot = slot_search(now=NOW).free(MONDAY, MONDAY)[0]
    # Buffers may reach outside opening hours.
    assert (slot.busy_from, slot.starts_at) == (at("08:50"), at("09:00"))
    assert (slot.ends_at, slot.busy_until) == (at("09:30"), at("09:45"))
    assert on()[-1] == "11:30"


def test_a_booking_takes_its_time_and_only_its_practitioners(marlow):
    other = make_practitioner(position=2)
    make_booking(practitioner=marlow, starts_at=at("10:00"))
    assert on(practitioner=marlow) == [clock for clock in MORNING if clock != "10:00"]
    assert on(practitioner=other) == MORNING


def test_buffers_of_both_sides_keep_bookings_apart(marlow):
    make_clinic(buffer_before=10, buffer_after=5, slot_step=5)
    make_booking(practitioner=marlow, starts_at=at("10:00"), before=10, after=5)
    found = on()
    # 09:50 to 10:35 is held: an earlier slot ends by 09:45, a later one starts at 10:45.
    assert "09:15" in found
    assert "09:20" not in found
    assert "10:40" not in found
    assert "10:45" in found


def test_a_gap_that_misses_the_grid_is_still_offered(marlow):
    make_booking(practitioner=marlow, starts_at=at("09:00"), minutes=42)
    make_booking(practitioner=marlow, starts_at=at("10:20"), minutes=100)
    assert on() == ["09:45"]


def test_a_gap_that_fits_to_the_minute_is_offered_as_it_is(marlow):
    make_booking(practitioner=marlow, starts_at=at("09:00"), minutes=42)
    make_booking(practitioner=marlow, starts_at=at("10:12"), minutes=108)
    assert on() == ["09:42"]


@pytest.mark.parametrize("status", Booking.Status)
def test_only_live_bookings_hold_their_time(marlow, status):
    values = {}
    if status == "cancelled":
        values = {"cancelled_by": "patient", "cancelled_at": NOW}
    make_booking(practitioner=marlow, starts_at=at("10:00"), status=status, **values)
    assert ("10:00" in on()) == (status in {"cancelled", "fulfilled", "noshow", "waitlist"})


@pytest.mark.parametrize(
    ("status", "minutes", "is_free"),
    [
        ("pending", None, False),
        ("pending", 1, False),
        ("pending", 0, True),
        ("pending", -1, True),
        ("proposed", 1, False),
        ("proposed", -1, True),
        ("booked", -1, False),
        ("arrived", -1, False),
    ],
)
def test_a_hold_that_has_run_out_frees_its_time(marlow, status, minutes, is_free):
    hold_until = None if minutes is None else NOW + minutes * MINUTE
    make_booking(practitioner=marlow, starts_at=at("10:00"), status=status, hold_until=hold_until)
    assert ("10:00" in on()) == is_free


def test_a_booking_that_began_the_day_before_still_holds_its_end(clinic):
    night = make_practitioner()
    make_closure(first_day=TUESDAY, last_day=TUESDAY, from_time="10:00", until_time="12:00")
    make_booking(practitioner=night, starts_at=at("17:30"), minutes=16 * 60)
    assert on(TUESDAY) == ["09:30"]


def test_moving_a_booking_counts_its_own_time_as_free(marlow):
    own = make_booking(practitioner=marlow, starts_at=at("10:00"), minutes=60)
    make_booking(practitioner=marlow, starts_at=at("11:00"))
    assert on(moving=own) == ["09:00", "09:30", "10:00", "10:30", "11:30"]
    asked = {"condition": None, "visit_type": "video", "practitioner": marlow, "now": NOW}
    assert slot_search(moving=own, **asked).at(at("10:30"))
    assert slot_search(**asked).at(at("10:30")) is None
    assert slot_search(moving=own, **asked).at(at("11:00")) is None


# --- whose hours ----------------------------------------------------------------------------------


def test_own_hours_count_inside_the_clinics(marlow):
    make_hours(marlow, weekday=1, opens="08:00", closes="10:00")
    make_hours(marlow, weekday=2, opens="11:00", closes="17:00")
    assert on(MONDAY) == ["09:00", "09:30"]
    assert on(TUESDAY) == ["11:00", "11:30"]
    assert on(date(2027, 1, 6)) == []


def test_own_hours_that_are_over_do_not_become_the_clinics(marlow):
    make_hours(marlow, weekday=1, valid_until=date(2026, 12, 31))
    assert on() == []


def test_without_clinic_hours_the_practitioners_own_count_alone(db):
    make_clinic()
    own = make_practitioner()
    make_practitioner()
    make_hours(own, opens="08:00", closes="09:00")
    slots = slot_search(now=NOW).free(MONDAY, MONDAY)
    assert (shown(slots), {slot.practitioner for slot in slots}) == (["08:00", "08:30"], {own})


def test_nobody_is_free_when_nobody_has_hours(db):
    make_clinic()
    make_practitioner()
    assert on() == []


def test_rules_hold_on_their_dates_only(db):
    make_clinic()
    make_practitioner()
    make_hours(opens="09:00", closes="10:00", valid_until=MONDAY)
    make_hours(opens="15:00", closes="16:00", valid_from=TUESDAY)
    assert (on(MONDAY), on(TUESDAY)) == (["09:00", "09:30"], ["15:00", "15:30"])


def test_closures_of_the_clinic_close_everybody_and_a_practitioners_only_them(marlow):
    other = make_practitioner(position=2)
    make_closure(first_day=MONDAY, last_day=MONDAY)
    make_closure(marlow, first_day=TUESDAY, last_day=TUESDAY)
    assert on(MONDAY) == []
    assert on(TUESDAY, practitioner=marlow) == []
    assert on(TUESDAY, practitioner=other) == MORNING


def test_part_day_closures_of_both_add_up(marlow):
    make_hours(marlow, opens="08:00", closes="12:00")
    make_closure(first_day=MONDAY, last_day=MONDAY, from_time="09:00", until_time="10:00")
    make_closure(marlow, first_day=MONDAY, last_day=MONDAY, from_time="11:00", until_time="11:30")
    assert on() == ["10:00", "10:30", "11:30"]


def test_closures_count_without_clinic_hours_too(db):
    make_clinic()
    own = make_practitioner()
    make_hours(own, opens="08:00", closes="10:00")
    make_closure(first_day=MONDAY, last_day=MONDAY, from_time="08:00", until_time="09:00")
    make_closure(own, first_day=MONDAY, last_day=MONDAY, from_time="09:30", until_time="11:00")
    assert on() == ["09:00"]


def test_a_consultation_may_run_over_midnight_where_both_days_are_open(db):
    make_clinic(consultation_minutes=60)
    make_practitioner()
    make_hours(weekday=1, opens="22:00", closes="00:00")
    make_hours(weekday=2, opens="00:00", closes="01:00")
    assert on(MONDAY) == ["22:00", "22:30", "23:00", "23:30"]
    assert on(TUESDAY) == ["00:00"]
    make_closure(first_day=TUESDAY, last_day=TUESDAY)
    assert on(MONDAY) == ["22:00", "22:30", "23:00"]


def test_a_booking_after_midnight_counts_for_the_evening_before(db):
    make_clinic(consultation_minutes=60)
    night = make_practitioner()
    make_hours(opens="00:00", closes="00:00")
    make_booking(practitioner=night, starts_at=at("00:00", TUESDAY))
    assert on(MONDAY)[-1] == "23:00"
    assert on(TUESDAY)[0] == "00:30"


def test_a_booking_up_to_midnight_keeps_its_distance_from_the_next_day(db):
    make_clinic(buffer_before=10)
    night = make_practitioner()
    make_hours(opens="00:00", closes="00:00")
    make_booking(practitioner=night, starts_at=at("23:30"))
    assert on(TUESDAY)[0] == "00:30"
    make_clinic(buffer_before=0)
    assert on(TUESDAY)[0] == "00:00"


# --- who ------------------------------------------------------------------------------------------


def test_archived_and_paused_practitioners_are_not_offered(clinic):
    make_practitioner(archived=True)
    make_practitioner(accepts_bookings=False)
    assert on() == []


def test_a_visit_type_limits_who(marlow):
    phone = make_practitioner(position=2, visit_types=["phone"])
    for visit_type, expected in [("in_person", {marlow}), ("phone", {marlow, phone})]:
        found = slot_search(visit_type=visit_type, now=NOW).free(MONDAY, MONDAY)
        assert {slot.practitioner for slot in found} == expected


def test_a_condition_limits_who_if_it_names_anybody(marlow):
    other, away = make_practitioner(position=2), make_practitioner(archived=True)
    condition = make_condition()

    def who():
        found = slot_search(condition=condition, now=NOW).free(MONDAY, MONDAY)
        return {slot.practitioner for slot in found}

    assert who() == {marlow, other}
    make_condition().practitioners.add(marlow)
    assert who() == {marlow, other}
    condition.practitioners.add(other, away)
    assert who() == {other}
    assert on(condition=condition, practitioner=marlow) == []
    condition.practitioners.set([away])
    assert who() == set()


def test_slots_come_by_start_then_by_position(clinic):
    second = make_practitioner(position=2, name="A")
    first = make_practitioner(position=1, name="B")
    slots = slot_search(now=NOW).free(MONDAY, TUESDAY)
    assert [slot.starts_at for slot in slots] == sorted(slot.starts_at for slot in slots)
    assert [slot.practitioner for slot in slots[:4]] == [first, second, first, second]
    assert len(slots) == 24


def test_length_comes_from_the_condition_or_else_the_clinic(marlow):
    make_clinic(consultation_minutes=60)
    assert on()[-1] == "11:00"
    assert on(condition=make_condition())[-1] == "11:00"
    long = slot_search(condition=make_condition(consultation_minutes=90), now=NOW).free(
        MONDAY, MONDAY
    )[-1]
    assert (long.starts_at, long.ends_at) == (at("10:30"), at("12:00"))


# --- when -----------------------------------------------------------------------------------------


def test_nothing_is_offered_before_the_notice_has_passed(marlow):
    make_clinic(minimum_notice=90)

    def left(clock):
        return shown(slot_search(now=at(clock)).free(MONDAY, MONDAY))

    assert left("07:00")[0] == "09:00"
    assert left("07:30")[0] == "09:00"
    assert left("07:31")[0] == "09:30"
    assert left("10:00") == ["11:30"]
    assert left("10:01") == []


def test_the_notice_never_makes_odd_seconds(marlow):
    now = at("11:22") + timedelta(seconds=7, microseconds=5)
    make_clinic(slot_step=60)
    assert shown(slot_search(now=now).free(MONDAY, MONDAY)) == ["11:25"]
    later = at("11:27") + timedelta(seconds=7)
    [slot] = slot_search(now=later).free(MONDAY, MONDAY)
    assert slot.starts_at == at("11:30")
    last = at("11:28") + timedelta(seconds=7)
    make_clinic(slot_step=60, consultation_minutes=31)
    [slot] = slot_search(now=last).free(MONDAY, MONDAY)
    assert slot.starts_at == at("11:29")


def test_nothing_is_offered_in_the_past(marlow):
    assert shown(slot_search(now=at("11:00")).free(MONDAY, MONDAY)) == MORNING[-2:]
    week = slot_search(now=at("11:10")).free(date(2026, 12, 1), MONDAY)
    assert shown(week) == ["11:30"]
    assert slot_search(now=at("12:00")).free(date(2026, 12, 1), MONDAY) == []


def test_the_last_day_of_the_horizon_is_the_clinics_date(marlow):
    make_clinic(horizon_days=2)
    # 22:00 at the clinic on Sunday is Monday in UTC; the horizon counts from Sunday.
    now = datetime(2027, 1, 4, 6, tzinfo=UTC)
    found = slot_search(now=now).free(MONDAY, date(2027, 2, 1))
    days = sorted({slot.starts_at.astimezone(ZONE).date() for slot in found})
    assert days == [MONDAY, TUESDAY]
    assert slot_search(now=now).free(date(2027, 1, 6), date(2027, 1, 9)) == []


def test_leap_day_and_turn_of_the_year(marlow):
    make_clinic(horizon_days=366)
    for day, now in [
        (date(2028, 2, 29), datetime(2028, 2, 1, tzinfo=UTC)),
        (date(2027, 12, 31), datetime(2027, 12, 1, tzinfo=UTC)),
    ]:
        after = day + timedelta(days=1)
        found = slot_search(now=now).free(day, after)
        assert [slot.starts_at for slot in found] == [
            at(clock, each) for each in (day, after) for clock in MORNING
        ]


def test_the_grid_is_the_wall_clocks_whatever_the_opening_time(db):
    make_clinic(slot_step=40)
    make_practitioner()
    make_hours(opens="09:10", closes="11:30")
    assert on() == ["09:20", "10:00", "10:40"]


# --- the questions agree --------------------------------------------------------------------------


def make_busy_weeks():
    """Two practitioners, three weeks, a booking here and there, some at odd times."""
    make_clinic(buffer_after=10, slot_step=30)
    people = [make_practitioner(position=n) for n in (1, 2)]
    make_hours(people[1], weekday=3, opens="10:00", closes="12:00")
    for n in range(60):
        make_booking(
            practitioner=people[n % 2],
            starts_at=at("09:00", MONDAY + timedelta(days=n // 3)) + (n * 37 % 140) * MINUTE
            if n % 3 == 0
            else at("09:00", MONDAY + timedelta(days=100 + n)),
            minutes=20 + n % 25,
            after=10,
        )
    return people


def test_at_agrees_with_free_minute_by_minute(clinic):
    people = make_busy_weeks()
    week = slot_search(now=NOW).free(MONDAY, date(2027, 1, 10))
    for day in (MONDAY, date(2027, 1, 6)):
        for person in people:
            offered = {slot.starts_at: slot for slot in week if slot.practitioner == person}
            for minute in range(0, 200, 5):
                start = at("08:55", day) + minute * MINUTE
                found = slot_search(visit_type="video", practitioner=person, now=NOW).at(start)
                assert found == offered.get(start)


def test_next_is_the_first_of_all_free_slots(clinic):
    make_busy_weeks()
    horizon = slot_search(now=NOW).free(MONDAY, date(2027, 3, 4))
    assert slot_search(now=NOW).next() == horizon[0]
    for number in (1, 2, 3, 7, 40, -1):
        slot = horizon[number]
        assert slot_search(now=NOW).next(after=slot.starts_at).starts_at == slot.starts_at
    assert slot_search(now=NOW).next(after=horizon[-1].starts_at + MINUTE) is None


def test_next_after_an_odd_moment_makes_no_start_of_its_own(marlow):
    make_clinic(slot_step=60)
    assert slot_search(now=NOW).next(after=at("11:10")).starts_at == at("09:00", TUESDAY)


def test_next_crosses_long_closures_and_ends_at_the_horizon(marlow):
    make_closure(first_day=MONDAY, last_day=date(2027, 2, 1))
    assert slot_search(now=NOW).next().starts_at == at("09:00", date(2027, 2, 2))
    make_clinic(horizon_days=10)
    assert slot_search(now=NOW).next() is None


@pytest.mark.parametrize("full_days", [2, 3, 5, 11, 12, 20])
def test_next_looks_beyond_its_first_windows(marlow, full_days):
    for number in range(full_days):
        day = MONDAY + timedelta(days=number)
        make_booking(practitioner=marlow, starts_at=at("09:00", day), minutes=180)
    expected = at("09:00", MONDAY + timedelta(days=full_days))
    with CaptureQueriesContext(connection) as queries:
        assert slot_search(now=NOW).next().starts_at == expected
    assert len(queries) == 5 + (full_days >= 3) + (full_days >= 11)


def test_nearest_gives_the_closest_different_starts_in_order(marlow):
    make_practitioner(position=2)
    make_booking(practitioner=marlow, starts_at=at("10:00"))

    def around(clock, day=MONDAY, limit=3, **more):
        search = slot_search(visit_type="in_person", now=NOW, **more)
        return search.nearest(at(clock, day), limit)

    assert shown(around("10:00")) == ["09:30", "10:00", "10:30"]
    assert shown(around("10:00", practitioner=marlow)) == ["09:00", "09:30", "10:30"]
    assert around("10:00", practitioner=marlow)[0].practitioner == marlow
    assert shown(around("11:30", limit=2)) == ["11:00", "11:30"]
    assert [slot.starts_at for slot in around("23:00", limit=1)] == [at("09:00", TUESDAY)]


def test_nearest_reaches_over_closed_weeks_and_finds_what_there_is(marlow):
    make_closure(first_day=MONDAY, last_day=date(2027, 1, 24))
    asked = {"condition": None, "visit_type": "in_person", "practitioner": marlow, "now": NOW}
    found = slot_search(**asked).nearest(at("10:00"))
    assert [slot.starts_at for slot in found] == [
        at(clock, date(2027, 1, 25)) for clock in MORNING[:3]
    ]
    make_clinic(horizon_days=5)
    assert slot_search(**asked).nearest(at("10:00")) == []


def test_nearest_is_not_content_with_the_days_it_saw_first(db):
    make_clinic()
    make_practitioner()
    make_hours(weekday=1, opens="23:00", closes="00:00")
    make_hours(weekday=6, opens="16:00", closes="17:00")
    # Saturday is two dates away and Monday three, but Monday night is nearer by the clock.
    thursday = at("00:30", date(2027, 1, 14))
    [slot] = slot_search(visit_type="video", now=NOW).nearest(thursday, limit=1)
    assert slot.starts_at == at("23:30", date(2027, 1, 11))


@settings(
    deadline=None,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.integers(-60 * 24 * 4, 60 * 24 * 70), st.integers(1, 9))
def test_nearest_is_what_sorting_everything_finds(marlow, minutes, limit):
    make_clinic(horizon_days=60)
    if not Booking.objects.exists():
        make_closure(first_day=date(2027, 1, 9), last_day=date(2027, 1, 20))
        make_booking(practitioner=marlow, starts_at=at("09:20"), minutes=60)
    start = NOW + minutes * MINUTE
    everything = slot_search(now=NOW).free(MONDAY, date(2027, 6, 1))
    expected = sorted(everything, key=lambda slot: abs(slot.starts_at - start))[:limit]
    found = slot_search(visit_type="video", now=NOW).nearest(start, limit=limit)
    assert sorted(abs(slot.starts_at - start) for slot in found) == [
        abs(slot.starts_at - start) for slot in expected
    ]
    assert [slot.starts_at for slot in found] == sorted(slot.starts_at for slot in found)


# --- what it costs --------------------------------------------------------------------------------


def grow(people, bookings):
    """Many bookings: most past or far ahead, every practitioner's mornings half full."""
    place, rows = here(), []
    for number in range(bookings):
        starts_at = at("09:00", MONDAY) + timedelta(days=number // 3 - bookings // 6)
        starts_at += timedelta(hours=number % 3)
        ends_at = starts_at + 30 * MINUTE
        rows.append(
            Booking(
                location=place,
                practitioner=people[number % len(people)],
                status="booked",
                visit_type="video",
                starts_at=starts_at,
                ends_at=ends_at,
                busy_from=starts_at,
                busy_until=ends_at,
            )
        )
    Booking.objects.bulk_create(rows)


@pytest.mark.parametrize(("practitioners", "bookings"), [(1, 3), (6, 600)])
def test_free_takes_five_queries_whatever_the_size(
    clinic, django_assert_num_queries, practitioners, bookings
):
    people = [make_practitioner() for _ in range(practitioners)]
    for person in people[1:]:
        make_hours(person, opens="08:00", closes="13:00")
        make_closure(person, first_day=TUESDAY, last_day=TUESDAY)
    grow(people, bookings)
    condition = make_condition()
    condition.practitioners.set(people)
    for days in (7, 60):
        with django_assert_num_queries(5):
            found = slot_search(condition=condition, visit_type="video", now=NOW).free(
                MONDAY, MONDAY + timedelta(days=days - 1)
            )
            assert [slot.practitioner.name for slot in found]
    known = here()
    with django_assert_num_queries(4):
        SlotSearch(location=known, now=NOW).free(MONDAY, TUESDAY)
    with django_assert_num_queries(5):
        slot_search(condition=condition, now=NOW).next()
    with django_assert_num_queries(5):
        slot_search(condition=condition, visit_type="video", now=NOW).nearest(at("10:00"))


def test_next_stops_at_the_first_day_that_has_one(marlow, monkeypatch):
    days = []
    whole = SlotSearch._slots

    def slots(self, first_day, last_day, held):
        days.append(first_day)
        return whole(self, first_day, last_day, held)

    monkeypatch.setattr(SlotSearch, "_slots", slots)
    make_booking(practitioner=marlow, starts_at=at("09:00"), minutes=180)
    slot_search(now=NOW).next()
    assert days == [MONDAY, TUESDAY]


def test_held_time_is_read_through_its_own_index(marlow, monkeypatch):
    """SQLite forgets a partial index when its condition arrives as parameters."""
    # PostgreSQL chooses by size, so there is a past to choose against.
    seen = {
        "location": here(),
        "practitioner": marlow,
        "status": "fulfilled",
        "visit_type": "video",
    }
    past = [NOW - timedelta(hours=number) for number in range(2, 4002)]
    Booking.objects.bulk_create(
        Booking(starts_at=at, ends_at=at + HOUR, busy_from=at, busy_until=at + HOUR, **seen)
        for at in past
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE bookings_booking")
    plans = []
    values_list = QuerySet.values_list

    def explained(self, *fields):
        plans.append(self.explain())
        return values_list(self, *fields)

    monkeypatch.setattr(QuerySet, "values_list", explained)
    slot_search(now=NOW).free(MONDAY, MONDAY)
    [plan] = plans
    assert "booking_time_held" in plan
    assert connection.vendor != "sqlite" or "(practitioner_id=? AND busy_from>?" in plan


# --- hours that shrink under bookings -------------------------------------------------------------


def test_shortened_hours_and_closures_list_what_they_leave_outside(marlow):
    inside = make_booking(practitioner=marlow, starts_at=at("09:00"))
    late = make_booking(practitioner=marlow, starts_at=at("11:00"))
    assert conflicts.outside_hours(here(), now=NOW) == []
    OpeningHours.objects.update(opens=time(8), closes=time(11))
    assert conflicts.outside_hours(here(), now=NOW) == [late]
    make_closure(marlow, first_day=MONDAY, last_day=MONDAY)
    assert conflicts.outside_hours(here(), now=NOW) == [inside, late]
    late.refresh_from_db()
    assert late.status == "booked", "the booking itself is never touched"
    marlow.archived = True
    marlow.save()
    Closure.objects.all().delete()
    assert conflicts.outside_hours(here(), now=NOW) == [inside, late]
    assert conflicts.outside_hours(here(), now=at("17:00")) == []
