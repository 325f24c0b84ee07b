"""What people ask for: requests of the last 30 days by concern."""

from django.core.cache import caches
from django.db.models import Count

from clinic.hours import DAY

REQUEST_DAYS = 30


REQUESTS_SECONDS = 300  # how old the numbers per condition may be


def requests_by_concern(bookings, now, reader):
    """(condition, requests, share of the largest in percent) of the last 30 days, largest first."""
    key = f"desk-requests:{reader}"
    counts = caches["memory"].get(key)
    if counts is None:
        counts = list(
            bookings.asked_for()
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
