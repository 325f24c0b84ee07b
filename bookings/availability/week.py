"""The week of free times around a day, as the booking step and the manage page both show it."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bookings import times

from .search import SlotSearch

# Offered in the list of time zones, beside the clinic's own and the one that is shown.
COMMON_ZONES = (
    "America/Los_Angeles",
    "America/Denver",
    "America/Chicago",
    "America/New_York",
    "America/Mexico_City",
    "America/Sao_Paulo",
    "Europe/London",
    "Europe/Madrid",
    "Europe/Berlin",
    "Europe/Istanbul",
    "Asia/Dubai",
    "Asia/Karachi",
    "Asia/Kolkata",
    "Asia/Shanghai",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Pacific/Auckland",
)


def week_page(
    search: SlotSearch, *, zone: ZoneInfo, asked_day: str | None, default_at: datetime | None
) -> dict[str, Any]:
    """List what the page shows: the day, its week strip, its times by part of day.

    ``asked_day`` is the text of the address (may be anything); ``default_at`` an instant or None.
    Days are those of ``zone``; the clinic's dates may differ by one, so one more is read each side.
    """
    today = search.now.astimezone(zone).date()
    last = today + timedelta(days=search.clinic.horizon_days + 1)
    day = times.parse_day(asked_day) or (default_at or search.now).astimezone(zone).date()
    day = min(max(day, today), last)
    monday = times.monday_of(day)
    slots = search.free(monday - timedelta(days=1), monday + timedelta(days=7))
    offered = times.by_instant(slots, zone, search.zone)
    following = monday + timedelta(days=7)
    return {
        "day": day,
        "week": times.week(offered, zone, monday, day),
        "week_start": monday,
        "week_end": monday + timedelta(days=6),
        "parts": times.parts_of(offered, zone, day),
        "previous_week": monday - timedelta(days=7) if monday > today else None,
        "next_week": following if following <= last else None,
    }


def zones_to_choose(*always: ZoneInfo) -> list[ZoneInfo]:
    """Return ZoneInfo objects for the list of zones, sorted by city; ``always`` are among them."""
    names = {*COMMON_ZONES, *(zone.key for zone in always)}
    zones = [times.known_zone(name, None) for name in names]
    return sorted((zone for zone in zones if zone), key=times.zone_name)
