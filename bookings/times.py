"""Free slots as people see them: days of the shown zone, parts of the day, labels with zones.

Pure: slots and zones in, what a page lists out. The instants are the same in every zone; only the
labels change.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from django.utils.dateparse import parse_date, parse_datetime
from django.utils.formats import date_format
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from .availability.slots import Slot
    from .models import Booking

T = TypeVar("T")

PARTS = (("morning", 12, "rise"), ("afternoon", 17, "sun"), ("evening", 24, "moon"))


@dataclass(frozen=True)
class Time:
    """One instant that can be chosen."""

    value: str  # what the form sends: the UTC instant in ISO 8601
    starts_at: datetime
    label: str  # "10:30", with the zone's abbreviation where the clock shows it twice
    elsewhere: str  # the clinic's time, when another zone is shown
    who: str


@dataclass(frozen=True)
class Part:
    """Morning, afternoon or evening of the shown day."""

    name: str
    icon: str
    times: list[Time]


@dataclass(frozen=True)
class Day:
    """A cell of the week strip."""

    date: date
    free: int
    current: bool


def zone_name(zone: ZoneInfo) -> str:
    """Return the city of an IANA name as people write it: "Los Angeles"."""
    return zone.key.rpartition("/")[2].replace("_", " ")


def zone_offset(zone: tzinfo, at: datetime) -> str:
    """Return the zone's distance from UTC at an instant: "UTC−8", "UTC+5:30"."""
    minutes = (at.astimezone(zone).utcoffset() or timedelta()) // timedelta(minutes=1)
    hours, rest = divmod(abs(minutes), 60)
    sign = "−" if minutes < 0 else "+"
    return f"UTC{sign}{hours}" + (f":{rest:02}" if rest else "") if minutes else "UTC"


def known_zone(name: str, default: T) -> ZoneInfo | T:
    """Return the zone of that name, or ``default`` when there is none; never raises."""
    return ZoneInfo(name) if name in available_timezones() else default


def clock(at: datetime, zone: tzinfo) -> str:
    """Write an instant's wall-clock time; an hour shown twice gets its zone's letters."""
    local = at.astimezone(zone)
    twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    # In the skipped hour the two folds differ as well, but no instant has such a local time.
    return f"{local:%H:%M} {local.tzname()}" if twice else f"{local:%H:%M}"


def when(at: datetime, zone: tzinfo, style: str = "D j M") -> str:
    """Date and time of an instant in a zone: "Tue 24 Nov, 10:30"."""
    return f"{date_format(at.astimezone(zone), style)}, {clock(at, zone)}"


def near_day(at: datetime, zone: tzinfo, now: datetime) -> str:
    """ "today", "tomorrow", or the date, as it is in ``zone``."""
    days = (at.astimezone(zone).date() - now.astimezone(zone).date()).days
    return {0: _("today"), 1: _("tomorrow")}.get(days) or date_format(at.astimezone(zone), "D j M")


def parse_start(text: str | None) -> datetime | None:
    """Read the UTC instant that a form sent; None when it is not one (it may be tampered with)."""
    try:
        at = parse_datetime(text or "")
    except ValueError:
        return None
    if at is None or at.tzinfo is None or not 2000 <= at.year <= 2200:
        return None
    return at.astimezone(UTC)


def parse_day(text: str | None) -> date | None:
    """Read the date that an address asked for, or None."""
    try:
        return parse_date(text or "")
    except ValueError:
        return None


def value_of(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def monday_of(day: date) -> date:
    return day - timedelta(days=day.weekday())


def by_instant(slots: "Iterable[Slot]", zone: tzinfo, clinic_zone: tzinfo) -> list[Time]:
    """One Time an instant, however many practitioners are free then; sorted."""
    times: dict[datetime, list[str]] = {}
    for slot in slots:
        times.setdefault(slot.starts_at, []).append(slot.practitioner.name)
    elsewhere = clinic_zone != zone
    return [
        Time(
            value=value_of(at),
            starts_at=at,
            label=clock(at, zone),
            elsewhere=clock(at, clinic_zone) if elsewhere else "",
            who=", ".join(names),
        )
        for at, names in sorted(times.items())
    ]


def week(times: Iterable[Time], zone: tzinfo, first_day: date, current: date) -> list[Day]:
    """Seven Days from ``first_day``, with how many times each has in ``zone``."""
    free: dict[date, int] = {}
    for time in times:
        day = time.starts_at.astimezone(zone).date()
        free[day] = free.get(day, 0) + 1
    days = [first_day + timedelta(days=number) for number in range(7)]
    return [Day(date=day, free=free.get(day, 0), current=day == current) for day in days]


def parts_of(times: Iterable[Time], zone: tzinfo, day: date) -> list[Part]:
    """Return the day's times as Parts; empty parts are left out."""
    names = {"morning": _("Morning"), "afternoon": _("Afternoon"), "evening": _("Evening")}
    of_day = [time for time in times if time.starts_at.astimezone(zone).date() == day]
    parts: list[Part] = []
    begin = 0
    for key, until, icon in PARTS:
        chosen = [t for t in of_day if begin <= t.starts_at.astimezone(zone).hour < until]
        if chosen:
            parts.append(Part(name=names[key], icon=icon, times=chosen))
        begin = until
    return parts


def age_words(age: timedelta) -> str:
    """Write a length of time in the two largest units that matter: "1 d 6 h", "7 h", "50 min"."""
    minutes = max(int(age.total_seconds() // 60), 0)
    hours, days = minutes // 60, minutes // 1440
    if days:
        return f"{days} d {hours % 24} h" if hours % 24 else f"{days} d"
    return f"{hours} h" if hours else f"{minutes} min"


def there_now(booking: "Booking", clinic_zone: ZoneInfo, now: datetime) -> str:
    """Write the patient's clock, "22:20 there now", where it differs from the clinic's; else ""."""
    zone = known_zone(booking.time_zone, clinic_zone)
    if now.astimezone(zone).utcoffset() == now.astimezone(clinic_zone).utcoffset():
        return ""
    return f"{clock(now, zone)} there now"
