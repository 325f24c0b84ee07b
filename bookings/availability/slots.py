"""Which times can start in open time: arithmetic over periods, without the database."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from clinic.hours import DAY, Period, Periods, intersect, merge, stretches, subtract
from clinic.models import Practitioner

MINUTE = timedelta(minutes=1)
FIVE_MINUTES = 5 * MINUTE
LONGEST_BUSY = DAY  # no booking with its buffers is longer, so an index range can start there


@dataclass(frozen=True, slots=True)
class Slot:
    """A time that can be booked with one practitioner. All times are UTC instants, half-open."""

    practitioner: Practitioner
    starts_at: datetime
    ends_at: datetime
    busy_from: datetime
    busy_until: datetime


def starts_in(
    open_periods: Iterable[Period[datetime]],
    busy: Iterable[Period[datetime]],
    *,
    length: timedelta,
    step: timedelta,
    before: timedelta,
    after: timedelta,
    zone: ZoneInfo,
    earliest: datetime,
    latest: datetime,
) -> list[datetime]:
    """Return the starts to offer in open time, in order. Pure; periods are (start, end) UTC tuples.

    A start fits if [start, start + length) lies inside one open period and, widened by ``before``
    and ``after``, overlaps no busy period; touching is allowed. Starts lie in [earliest, latest)
    and on the wall clock's grid: a whole number of ``step`` since local midnight. A gap without a
    point of the grid offers its first start, on a full five minutes if one fits. Gaps end at local
    midnight and where the clock is changed, so what is offered does not depend on how many days
    were asked for. Offered starts are alternatives and may overlap each other.
    """
    # A start may equal the last moment that fits, and half-open periods need a moment after it.
    # The same moment keeps the start that only touches the next busy period.
    moment = timedelta.resolution
    fits = [(start, end - length + moment) for start, end in merge(open_periods)]
    taken = [(start - after - length + moment, end + before) for start, end in busy if start < end]
    starts = []
    for start, end, midnight in _gaps(subtract(intersect(fits, [(earliest, latest)]), taken), zone):
        on_grid = round_up(start, step, midnight)
        if on_grid >= end:
            rounded = round_up(start, FIVE_MINUTES, midnight)
            starts.append(rounded if rounded < end else start)
        while on_grid < end:
            starts.append(on_grid)
            on_grid += step
    return starts


def _gaps(periods: Periods, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime, datetime]]:
    """Cut ordered periods at local midnight and clock changes: (start, end, midnight)."""
    if not periods:
        return
    first, last = (edge.astimezone(zone).date() for edge in (periods[0][0], periods[-1][1]))
    parts = [part for day in days(first, last) for part in stretches(day, zone)]
    index = 0
    for start, end in periods:
        while parts[index][1] <= start:
            index += 1
        ahead = index
        while ahead < len(parts) and parts[ahead][0] < end:
            part_start, part_end, midnight = parts[ahead]
            yield max(start, part_start), min(end, part_end), midnight
            ahead += 1


def round_up(instant: datetime, step: timedelta, midnight: datetime) -> datetime:
    """Return the first instant from then on that is a whole number of ``step`` after ``midnight``."""
    return midnight - (midnight - instant) // step * step


def days(first: date, last: date) -> Iterator[date]:
    """Yield the dates from ``first`` to ``last``, both included."""
    return (first + timedelta(days=number) for number in range((last - first).days + 1))
