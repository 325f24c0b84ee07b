"""Coming bookings that no longer fit: outside opening hours, or told another clock time."""

from dataclasses import dataclass

from django.core.cache import caches

from bookings.availability import conflicts as availability_conflicts
from bookings.lifecycle import clock_changes

MOST_CONFLICTS = 200  # listed on their page


CONFLICTS_SECONDS = 60  # how old the numbers of conflicts may be


@dataclass(frozen=True)
class Conflicts:
    """Coming bookings that no longer fit: their keys, soonest first.

    ``outside`` opening hours; ``shifted``: at another clock time than people were told.
    """

    outside: list
    shifted: list


def conflicts(bookings, location, now, reader="", rules=None):
    """Return the Conflicts of now with at most three queries; their number is kept for a minute."""
    coming = bookings.ahead(now).filter(location=location)
    rows = list(coming.values_list(*availability_conflicts.COMING_ROW))
    found = Conflicts(
        availability_conflicts.outside_keys(rows, location, rules),
        clock_changes.shifted_keys(rows, location),
    )
    numbers = {"outside": len(found.outside), "shifted": len(found.shifted)}
    caches["memory"].set(f"desk-conflicts:{reader}", numbers, CONFLICTS_SECONDS)
    return found


def conflict_numbers(bookings, location, now, reader="", rules=None):
    """How many conflicts() would find, by kind, a minute ago at most; the lists are never kept."""
    numbers = caches["memory"].get(f"desk-conflicts:{reader}")
    if numbers is None:
        found = conflicts(bookings, location, now, reader, rules)
        numbers = {"outside": len(found.outside), "shifted": len(found.shifted)}
    return numbers


def listed(bookings, keys):
    """Return the first MOST_CONFLICTS bookings of these keys, soonest first."""
    found = bookings.filter(pk__in=keys[:MOST_CONFLICTS]).order_by("starts_at", "pk")
    return list(found.select_related("practitioner", "condition", "location__clinic"))
