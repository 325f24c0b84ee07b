"""Which consultation times are free. Reads only; the verbs of bookings.lifecycle take time.

A practitioner can see somebody where their own hours and the clinic's both hold, outside closures
of either. A consultation lies inside that open time; with its buffers it touches no time that
another booking holds. Buffers may reach outside opening hours.
"""

from bisect import bisect_left
from collections import defaultdict
from datetime import timedelta
from itertools import chain, islice
from operator import attrgetter

from django.db.models import Exists, Q, Value
from django.utils import timezone

from bookings.availability.opening import Rules
from bookings.availability.slots import LONGEST_BUSY, MINUTE, Slot, _days, _round_up, starts_in
from bookings.models import Booking
from clinic.hours import DAY, HOUR, day_start
from clinic.models import Clinic, Practitioner

# Most searches for the next free time end in the first few days that are open at all.
WINDOWS_OF_OPEN_DAYS = (3, 8)


DAYS_AROUND = (2 * DAY, 14 * DAY)


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
