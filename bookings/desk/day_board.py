"""The board of a day: columns of practitioners, blocks of bookings and of closed time."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta

from bookings import times
from bookings.availability import opening as availability_opening
from bookings.availability import slots
from bookings.desk import inbox
from bookings.desk.conflicts import conflict_numbers
from bookings.desk.numbers import requests_by_concern
from bookings.models import Booking
from clinic.hours import DAY, HOUR, day_start, intersect, merge, open_periods, subtract
from clinic.models import Practitioner

Status = Booking.Status

ROW = timedelta(minutes=30)


MINUTE = timedelta(minutes=1)


FIRST_YEAR, LAST_YEAR = 2000, 2200  # of a day that an address may ask for


SHOWN = (*Booking.HOLDING, Status.FULFILLED, Status.NOSHOW)


# --- the board ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """A booking on the board. ``look`` is its style: done, now, booked, wait, offer or noshow.

    ``patient`` is whose it is: of an offered time, the request that it is held for.
    """

    booking: Booking
    patient: Booking
    look: str
    words: str
    clock: str
    on_the_row: bool  # it starts where its row starts, so the row's label says the time


@dataclass(frozen=True)
class Block:
    """Rows ``row`` to ``row + span`` of a column: bookings, or time without consultations."""

    row: int
    span: int
    entries: list = field(default_factory=list)
    closed: str = ""


@dataclass(frozen=True)
class Column:
    practitioner: Practitioner
    blocks: list


def shown_day(text, zone, now):
    """Read the date that an address asks for; today where it asks for none or an impossible one."""
    day = times.parse_day(text)
    return day if day and FIRST_YEAR <= day.year <= LAST_YEAR else now.astimezone(zone).date()


def board(bookings, practitioners, *, day, location, now, reader=""):
    """Everything that the day board shows, as a dict for its template; all times UTC instants.

    ``bookings`` and ``practitioners`` are querysets of what the reader may see; ``reader`` tells
    apart readers who see different rows, because the numbers per condition are kept for minutes.
    """
    bookings = bookings.select_related("practitioner", "condition")
    today = now.astimezone(location.zone).date()
    of_day = _of_day(bookings, day, location.zone, now)
    rules = availability_opening.Rules(location, min(day, today), date.max)
    grid = _grid(of_day, practitioners, rules, day=day, location=location, now=now)
    waiting = inbox.waiting_requests(bookings, location, now)
    missing, no_shows = inbox.past_visits(bookings, now)
    return grid | {
        "day": day,
        "previous_day": day - DAY,
        "next_day": day + DAY,
        "is_today": day == today,
        "now": now,
        "zone": location.zone,
        "booked": sum(booking.status in Booking.LIVE for booking in of_day),
        "missed": sum(booking.status == Status.NOSHOW for booking in of_day),
        "waiting": waiting,
        "more_wait": len(waiting) == inbox.MOST_WAITING,
        "late": sum(item.late for item in waiting),
        "missing": missing,
        "more_are_missing": len(missing) == inbox.MOST_MISSING,
        "no_shows": no_shows,
        "unreachable": None if reader else inbox.unreached(),
        "conflicts": conflict_numbers(bookings, location, now, reader, rules),
        "requests": requests_by_concern(bookings, now, reader),
    }


def _of_day(bookings, day, zone, now):
    start, end = day_start(day, zone), day_start(day + DAY, zone)
    # One that began before midnight may still be going on; none is longer than a day.
    found = bookings.filter(starts_at__gte=start - DAY, starts_at__lt=end, ends_at__gt=start)
    rows = found.in_state(*SHOWN).select_related("practitioner", "condition", "offered_for")
    return [row for row in rows.order_by("starts_at", "pk") if not row.hold_is_over(now)]


# --- the grid -------------------------------------------------------------------------------------


def _grid(of_day, practitioners, rules, *, day, location, now):
    """Return the columns of the day and the rows they share."""
    zone = location.zone
    people = {person.pk: person for person in practitioners.bookable()}
    for booking in of_day:
        people.setdefault(booking.practitioner_id, booking.practitioner)
    people = sorted(people.values(), key=lambda person: (person.position, person.name))
    opening = _Opening(day, rules)
    mine = defaultdict(list)
    for booking in of_day:
        mine[booking.practitioner_id].append(booking)
    midnight, end = day_start(day, zone), day_start(day + DAY, zone)
    used = [period for person in people for period in opening.open_to(person.pk)]
    used += [(max(b.starts_at, midnight), min(b.ends_at, end)) for b in of_day]
    first, last = _range(used, midnight, end)
    rows = [first + number * ROW for number in range((last - first) // ROW)]
    return {
        "columns": [
            Column(person, _blocks(mine[person.pk], opening, person.pk, first, last, zone, now))
            for person in people
        ],
        "free": sum(
            _free_places(person, mine[person.pk], opening, location, midnight, end, now)
            for person in people
        ),
        "hours": [times.clock(row, zone) for row in rows[::2]],
        "now_row": (now - first) // ROW + 1 if first <= now < last else None,
        "now_part": (now - first) % ROW // (5 * MINUTE),
    }


@dataclass(frozen=True)
class _Opening:
    """The opening rules, as they are on one date."""

    day: date
    rules: availability_opening.Rules

    def open_to(self, key):
        """When the practitioner of that key gives consultations: UTC periods."""
        return self.rules.open_on(self.day, key)

    def closed_by(self, key):
        """Return the closures that touch the practitioner's day: (UTC periods, reason)."""
        zone, closures = self.rules.zone, self.rules.closures
        for closure in (*closures.get(key, ()), *closures.get(None, ())):
            whole = open_periods(self.day, availability_opening.ALWAYS, (), zone)
            rest = open_periods(self.day, availability_opening.ALWAYS, [closure], zone)
            yield subtract(whole, rest), closure.reason or closure.public_note or "Closed"


def _range(used, midnight, end):
    """From the full hour before the first open or booked time to the one after the last."""
    used = merge(used)
    if not used:
        return midnight + 9 * HOUR, midnight + 17 * HOUR
    first = midnight + (used[0][0] - midnight) // HOUR * HOUR
    last = midnight - (midnight - used[-1][1]) // HOUR * HOUR
    return first, min(last, end)


def _blocks(bookings, opening, key, first, last, zone, now):
    blocks = _booked_blocks(bookings, first, last, zone, now)
    booked = [
        (first + (block.row - 1) * ROW, first + (block.row - 1 + block.span) * ROW)
        for block in blocks
    ]
    shut = subtract([(first, last)], merge([*opening.open_to(key), *booked]))
    for periods, reason in opening.closed_by(key):
        blocks += _closed_blocks(intersect(shut, periods), reason, first)
        shut = subtract(shut, periods)
    blocks += _closed_blocks(shut, "Not working", first)
    return sorted(blocks, key=lambda block: block.row)


def _booked_blocks(bookings, first, last, zone, now):
    """Bookings by rows; those that share a row share a block, so that none covers another."""
    groups = []  # [first row, row after the last, entries]
    for booking in bookings:
        start = (max(booking.starts_at, first) - first) // ROW
        stop = max(-((first - min(booking.ends_at, last)) // ROW), start + 1)
        entry = _entry(booking, first + start * ROW, zone, now)
        if groups and start < groups[-1][1]:
            groups[-1][1] = max(groups[-1][1], stop)
            groups[-1][2].append(entry)
        else:
            groups.append([start, stop, [entry]])
    return [Block(row=start + 1, span=stop - start, entries=these) for start, stop, these in groups]


def _entry(booking, row_start, zone, now):
    under_way = booking.status == Status.BOOKED and booking.starts_at <= now < booking.ends_at
    looks = {
        Status.FULFILLED: "done",
        Status.NOSHOW: "noshow",
        Status.PENDING: "wait",
        Status.PROPOSED: "offer",
        Status.ARRIVED: "now",
    }
    return Entry(
        booking=booking,
        patient=booking.offered_for or booking,
        look="now" if under_way else looks.get(booking.status, "booked"),
        words=booking.get_status_display().lower(),
        clock=times.clock(booking.starts_at, zone),
        on_the_row=booking.starts_at == row_start,
    )


def _closed_blocks(periods, reason, first):
    """Hatch the whole rows inside the periods."""
    for start, end in periods:
        from_row, to_row = -((first - start) // ROW), (end - first) // ROW
        if to_row > from_row:
            yield Block(row=from_row + 1, span=to_row - from_row, closed=reason)


def _free_places(person, bookings, opening, location, midnight, end, now):
    """How many consultations of the usual length still fit into the practitioner's day."""
    if person.archived or not person.accepts_bookings:
        return 0
    busy = [
        (booking.busy_from, booking.busy_until)
        for booking in bookings
        if booking.holds_time and not booking.hold_is_over(now)
    ]
    clinic = location.clinic
    length = clinic.minutes_for() * MINUTE
    before, after = clinic.buffer_before * MINUTE, clinic.buffer_after * MINUTE
    starts = slots.starts_in(
        opening.open_to(person.pk),
        busy,
        length=length,
        step=clinic.slot_step * MINUTE,
        before=before,
        after=after,
        zone=location.zone,
        earliest=max(midnight, now + clinic.minimum_notice * MINUTE),
        latest=end,
    )
    return _apart(starts, length + before + after)


def _apart(starts, distance):
    """How many of the ordered starts can be taken together."""
    taken, count = None, 0
    for start in starts:
        if taken is None or start - taken >= distance:
            taken, count = start, count + 1
    return count
