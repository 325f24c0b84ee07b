"""Whether the clinic is open now, and its week, in words for the pages.

Pure apart from read(): rules and a moment in, words out, in the clinic's own time.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.formats import date_format, time_format
from django.utils.translation import gettext as _

from . import hours
from .models import Closure, Location, OpeningHours

LOOK_AHEAD = 14  # days searched for the next opening


@dataclass(frozen=True)
class Opening:
    """``rows`` are (label, value, is_today), Monday to Sunday, for the seven days from today."""

    open_now: bool
    sentence: str
    now_text: str
    rows: list = field(default_factory=list)


def read(location: Location, *, now: datetime | None = None) -> Opening | None:
    """Return the Opening of the whole place at ``now``, or None while it has no opening hours."""
    now = now or timezone.now()
    today = timezone.localdate(now, location.zone)
    rules = list(OpeningHours.objects.filter(location=location, practitioner=None))
    if not rules:
        return None
    closures = Closure.objects.filter(location=location, practitioner=None)
    near = list(closures.touching(today, today + timedelta(LOOK_AHEAD)))
    return describe(rules, near, location.zone, now, city=location.city)


def describe(rules, closures, zone, now, *, city=""):
    """Return the Opening that weekly ``rules`` minus ``closures`` make at the instant ``now``."""
    today = timezone.localdate(now, zone)
    days = [today + timedelta(offset) for offset in range(LOOK_AHEAD + 1)]
    periods = {day: hours.open_periods(day, rules, closures, zone) for day in days}
    current = next((period for period in periods[today] if period[0] <= now < period[1]), None)
    if current:
        sentence = _("Open now, until %(time)s.") % {"time": _clock(current[1], zone)}
    else:
        sentence = _opens_next(periods, now, zone)
    return Opening(
        open_now=bool(current),
        sentence=sentence,
        now_text=_now_text(now.astimezone(zone), city),
        rows=_week(days[:7], periods, closures, zone),
    )


def _clock(instant, zone):
    return time_format(instant.astimezone(zone).time(), "H:i")


def _now_text(local, city):
    words = {"day": date_format(local, "l"), "time": time_format(local.time(), "H:i"), "city": city}
    if city:
        return _("%(city)s time. It is now %(time)s on %(day)s there.") % words
    return _("Clinic time. It is now %(time)s on %(day)s there.") % words


def _opens_next(periods, now, zone):
    starts = (start for day in periods.values() for start, _end in day if start > now)
    start = next(starts, None)
    if start is None:
        return _("Closed now.")
    day, today = start.astimezone(zone).date(), now.astimezone(zone).date()
    words = {"time": _clock(start, zone), "day": date_format(day, "l")}
    if day == today:
        return _("Closed now, opens today at %(time)s.") % words
    if day == today + timedelta(1):
        return _("Closed now, opens tomorrow at %(time)s.") % words
    if day - today < timedelta(7):
        return _("Closed now, opens %(day)s at %(time)s.") % words
    words["day"] = date_format(day, "MONTH_DAY_FORMAT")
    return _("Closed now, opens on %(day)s at %(time)s.") % words


def _week(days, periods, closures, zone):
    """Neighbouring days with the same hours share a row; today and closures stand alone."""
    today = days[0]
    rows = []
    for day in sorted(days, key=lambda day: day.isoweekday()):
        closure = next((c for c in closures if c.first_day <= day <= c.last_day), None)
        value = _value(periods[day], closure, zone)
        alone = day == today or closure is not None
        if rows and not alone and not rows[-1]["alone"] and rows[-1]["value"] == value:
            rows[-1]["last"] = day
        else:
            rows.append({"first": day, "last": day, "value": value, "alone": alone})
            rows[-1]["dated"] = closure is not None
    return [(_label(row), row["value"], row["first"] == today) for row in rows]


def _label(row):
    first = date_format(row["first"], "D")
    if row["dated"]:
        return f"{first} {date_format(row['first'], 'j M')}"
    if row["first"] == row["last"]:
        return first
    return _("%(first)s to %(last)s") % {"first": first, "last": date_format(row["last"], "D")}


def _value(periods, closure, zone):
    words = ", ".join(
        _("%(opens)s to %(closes)s") % {"opens": _clock(start, zone), "closes": _clock(end, zone)}
        for start, end in periods
    )
    note = closure.public_note if closure else ""
    if not words:
        return _("%(note)s, closed") % {"note": note} if note else _("Closed")
    return f"{words} ({note})" if note else words
