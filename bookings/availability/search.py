"""Which consultation times are free. Reads only; the verbs of bookings.lifecycle take time.

A practitioner can see somebody where their own hours and the clinic's both hold, outside closures
of either. A consultation lies inside that open time; with its buffers it touches no time that
another booking holds. Buffers may reach outside opening hours.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import chain, islice
from operator import attrgetter
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from bookings.availability.opening import Rules
from bookings.availability.slots import LONGEST_BUSY, MINUTE, Slot, days, round_up, starts_in
from bookings.models import Booking
from clinic.hours import DAY, HOUR, Period, Periods, day_start
from clinic.models import Clinic, Location, Practitioner
from conditions.models import Condition

# Most searches for the next free time end in the first few days that are open at all.
WINDOWS_OF_OPEN_DAYS = (3, 8)
DAYS_AROUND = (2 * DAY, 14 * DAY)


@dataclass(frozen=True, kw_only=True)
class SlotSearch:
    """A question about free times: where, for which consultation, with whom, and seen from when.

    Candidates and their opening rules are read at the first answer that needs them and kept; time
    held by bookings is read for every answer. ``dataclasses.replace`` gives a question that reads
    everything afresh. All instants are UTC; days are those of the place.
    """

    location: Location
    condition: Condition | None = None  # sets the length, and may limit who
    visit_type: str | None = None
    practitioner: Practitioner | None = None
    moving: Booking | None = None  # its own time counts as free
    now: datetime = field(default_factory=timezone.now)

    @classmethod
    def for_booking(cls, booking: Booking, **more: Any) -> "SlotSearch":
        """Ask about the consultation that a booking is for; to move it, give ``moving`` too."""
        return cls(
            location=booking.location,
            condition=booking.condition,
            visit_type=booking.visit_type,
            **more,
        )

    # --- answers ----------------------------------------------------------------------------------

    def free(self, first_day: date, last_day: date) -> list[Slot]:
        """List the free slots that start on these local dates of the place, both included.

        Sorted by start, then by the practitioner's position. Starts lie after the clinic's notice
        and on no date beyond its horizon. At most four queries.
        """
        first_day, last_day = max(first_day, self.first_day), min(last_day, self.last_day)
        if first_day > last_day or not self.practitioners:
            return []
        return self._slots(first_day, last_day, self._held(first_day, last_day))

    def next(self, after: datetime | None = None) -> Slot | None:
        """Find the first free slot within the horizon; not before the instant ``after``, if given.

        As many queries as free() when the first open days have one, two more at most; days after
        it are not computed.
        """
        # A filter, not a second notice: what is offered must not depend on where one looks from.
        first_day = max(self.first_day, after.astimezone(self.zone).date() if after else date.min)
        open_days = self._open_days(first_day)
        for count in (*WINDOWS_OF_OPEN_DAYS, None):
            window = list(islice(open_days, count))
            if not window:
                return None
            held = self._held(window[0], window[-1])
            for day in window:
                for slot in self._slots(day, day, held):
                    if after is None or slot.starts_at >= after:
                        return slot
        return None

    def nearest(self, start: datetime, limit: int = 3) -> list[Slot]:
        """List the free slots closest to an instant, ``limit`` different starts at most, in order."""
        day = start.astimezone(self.zone).date()
        for reach in (*DAYS_AROUND, None):
            first = self.first_day if reach is None else day - reach
            last = self.last_day if reach is None else day + reach
            by_start: dict[datetime, Slot] = {}
            for slot in self.free(first, last):
                by_start.setdefault(slot.starts_at, slot)
            closest = sorted(by_start, key=lambda found: abs(found - start))[:limit]
            # Days not looked at are at least this far away, a clock change allowed for.
            if reach and len(closest) == limit and abs(closest[-1] - start) <= reach - HOUR:
                break
        return [by_start[found] for found in sorted(closest)]

    def at(self, start: datetime) -> Slot | None:
        """Find the free slot that starts at exactly this instant, as free() lists it for that day."""
        day = start.astimezone(self.zone).date()
        return next((slot for slot in self.free(day, day) if slot.starts_at == start), None)

    # --- what they are made of --------------------------------------------------------------------

    @cached_property
    def zone(self) -> ZoneInfo:
        return self.location.zone

    @property
    def clinic(self) -> Clinic:
        return self.location.clinic

    @cached_property
    def earliest(self) -> datetime:
        """The end of the clinic's notice, up to the whole minute: a start that people can say."""
        notice_ends = self.now + self.clinic.minimum_notice * MINUTE
        return round_up(notice_ends, MINUTE, self.now.replace(second=0, microsecond=0))

    @cached_property
    def first_day(self) -> date:
        return self.earliest.astimezone(self.zone).date()

    @cached_property
    def last_day(self) -> date:
        """The last date of the clinic's horizon, which counts from today."""
        today = self.now.astimezone(self.zone).date()
        return today + timedelta(days=self.clinic.horizon_days)

    @cached_property
    def practitioners(self) -> list[Practitioner]:
        """Who could give this consultation, by position."""
        found = Practitioner.objects.who_see(self.condition, self.visit_type)
        return list(found.filter(pk=self.practitioner.pk) if self.practitioner else found)

    @cached_property
    def _rules(self) -> Rules:
        # The day after the last one counts too: a late consultation may run into it.
        people = [person.pk for person in self.practitioners]
        return Rules(self.location, self.first_day, self.last_day + DAY, people)

    @cached_property
    def _length(self) -> timedelta:
        return self.clinic.minutes_for(self.condition) * MINUTE

    @property
    def _before(self) -> timedelta:
        return self.clinic.buffer_before * MINUTE

    @property
    def _after(self) -> timedelta:
        return self.clinic.buffer_after * MINUTE

    def _open_days(self, first_day: date) -> Iterator[date]:
        """Yield the dates from then on on which anybody has open time left, soonest first."""
        for day in days(first_day, self.last_day):
            if any(
                end > self.earliest
                for practitioner in self.practitioners
                for _, end in self._rules.open_on(day, practitioner.pk)
            ):
                yield day

    def _held(self, first_day: date, last_day: date) -> dict[int, Periods]:
        """Read the time held by bookings that can matter to starts on these dates, by practitioner."""
        since, until = self._span(first_day, last_day)
        rows = Booking.objects.holding_time_at(self.now).filter(
            practitioner_id__in=[practitioner.pk for practitioner in self.practitioners],
            busy_from__gte=since - LONGEST_BUSY,
            busy_from__lt=until,
            busy_until__gt=since,
        )
        if self.moving:
            rows = rows.exclude(pk=self.moving.pk)
        held: dict[int, Periods] = defaultdict(list)
        for key, start, end in rows.order_by("practitioner_id", "busy_from").values_list(
            "practitioner_id", "busy_from", "busy_until"
        ):
            held[key].append((start, end))
        return held

    def _span(self, first_day: date, last_day: date) -> Period[datetime]:
        """Return the time that starts on these dates can make busy."""
        since = max(day_start(first_day, self.zone), self.earliest)
        until = day_start(last_day + DAY, self.zone)
        return since - self._before, until + self._length + self._after

    def _slots(self, first_day: date, last_day: date, held: Mapping[int, Periods]) -> list[Slot]:
        """List the free slots that start on these dates; ``held`` may cover more days than these."""
        since, until = self._span(first_day, last_day)
        latest = day_start(last_day + DAY, self.zone)
        slots: list[Slot] = []
        for practitioner in self.practitioners:
            busy = held.get(practitioner.pk, [])
            starts = starts_in(
                # With the day after, into which a late consultation may run.
                chain.from_iterable(
                    self._rules.open_on(day, practitioner.pk)
                    for day in days(first_day, last_day + DAY)
                ),
                busy[bisect_left(busy, (since - LONGEST_BUSY,)) : bisect_left(busy, (until,))],
                length=self._length,
                step=self.clinic.slot_step * MINUTE,
                before=self._before,
                after=self._after,
                zone=self.zone,
                earliest=max(day_start(first_day, self.zone), self.earliest),
                latest=latest,
            )
            slots += [self._slot(practitioner, start) for start in starts]
        # Candidates come by position, and the sort keeps that order within one start.
        return sorted(slots, key=attrgetter("starts_at"))

    def _slot(self, practitioner: Practitioner, start: datetime) -> Slot:
        end = start + self._length
        return Slot(practitioner, start, end, start - self._before, end + self._after)
