"""Bookings ahead that no longer fit the opening hours."""

from collections.abc import Sequence
from datetime import date, datetime
from functools import cache
from itertools import chain
from typing import Any

from django.utils import timezone

from bookings.availability.opening import Rules
from bookings.availability.slots import days
from bookings.models import Booking, BookingQuerySet
from clinic.hours import Periods, merge
from clinic.models import Location


def outside_hours(
    location: Location,
    *,
    now: datetime | None = None,
    bookings: BookingQuerySet | None = None,
) -> list[Booking]:
    """List coming bookings that hold time at which their practitioner is no longer open, soonest first.

    Shortened hours and new closures never touch a booking; this is where they show. Archived
    practitioners have no open time. ``bookings`` narrows it to what its reader may see.
    """
    now = now or timezone.now()
    bookings = Booking.objects.all() if bookings is None else bookings
    rows = bookings.ahead(now).filter(location=location).values_list(*COMING_ROW)
    keys = outside_keys(list(rows), location)
    found = Booking.objects.filter(pk__in=keys).select_related("practitioner", "condition")
    return list(found.order_by("starts_at", "pk")) if keys else []


# What the questions about many coming bookings read of each; no model is made of it.
COMING_ROW = (
    "pk", "starts_at", "ends_at", "practitioner_id", "practitioner__archived", "promised_times",
)  # fmt: skip


def outside_keys(
    rows: Sequence[tuple[Any, ...]], location: Location, rules: Rules | None = None
) -> list[int]:
    """Return the primary keys of those of the COMING_ROW tuples that are outside_hours(), in order.

    ``rules`` of all practitioners are read if not given, with two queries. None for no rows.
    """
    if not rows:
        return []
    zone = location.zone
    first, last = (at.astimezone(zone).date() for at in (rows[0][1], max(row[2] for row in rows)))
    rules = rules or Rules(location, first, last)

    @cache
    def open_on(first: date, last: date, who: int) -> Periods:
        return merge(chain.from_iterable(rules.open_on(day, who) for day in days(first, last)))

    def is_open(who: int, start: datetime, end: datetime) -> bool:
        first, last = (edge.astimezone(zone).date() for edge in (start, end))
        return any(opens <= start and end <= closes for opens, closes in open_on(first, last, who))

    return [
        pk
        for pk, start, end, who, archived, _promised in rows
        if archived or not is_open(who, start, end)
    ]
