"""Which consultation times are free. Reads only; the verbs of bookings.lifecycle take time.

A practitioner can see somebody where their own hours and the clinic's both hold, outside closures
of either. A consultation lies inside that open time; with its buffers it touches no time that
another booking holds. Buffers may reach outside opening hours.
"""

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cache
from itertools import chain, islice
from operator import attrgetter

from django.db.models import Exists, Q, Value
from django.db.models.functions import Lower
from django.utils import timezone

from clinic.hours import DAY, HOUR, day_start, intersect, merge, open_periods, stretches, subtract
from clinic.models import Clinic, Closure, OpeningHours, Practitioner, Weekday

from .models import Booking

MINUTE = timedelta(minutes=1)
FIVE_MINUTES = 5 * MINUTE
# These hold their time because somebody asked for it; an offer holds it only for a while.
AGREED = [status for status in Booking.HOLDING if status != Booking.Status.PROPOSED]
LONGEST_BUSY = DAY  # no booking with its buffers is longer, so an index range can start there
ALWAYS = [OpeningHours(weekday=day, opens=time(), closes=time()) for day in Weekday]
# Most searches for the next free time end in the first few days that are open at all.
WINDOWS_OF_OPEN_DAYS = (3, 8)
DAYS_AROUND = (2 * DAY, 14 * DAY)


@dataclass(frozen=True, slots=True)
class Slot:
    """A time that can be booked with one practitioner. All times are UTC instants, half-open."""

    practitioner: Practitioner
    starts_at: datetime
    ends_at: datetime
    busy_from: datetime
    busy_until: datetime


# --- the pure part --------------------------------------------------------------------------------


def starts_in(open_periods, busy, *, length, step, before, after, zone, earliest, latest):
    """The starts to offer in open time, in order. Pure; periods are (start, end) UTC tuples.

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
        on_grid = _round_up(start, step, midnight)
        if on_grid >= end:
            rounded = _round_up(start, FIVE_MINUTES, midnight)
            starts.append(rounded if rounded < end else start)
        while on_grid < end:
            starts.append(on_grid)
            on_grid += step
    return starts


def _gaps(periods, zone):
    """Ordered periods cut at local midnight and clock changes: (start, end, midnight)."""
    if not periods:
        return
    first, last = (edge.astimezone(zone).date() for edge in (periods[0][0], periods[-1][1]))
    parts = [part for day in _days(first, last) for part in stretches(day, zone)]
    index = 0
    for start, end in periods:
        while parts[index][1] <= start:
            index += 1
        ahead = index
        while ahead < len(parts) and parts[ahead][0] < end:
            part_start, part_end, midnight = parts[ahead]
            yield max(start, part_start), min(end, part_end), midnight
            ahead += 1


def _round_up(instant, step, midnight):
    """The first instant from then on that is a whole number of ``step`` after ``midnight``."""
    return midnight - (midnight - instant) // step * step


def _days(first, last):
    """The dates from ``first`` to ``last``, both included."""
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


# --- what a search reads --------------------------------------------------------------------------


class Rules:
    """Opening hours, and the closures that touch some local dates, by practitioner key.

    Those of the whole clinic are under None. ``people`` are the keys whose own rules are read, None
    reads all. Two queries.
    """

    def __init__(self, first_day, last_day, zone, people=None):
        owners = Q() if people is None else Q(practitioner=None) | Q(practitioner__in=people)
        self.zone = zone
        self.hours, self.closures = defaultdict(list), defaultdict(list)
        for rule in OpeningHours.objects.filter(owners).order_by():
            self.hours[rule.practitioner_id].append(rule)
        for closure in Closure.objects.touching(first_day, last_day).filter(owners).order_by():
            self.closures[closure.practitioner_id].append(closure)
        self._clinic_open = {}

    def open_on(self, day, practitioner_pk):
        """When one practitioner gives consultations on one local date: UTC periods, merged.

        Who has no hours of their own has the clinic's; where there are none at all, nobody is open.
        """
        own, own_closures = self.hours.get(practitioner_pk), self.closures.get(practitioner_pk, ())
        if not own and not self.hours.get(None):
            return []
        if day not in self._clinic_open:
            self._clinic_open[day] = open_periods(
                day, self.hours.get(None) or ALWAYS, self.closures.get(None, ()), self.zone
            )
        if not own and not own_closures:
            return self._clinic_open[day]
        theirs = open_periods(day, own or ALWAYS, own_closures, self.zone)
        return intersect(self._clinic_open[day], theirs)


class _Timetable:
    """Policy, candidates and their rules, read once; held time is read for the days asked."""

    def __init__(
        self,
        *,
        condition,
        visit_type,
        practitioner,
        now,
        clinic,
        first_day=None,
        last_day=None,
        ignoring=None,
    ):
        self.now = now = now or timezone.now()
        self.clinic = clinic = clinic or Clinic.objects.current()
        self.zone = clinic.zone
        self.length = (
            condition and condition.consultation_minutes or clinic.consultation_minutes
        ) * MINUTE
        self.before, self.after = clinic.buffer_before * MINUTE, clinic.buffer_after * MINUTE
        self.ignoring = ignoring
        # Up to the whole minute: a start that is not on the grid shall still be a time people say.
        notice_ends = now + clinic.minimum_notice * MINUTE
        self.earliest = _round_up(notice_ends, MINUTE, now.replace(second=0, microsecond=0))
        today, horizon = now.astimezone(self.zone).date(), timedelta(days=clinic.horizon_days)
        soonest = self.earliest.astimezone(self.zone).date()
        self.first_day = max(first_day, soonest) if first_day else soonest
        self.last_day = min(last_day, today + horizon) if last_day else today + horizon
        self.practitioners = []
        if self.first_day <= self.last_day:
            self.practitioners = _candidates(condition, visit_type, practitioner)
        if self.practitioners:
            # The day after the last one counts too: a late consultation may run into it.
            people = [person.pk for person in self.practitioners]
            self.rules = Rules(self.first_day, self.last_day + DAY, self.zone, people)

    def open_days(self):
        """The dates on which anybody has open time left, soonest first."""
        for day in _days(self.first_day, self.last_day):
            if any(
                end > self.earliest
                for practitioner in self.practitioners
                for _, end in self.rules.open_on(day, practitioner.pk)
            ):
                yield day

    def held(self, first_day, last_day):
        """Time held by bookings that can matter to starts on these dates, by practitioner.

        A proposed or pending booking whose hold has run out holds nothing, although its row is
        cancelled only by the verb that next takes the time.
        """
        since, until = self._span(first_day, last_day)
        lapsing = (Booking.Status.PROPOSED, Booking.Status.PENDING)
        rows = Booking.objects.filter(
            Q(hold_until=None) | Q(hold_until__gt=self.now) | ~Q(status__in=lapsing),
            practitioner_id__in=[practitioner.pk for practitioner in self.practitioners],
            status__in=[Literal(status) for status in Booking.HOLDING],
            busy_from__gte=since - LONGEST_BUSY,
            busy_from__lt=until,
            busy_until__gt=since,
        )
        if self.ignoring:
            rows = rows.exclude(pk=self.ignoring.pk)
        held = defaultdict(list)
        for key, start, end in rows.order_by("practitioner_id", "busy_from").values_list(
            "practitioner_id", "busy_from", "busy_until"
        ):
            held[key].append((start, end))
        return held

    def _span(self, first_day, last_day):
        """The time that starts on these dates can make busy, in UTC."""
        since = max(day_start(first_day, self.zone), self.earliest)
        until = day_start(last_day + DAY, self.zone)
        return since - self.before, until + self.length + self.after

    def slots(self, first_day, last_day, held=None):
        """The free slots that start on these dates; ``held`` may cover more days than these."""
        first_day, last_day = max(first_day, self.first_day), min(last_day, self.last_day)
        if first_day > last_day or not self.practitioners:
            return []
        if held is None:
            held = self.held(first_day, last_day)
        since, until = self._span(first_day, last_day)
        latest = day_start(last_day + DAY, self.zone)
        slots = []
        for practitioner in self.practitioners:
            busy = held.get(practitioner.pk, [])
            starts = starts_in(
                # With the day after, into which a late consultation may run.
                chain.from_iterable(
                    self.rules.open_on(day, practitioner.pk)
                    for day in _days(first_day, last_day + DAY)
                ),
                busy[bisect_left(busy, (since - LONGEST_BUSY,)) : bisect_left(busy, (until,))],
                length=self.length,
                step=self.clinic.slot_step * MINUTE,
                before=self.before,
                after=self.after,
                zone=self.zone,
                earliest=max(day_start(first_day, self.zone), self.earliest),
                latest=latest,
            )
            slots += [self._slot(practitioner, start) for start in starts]
        # Candidates come by position, and the sort keeps that order within one start.
        return sorted(slots, key=attrgetter("starts_at"))

    def _slot(self, practitioner, start):
        end = start + self.length
        return Slot(practitioner, start, end, start - self.before, end + self.after)


class Literal(Value):
    """One of our own codes, written into the SQL instead of sent beside it.

    SQLite uses a partial index only if it can read the index's condition in the query itself;
    with parameters it would go through everything a practitioner ever did.
    """

    def as_sql(self, compiler, connection):
        return f"'{self.value}'", ()


def _candidates(condition, visit_type, practitioner):
    """Who could give this consultation, by position."""
    found = Practitioner.objects.bookable(visit_type)
    if practitioner:
        found = found.filter(pk=practitioner.pk)
    if condition:
        named = condition.practitioners.order_by()
        found = found.filter(Q(pk__in=named.values("pk")) | ~Exists(named))
    return list(found)


# --- questions ------------------------------------------------------------------------------------


def free_slots(
    *,
    first_day,
    last_day,
    condition=None,
    visit_type=None,
    practitioner=None,
    now=None,
    clinic=None,
    ignoring=None,
):
    """The free Slots that start on these local dates of the clinic, both included.

    Sorted by start, then by the practitioner's position. Starts lie after the clinic's notice and
    on no date beyond its horizon. ``condition`` sets the length and may limit who; ``ignoring`` is
    a booking whose own time counts as free, for moving it. At most five queries.
    """
    timetable = _Timetable(
        first_day=first_day,
        last_day=last_day,
        condition=condition,
        visit_type=visit_type,
        practitioner=practitioner,
        now=now,
        clinic=clinic,
        ignoring=ignoring,
    )
    return timetable.slots(first_day, last_day)


def next_free(
    *, condition=None, visit_type=None, practitioner=None, now=None, clinic=None, after=None
):
    """The first free Slot, or None within the horizon; not before the instant ``after``, if given.

    Five queries when the first open days have one, seven at most; days after it are not computed.
    """
    timetable = _Timetable(
        condition=condition,
        visit_type=visit_type,
        practitioner=practitioner,
        now=now,
        clinic=clinic,
    )
    if after:
        # A filter, not a second notice: what is offered must not depend on where one looks from.
        timetable.first_day = max(timetable.first_day, after.astimezone(timetable.zone).date())
    days = timetable.open_days()
    for count in (*WINDOWS_OF_OPEN_DAYS, None):
        window = list(islice(days, count))
        if not window:
            return None
        held = timetable.held(window[0], window[-1])
        for day in window:
            for slot in timetable.slots(day, day, held):
                if after is None or slot.starts_at >= after:
                    return slot
    return None


def coming(bookings, now):
    """Bookings ahead whose time somebody asked for, soonest first; ``bookings`` may narrow them.

    Lower() hides the status from its index: they are found by their time, whatever the table's age.
    """
    bookings = Booking.objects.all() if bookings is None else bookings
    found = bookings.alias(state=Lower("status")).filter(state__in=AGREED, starts_at__gt=now)
    return found.order_by("starts_at", "pk")


def outside_hours(now=None, clinic=None, bookings=None):
    """Coming bookings that hold time at which their practitioner is no longer open, soonest first.

    Shortened hours and new closures never touch a booking; this is where they show. Archived
    practitioners have no open time. ``bookings`` narrows it to what its reader may see.
    """
    clinic, now = clinic or Clinic.objects.current(), now or timezone.now()
    keys = outside_keys(list(coming(bookings, now).values_list(*COMING_ROW)), clinic)
    found = Booking.objects.filter(pk__in=keys).select_related("practitioner", "condition")
    return list(found.order_by("starts_at", "pk")) if keys else []


# What the questions about many coming bookings read of each; no model is made of it.
COMING_ROW = (
    "pk", "starts_at", "ends_at", "practitioner_id", "practitioner__archived", "told_times",
)  # fmt: skip


def outside_keys(rows, clinic, rules=None):
    """The primary keys of those of the COMING_ROW tuples that are outside_hours(), in order.

    ``rules`` of all practitioners are read if not given, with two queries. None for no rows.
    """
    if not rows:
        return []
    zone = clinic.zone
    first, last = rows[0][1], max(row[2] for row in rows)
    rules = rules or Rules(first.astimezone(zone).date(), last.astimezone(zone).date(), zone)

    @cache
    def open_on(first, last, who):
        return merge(chain.from_iterable(rules.open_on(day, who) for day in _days(first, last)))

    def is_open(who, start, end):
        days = (edge.astimezone(zone).date() for edge in (start, end))
        return any(opens <= start and end <= closes for opens, closes in open_on(*days, who))

    return [
        pk
        for pk, start, end, who, archived, _told in rows
        if archived or not is_open(who, start, end)
    ]


def nearest(
    start,
    *,
    condition,
    visit_type,
    practitioner=None,
    limit=3,
    now=None,
    clinic=None,
    ignoring=None,
):
    """The free Slots closest to a UTC instant, ``limit`` different starts at most, in order."""
    timetable = _Timetable(
        condition=condition,
        visit_type=visit_type,
        practitioner=practitioner,
        now=now,
        clinic=clinic,
        ignoring=ignoring,
    )
    day = start.astimezone(timetable.zone).date()
    for reach in (*DAYS_AROUND, None):
        first = timetable.first_day if reach is None else day - reach
        last = timetable.last_day if reach is None else day + reach
        by_start = {}
        for slot in timetable.slots(first, last):
            by_start.setdefault(slot.starts_at, slot)
        closest = sorted(by_start, key=lambda found: abs(found - start))[:limit]
        # Days not looked at are at least this far away, a clock change allowed for.
        if reach and len(closest) == limit and abs(closest[-1] - start) <= reach - HOUR:
            break
    return [by_start[found] for found in sorted(closest)]


def slot_at(start, *, condition, visit_type, practitioner, now=None, clinic=None, ignoring=None):
    """The practitioner's free Slot that starts at exactly this UTC instant, or None.

    Read afresh from the database, and the same answer as free_slots() gives for that day.
    """
    clinic = clinic or Clinic.objects.current()
    day = start.astimezone(clinic.zone).date()
    found = free_slots(
        first_day=day,
        last_day=day,
        condition=condition,
        visit_type=visit_type,
        practitioner=practitioner,
        now=now,
        clinic=clinic,
        ignoring=ignoring,
    )
    return next((slot for slot in found if slot.starts_at == start), None)
