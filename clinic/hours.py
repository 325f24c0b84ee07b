"""From weekly rules on the wall clock to stretches of real time. Pure: no database, no clock.

An instant is open when the clock on the clinic's wall then shows a time inside a rule and outside
every closure. So a missing hour holds nothing, and a doubled hour counts twice, whatever the zone.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

Moment = TypeVar("Moment", datetime, timedelta)  # an instant, or the time since midnight
Period = tuple[Moment, Moment]
Periods = list[Period[datetime]]

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def merge(periods: Iterable[Period[Moment]]) -> list[Period[Moment]]:
    """Return half-open periods in order: touching and overlapping joined, empty ones dropped."""
    merged: list[Period[Moment]] = []
    last: Moment | None = None
    for start, end in sorted(periods):
        if end <= start:
            continue
        if last is None or start > last:
            merged.append((start, end))
            last = end
        elif end > last:
            merged[-1] = (merged[-1][0], end)
            last = end
    return merged


def subtract(
    periods: Iterable[Period[Moment]], holes: Iterable[Period[Moment]]
) -> list[Period[Moment]]:
    """Return what of the half-open periods lies in none of the holes; merged, in order."""
    holes = merge(holes)
    left: list[Period[Moment]] = []
    first = 0
    for start, end in merge(periods):
        while first < len(holes) and holes[first][1] <= start:
            first += 1
        # A hole may reach into the next period too, so a second index looks ahead.
        index = first
        while index < len(holes) and holes[index][0] < end:
            hole_start, hole_end = holes[index]
            if start < hole_start:
                left.append((start, hole_start))
            start = hole_end
            index += 1
        if start < end:
            left.append((start, end))
    return left


def intersect(a: Iterable[Period[Moment]], b: Iterable[Period[Moment]]) -> list[Period[Moment]]:
    """Return what lies in a period of ``a`` and in a period of ``b``; merged, in order."""
    a, b = merge(a), merge(b)
    both: list[Period[Moment]] = []
    i = j = 0
    while i < len(a) and j < len(b):
        start, end = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if start < end:
            both.append((start, end))
        if a[i][1] <= b[j][1]:
            i += 1
        else:
            j += 1
    return both


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """Return the first instant of a local date, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


@lru_cache(maxsize=2048)
def stretches(day: date, zone: ZoneInfo) -> tuple[tuple[datetime, datetime, datetime], ...]:
    """Return (start, end, midnight) in UTC of each part of a day between changes of the offset.

    ``midnight`` is the instant at which a clock with that part's offset shows the date's 00:00, so
    ``midnight + timedelta(hours=9)`` shows 09:00. Nearly every date has one part; a date that
    the zone left out has none.
    """
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    offset = midnight.utcoffset() or timedelta()
    changes = (midnight + DAY).utcoffset() != offset
    midnight = midnight.replace(tzinfo=UTC)
    if not changes:
        start = midnight - offset
        return ((start, start + DAY, start),)
    # Offsets stay within a day of UTC: what the date can hold lies in these three days.
    first, last = midnight - DAY, midnight + 2 * DAY
    parts = []
    for since, until in pairwise([first, *_changes(first, last, zone), last]):
        shows_midnight = midnight - _offset(since, zone)
        start, end = max(since, shows_midnight), min(until, shows_midnight + DAY)
        if start < end:
            parts.append((start, end, shows_midnight))
    return tuple(parts)


def _offset(at: datetime, zone: ZoneInfo) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()


def _changes(since: datetime, until: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return the instants between two whole hours of UTC at which the zone's offset changes."""
    changes = []
    while since < until:
        offset, low, high = _offset(since, zone), since, since + HOUR
        if _offset(high, zone) != offset:
            while high - low > SECOND:
                middle = low + (high - low) // 2 // SECOND * SECOND
                if _offset(middle, zone) == offset:
                    low = middle
                else:
                    high = middle
            changes.append(high)
        since += HOUR
    return changes


def open_periods(
    day: date, hours: Iterable[Any], closures: Iterable[Any], zone: ZoneInfo
) -> Periods:
    """Return when a local date is open: weekly rules less closures, as merged UTC periods.

    ``hours`` and ``closures`` are OpeningHours and Closure rows, or anything with their fields;
    those for other weekdays or dates are passed over. 00:00 as closing time is the end of the day.
    """
    weekday = day.isoweekday()
    rules = [
        (_since_midnight(rule.opens), _since_midnight(rule.closes) or DAY)
        for rule in hours
        if rule.weekday == weekday
        and (rule.valid_from is None or rule.valid_from <= day)
        and (rule.valid_until is None or day <= rule.valid_until)
    ]
    if not rules:
        return []
    closed = [
        (timedelta(0), DAY)
        if closure.from_time is None or closure.until_time is None
        else (_since_midnight(closure.from_time), _since_midnight(closure.until_time))
        for closure in closures
        if closure.first_day <= day <= closure.last_day
    ]
    parts = subtract(rules, closed)
    return merge(
        (max(start, midnight + opens), min(end, midnight + closes))
        for start, end, midnight in stretches(day, zone)
        for opens, closes in parts
    )


def _since_midnight(time: time) -> timedelta:
    return timedelta(
        hours=time.hour,
        minutes=time.minute,
        seconds=time.second,
        microseconds=time.microsecond,
    )
