"""What the desk sees: one day of all practitioners, who waits, what lacks an outcome. Reads only.

Every function takes the bookings that its reader may see as a queryset, and reads a bounded part of
it through an index: a range of starts, or the rows of one status. ``board`` makes nine queries,
whatever the size of the table, and one more once a minute.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.core.cache import caches
from django.db.models import Count, Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from clinic.hours import DAY, HOUR, day_start, intersect, merge, open_periods, subtract
from clinic.models import AuditEvent, Practitioner

from . import limits, times
from .availability import conflicts as availability_conflicts
from .availability import opening as availability_opening
from .availability import search, slots
from .lifecycle import clock_changes
from .models import Booking, Message

Status = Booking.Status

ROW = timedelta(minutes=30)
MINUTE = timedelta(minutes=1)
SOON_LATE = timedelta(hours=4)  # from this age a waiting request is marked
MOST_WAITING = 100  # read; the board names how many there are up to here
MOST_MISSING = 50
MOST_UNREACHABLE = 100  # failed messages read
MOST_CONFLICTS = 200  # listed on their page
OUTCOME_DAYS = 30
NO_SHOW_DAYS = 7
MOST_OFFERS_SHOWN = 12
MOST_OTHERS = 12
REQUEST_DAYS = 30
REQUESTS_SECONDS = 300  # how old the numbers per condition may be
CONFLICTS_SECONDS = 60  # how old the numbers of conflicts may be
FIRST_YEAR, LAST_YEAR = 2000, 2200  # of a day that an address may ask for
LIVE = (Status.BOOKED, Status.ARRIVED, Status.FULFILLED)
SHOWN = (*Booking.HOLDING, Status.FULFILLED, Status.NOSHOW)
WAITING = (Status.PENDING, Status.WAITLIST)


# --- one booking ----------------------------------------------------------------------------------


def possible(booking, now):
    """Names of the actions that the booking's status and time allow. The verbs have the last word."""
    if booking.erased_at:
        return []
    zone = timezone.get_current_timezone()
    started = booking.starts_at is not None and booking.starts_at <= now
    allowed = {
        "confirm": booking.status == Status.PENDING,
        "arrived": booking.status == Status.BOOKED and booking.is_by_day(now, zone),
        "seen": started and booking.status in (Status.BOOKED, Status.ARRIVED),
        "noshow": started and booking.status == Status.BOOKED,
        "move": booking.status in (Status.PENDING, Status.BOOKED, Status.WAITLIST),
        "offer": bool(booking.email) and booking.status in WAITING,
        "undo": booking.status in (Status.ARRIVED, Status.FULFILLED, Status.NOSHOW),
        "tell": booking.status in availability_conflicts.AGREED
        and not started
        and bool(clock_changes.shifts(booking.told_times, booking.starts_at, zone)),
        "link": bool(booking.email)
        and not started
        and booking.status in (Status.PENDING, Status.BOOKED, Status.WAITLIST),
        "cancel": booking.status
        in (Status.PENDING, Status.BOOKED, Status.WAITLIST, Status.PROPOSED),
    }
    return [name for name, is_allowed in allowed.items() if is_allowed]


def age_words(age):
    """A length of time in the two largest units that matter: "1 d 6 h", "7 h", "50 min"."""
    minutes = max(int(age.total_seconds() // 60), 0)
    hours, days = minutes // 60, minutes // 1440
    if days:
        return f"{days} d {hours % 24} h" if hours % 24 else f"{days} d"
    return f"{hours} h" if hours else f"{minutes} min"


def urgency(age, answer_within_hours):
    """ "late" for a request older than the clinic promises, "soon" from four hours on, or ""."""
    if age > timedelta(hours=answer_within_hours):
        return "late"
    return "soon" if age >= SOON_LATE else ""


def without_offers(bookings):
    """The rows that somebody asked for, without the times that the clinic holds as offers."""
    return bookings.filter(offered_for=None)


@dataclass(frozen=True)
class Offer:
    """A time that the clinic offered for a request; ``state`` is open, taken or ended."""

    booking: Booking
    state: str
    words: str


def offers_of(booking, zone, now):
    """The times offered for a request, open ones first, with what became of them; one query."""
    rows = booking.offers.select_related("practitioner").order_by("-created_at", "-pk")
    found = [Offer(row, *_state_of(row, booking, zone, now)) for row in rows[:MOST_OFFERS_SHOWN]]
    return sorted(found, key=lambda offer: (offer.state != "open", offer.booking.starts_at))


def _state_of(row, booking, zone, now):
    if row.status == Status.PROPOSED and row.hold_until and row.hold_until > now:
        return "open", f"Held until {times.when(row.hold_until, zone, 'D j M Y')}"
    same = (row.starts_at, row.practitioner_id) == (booking.starts_at, booking.practitioner_id)
    if same and booking.status in (*LIVE, Status.NOSHOW):
        return "taken", "Taken"
    return "ended", "Ended, the time was given back"


def there_now(booking, clinic_zone, now):
    """The patient's clock now, "22:20 there now", where it differs from the clinic's; else ""."""
    zone = times.known_zone(booking.time_zone, clinic_zone)
    if now.astimezone(zone).utcoffset() == now.astimezone(clinic_zone).utcoffset():
        return ""
    return f"{times.clock(now, zone)} there now"


WHAT_HAPPENED = {
    "booking.requested": "Requested",
    "booking.callback_requested": "Asked for a call",
    "booking.confirmed": "Confirmed",
    "booking.rescheduled": "Moved",
    "booking.cancelled": "Cancelled",
    "booking.arrived": "Arrived",
    "booking.fulfilled": "Seen",
    "booking.noshow": "Did not come",
    "booking.undone": "Taken back",
    "booking.proved": "Address confirmed",
    "booking.offered": "Times offered",
    "booking.offer_chosen": "Offered time taken",
    "booking.link_sent": "Link sent again",
    "booking.told_again": "Told the new clock time",
    "booking.reminders_off": "Reminders off",
    "booking.reminders_on": "Reminders on",
    "booking.message_failed": "A message failed",
    "booking.message_requeued": "A message is sent again",
    "booking.unreachable_handled": "Told by phone",
    "booking.person_exported": "Personal details exported",
    "booking.erased": "Personal details erased",
    "booking_changed": "Contact changed",
}


@dataclass(frozen=True)
class Happening:
    """One line of a booking's timeline."""

    at: datetime
    who: str
    what: str
    detail: str


def events_of(booking):
    """What the record of changes says about the booking."""
    return AuditEvent.objects.filter(
        object_type=booking._meta.label_lower, object_key=booking.reference
    )


def timeline(booking, zone):
    """What happened to the booking, oldest first, its newest hundred events; one query."""
    events = events_of(booking).order_by("-at", "-pk")[:100]
    return [
        Happening(
            at=event.at,
            who=event.actor_label,
            what=WHAT_HAPPENED.get(event.action, event.action),
            detail=_detail(event, zone),
        )
        for event in reversed(events)
    ]


def _detail(event, zone):
    details = event.details if isinstance(event.details, dict) else {}
    if event.action == "booking.rescheduled":
        moved = (_moment(details.get(key), zone) for key in ("from", "to"))
        return " to ".join(moment for moment in moved if moment)
    if event.action == "booking.requested":
        return _moment(details.get("starts_at"), zone)
    if event.action == "booking_changed":
        return ", ".join(str(name) for name in details.get("fields", []))
    if event.action == "booking.message_failed":
        return str(details.get("error", ""))
    return ""


def _moment(text, zone):
    try:
        at = parse_datetime(str(text))
    except ValueError:
        at = None
    return times.when(at, zone, "D j M Y") if at and at.tzinfo else ""


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


@dataclass(frozen=True)
class Waiting:
    booking: Booking
    age: str
    late: bool
    soon: bool
    there: str
    others: int  # consultations ahead with the same address or number


@dataclass(frozen=True)
class Unreachable:
    """A patient whom messages did not reach; ``failed`` are these messages, newest first."""

    booking: Booking
    failed: list


def shown_day(text, zone, now):
    """The date that an address asks for, or today where it asks for none or an impossible one."""
    day = times.parse_day(text)
    return day if day and FIRST_YEAR <= day.year <= LAST_YEAR else now.astimezone(zone).date()


def board(bookings, practitioners, *, day, clinic, now, reader=""):
    """Everything that the day board shows, as a dict for its template; all times UTC instants.

    ``bookings`` and ``practitioners`` are querysets of what the reader may see; ``reader`` tells
    apart readers who see different rows, because the numbers per condition are kept for minutes.
    """
    bookings = bookings.select_related("practitioner", "condition")
    today = now.astimezone(clinic.zone).date()
    of_day = _of_day(bookings, day, clinic.zone, now)
    rules = availability_opening.Rules(min(day, today), date.max, clinic.zone)
    grid = _grid(of_day, practitioners, rules, day=day, clinic=clinic, now=now)
    waiting = _waiting(bookings, clinic, now)
    missing, no_shows = _past(bookings, now)
    return grid | {
        "day": day,
        "previous_day": day - DAY,
        "next_day": day + DAY,
        "is_today": day == today,
        "now": now,
        "zone": clinic.zone,
        "booked": sum(booking.status in LIVE for booking in of_day),
        "missed": sum(booking.status == Status.NOSHOW for booking in of_day),
        "waiting": waiting,
        "late": sum(item.late for item in waiting),
        "missing": missing,
        "no_shows": no_shows,
        "unreachable": None if reader else _unreachable(),
        "conflicts": conflict_numbers(bookings, clinic, now, reader, rules),
        "requests": _requests(bookings, now, reader),
    }


def _of_day(bookings, day, zone, now):
    start, end = day_start(day, zone), day_start(day + DAY, zone)
    # One that began before midnight may still be going on; none is longer than a day.
    found = bookings.filter(starts_at__gte=start - DAY, starts_at__lt=end, ends_at__gt=start)
    rows = _in_state(found, SHOWN).select_related("practitioner", "condition", "offered_for")
    return [row for row in rows.order_by("starts_at", "pk") if not _has_ended(row, now)]


def _has_ended(booking, now):
    """Whether it is an offer whose time is free again, although its row still says otherwise."""
    ends = booking.status == Status.PROPOSED and booking.hold_until
    return bool(ends and booking.hold_until <= now)


def _in_state(bookings, statuses):
    """Rows in these statuses, found by their time.

    Lower() hides the status from its index: a database that keeps no statistics would read all
    that ever had one of them instead of a few days.
    """
    return bookings.alias(state=Lower("status")).filter(state__in=statuses)


def _waiting(bookings, clinic, now):
    """Requests that wait for an answer, oldest first; those whose hold ran out wait no longer."""
    found = bookings.filter(
        Q(hold_until=None) | Q(hold_until__gt=now), status__in=WAITING
    ).order_by("created_at", "pk")
    waiting = []
    found = found[:MOST_WAITING]
    ahead = Ahead(bookings, now)
    for booking in found:
        age = now - booking.created_at
        state = urgency(age, clinic.answer_within_hours)
        waiting.append(
            Waiting(
                booking=booking,
                age=age_words(age),
                late=state == "late",
                soon=state == "soon",
                there=there_now(booking, clinic.zone, now),
                others=len(ahead.others(booking)),
            )
        )
    return waiting


class Ahead:
    """What is still ahead of people, or waits to be called, by mailbox and by phone number.

    The desk answers a request knowing it; the page that asks for one never tells.
    """

    def __init__(self, bookings, now):
        rows = without_offers(bookings)
        coming = _in_state(rows, (Status.PENDING, Status.BOOKED)).filter(
            Q(hold_until=None) | Q(hold_until__gt=now), starts_at__gt=now
        )
        columns = ("pk", "email", "phone")
        found, to_call = (
            part.order_by().values_list(*columns)
            for part in (coming, rows.filter(status=Status.WAITLIST))
        )
        self._keys = defaultdict(set)
        for key, email, phone in found.union(to_call, all=True):  # an index for each half
            for contact in self._contacts(email, phone):
                self._keys[contact].add(key)

    @staticmethod
    def _contacts(email, phone):
        number = phone.as_e164 if phone else ""
        return [contact for contact in (limits.mailbox(email), number) if contact]

    def others(self, booking):
        """The keys of the other bookings with the same mailbox or number, sorted."""
        contacts = self._contacts(booking.email, booking.phone)
        return sorted(set().union(*(self._keys[c] for c in contacts)) - {booking.pk})


def others_ahead(bookings, booking, now):
    """Other coming bookings with the mailbox or number of one that waits or is ahead; soonest first."""
    if booking.erased_at or booking.status not in (*WAITING, Status.BOOKED):
        return []
    return listed(bookings, Ahead(bookings, now).others(booking))[:MOST_OTHERS]


def _past(bookings, now):
    """Consultations without an outcome (the last 30 days), and no-shows (the last 7), newest first."""
    missing = Q(state__in=(Status.BOOKED, Status.ARRIVED), ends_at__lte=now)
    no_shows = Q(state=Status.NOSHOW, starts_at__gt=now - NO_SHOW_DAYS * DAY)
    found = _in_state(bookings, (Status.BOOKED, Status.ARRIVED, Status.NOSHOW)).filter(
        missing | no_shows, starts_at__gt=now - OUTCOME_DAYS * DAY, starts_at__lte=now
    )
    rows = list(found.order_by("-starts_at", "-pk")[: 2 * MOST_MISSING])
    return (
        [row for row in rows if row.status != Status.NOSHOW][:MOST_MISSING],
        [row for row in rows if row.status == Status.NOSHOW][:MOST_MISSING],
    )


def _unreachable():
    """Patients whom a message did not reach and nobody has told yet, the newest trouble first."""
    failed = (
        Message.objects.filter(state=search.Literal(Message.State.FAILED))
        .exclude(kind__startswith="desk_")
        .filter(booking__erased_at=None)
        .select_related("booking")
        .order_by("-due_at", "-pk")
    )
    by_booking = {}
    for message in failed[:MOST_UNREACHABLE]:
        by_booking.setdefault(message.booking_id, []).append(message)
    return [Unreachable(found[0].booking, found) for found in by_booking.values()]


@dataclass(frozen=True)
class Conflicts:
    """Coming bookings that no longer fit: their keys, soonest first.

    ``outside`` opening hours; ``shifted``: at another clock time than people were told.
    """

    outside: list
    shifted: list


def conflicts(bookings, clinic, now, reader="", rules=None):
    """The Conflicts of now, with at most three queries; how many there are is kept for a minute."""
    rows = list(
        availability_conflicts.coming(bookings, now).values_list(*availability_conflicts.COMING_ROW)
    )
    found = Conflicts(
        availability_conflicts.outside_keys(rows, clinic, rules),
        clock_changes.shifted_keys(rows, clinic),
    )
    numbers = {"outside": len(found.outside), "shifted": len(found.shifted)}
    caches["memory"].set(f"desk-conflicts:{reader}", numbers, CONFLICTS_SECONDS)
    return found


def conflict_numbers(bookings, clinic, now, reader="", rules=None):
    """How many conflicts() would find, by kind, a minute ago at most; the lists are never kept."""
    numbers = caches["memory"].get(f"desk-conflicts:{reader}")
    if numbers is None:
        found = conflicts(bookings, clinic, now, reader, rules)
        numbers = {"outside": len(found.outside), "shifted": len(found.shifted)}
    return numbers


def listed(bookings, keys):
    """The first MOST_CONFLICTS bookings of these keys, soonest first."""
    found = bookings.filter(pk__in=keys[:MOST_CONFLICTS]).order_by("starts_at", "pk")
    return list(found.select_related("practitioner", "condition"))


def _requests(bookings, now, reader):
    """(condition, requests, share of the largest in percent) of the last 30 days, largest first."""
    key = f"desk-requests:{reader}"
    counts = caches["memory"].get(key)
    if counts is None:
        counts = list(
            without_offers(bookings)
            .filter(created_at__gt=now - REQUEST_DAYS * DAY)
            .order_by()
            .values_list("condition__name")
            .annotate(number=Count("pk"))
        )
        caches["memory"].set(key, counts, REQUESTS_SECONDS)
    largest = max((number for _name, number in counts), default=0)
    ordered = sorted(counts, key=lambda row: (-row[1], row[0] or "~"))
    return [
        {"name": name or "Not sure, or other", "number": number, "percent": 100 * number // largest}
        for name, number in ordered
    ]


# --- the grid -------------------------------------------------------------------------------------


def _grid(of_day, practitioners, rules, *, day, clinic, now):
    """The columns of the day and the rows they share."""
    zone = clinic.zone
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
            _free_places(person, mine[person.pk], opening, clinic, midnight, end, now)
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
        """The closures that touch the practitioner's day: (UTC periods, reason)."""
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
    """The whole rows inside the periods, hatched."""
    for start, end in periods:
        from_row, to_row = -((first - start) // ROW), (end - first) // ROW
        if to_row > from_row:
            yield Block(row=from_row + 1, span=to_row - from_row, closed=reason)


def _free_places(person, bookings, opening, clinic, midnight, end, now):
    """How many consultations of the usual length still fit into the practitioner's day."""
    if person.archived or not person.accepts_bookings:
        return 0
    busy = [
        (booking.busy_from, booking.busy_until)
        for booking in bookings
        if booking.holds_time and not (booking.is_unproved and booking.hold_until <= now)
    ]
    length = clinic.consultation_minutes * MINUTE
    before, after = clinic.buffer_before * MINUTE, clinic.buffer_after * MINUTE
    starts = slots.starts_in(
        opening.open_to(person.pk),
        busy,
        length=length,
        step=clinic.slot_step * MINUTE,
        before=before,
        after=after,
        zone=clinic.zone,
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
