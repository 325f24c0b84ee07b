"""One booking as the desk sees it: what may be done, its offers, what happened to it."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.dateparse import parse_datetime

from bookings import times
from bookings.models import Booking
from clinic.models import Action, AuditEvent

Status = Booking.Status

MOST_OFFERS_SHOWN = 12


# --- one booking ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Offer:
    """A time that the clinic offered for a request; ``state`` is open, taken or ended."""

    booking: Booking
    state: str
    words: str


def offers_of(booking, zone, now):
    """List what was offered for a request, open times first, and what became of it; one query."""
    rows = booking.offers.select_related("practitioner").order_by("-created_at", "-pk")
    found = [Offer(row, *_state_of(row, booking, zone, now)) for row in rows[:MOST_OFFERS_SHOWN]]
    return sorted(found, key=lambda offer: (offer.state != "open", offer.booking.starts_at))


def _state_of(row, booking, zone, now):
    if row.status == Status.PROPOSED and row.hold_until and not row.hold_is_over(now):
        return "open", f"Held until {times.when(row.hold_until, zone, 'D j M Y')}"
    same = (row.starts_at, row.practitioner_id) == (booking.starts_at, booking.practitioner_id)
    if same and booking.status in (*Booking.LIVE, Status.NOSHOW):
        return "taken", "Taken"
    return "ended", "Ended, the time was given back"


@dataclass(frozen=True)
class TimelineEvent:
    """One line of a booking's timeline."""

    at: datetime
    who: str
    what: str
    detail: str


def events_of(booking):
    """Return what the record of changes says about the booking."""
    return AuditEvent.objects.filter(
        object_type=booking._meta.label_lower, object_key=booking.reference
    )


def timeline(booking, zone):
    """List what happened to the booking, oldest first: its newest hundred events; one query."""
    events = events_of(booking).order_by("-at", "-pk")[:100]
    return [
        TimelineEvent(
            at=event.at,
            who=event.actor_label,
            what=Action.words(event.action),
            detail=_detail(event, zone),
        )
        for event in reversed(events)
    ]


def _detail(event, zone):
    details = event.details if isinstance(event.details, dict) else {}
    if event.action == Action.BOOKING_RESCHEDULED:
        moved = (_moment(details.get(key), zone) for key in ("from", "to"))
        return " to ".join(moment for moment in moved if moment)
    if event.action == Action.BOOKING_REQUESTED:
        return _moment(details.get("starts_at"), zone)
    if event.action in Action.BOOKING_CHANGED.spellings:
        return ", ".join(str(name) for name in details.get("fields", []))
    if event.action == Action.BOOKING_MESSAGE_FAILED:
        return str(details.get("error", ""))
    return ""


def _moment(text, zone):
    try:
        at = parse_datetime(str(text))
    except ValueError:
        at = None
    return times.when(at, zone, "D j M Y") if at and at.tzinfo else ""
