"""Whether a message that was queued is still true and of use, with the booking as it is now."""

from datetime import datetime

from bookings.messaging.queue import (
    WITHHELD,
    message_key,
    outcome_occasion,
    reminder_moment,
    reminder_occasion,
)
from bookings.models import Booking, Message
from clinic.models import parse_reminders

Kind = Message.Kind

_NEWS = (Kind.RECEIVED, Kind.CONFIRMED, Kind.CHANGED, Kind.CANCELLED)


def _reminder_fits(message: Message, booking: Booking, starts_at: datetime, now: datetime) -> bool:
    """Return whether it is for the present start, and no later reminder of that start is due by now."""
    location = booking.location
    reminders = parse_reminders(location.clinic.reminders)
    for position, (name, _before) in enumerate(reminders):
        occasion = reminder_occasion(name, starts_at)
        if message.key == message_key(booking, Kind.REMINDER, occasion):
            later = (before for _name, before in reminders[position + 1 :])
            return all(reminder_moment(starts_at, before, location.zone) > now for before in later)
    return False


def _newest_news(message: Message) -> bool:
    """Return whether nothing newer about the booking is queued or sent: the last word is enough."""
    return not Message.objects.filter(
        booking_id=message.booking_id, pk__gt=message.pk, kind__in=_NEWS
    ).exists()


def _is_withheld(booking: Booking) -> bool:
    """Return whether nobody of the mailbox has spoken yet, and the desk has not phoned them either."""
    withheld = booking.messages.failed().filter(error=WITHHELD)
    return booking.verified_at is None and withheld.exists()


def open_offers(booking: Booking, now: datetime) -> list[Booking]:
    """Return the times that the clinic offers and still holds, soonest first."""
    offers = booking.offers.open_offers(now)
    return list(offers.select_related("practitioner", "location__clinic"))


def still_makes_sense(message: Message, booking: Booking, now: datetime) -> bool:
    """Return whether the message is still true and of use, with the booking as it is now."""
    kind = message.kind
    if booking.erased_at or booking.status not in Message.TRUE_WHILE[Kind(kind)]:
        return False
    if kind in (Kind.REMINDER, Kind.CANCELLED, Kind.FOLLOW_UP) and _is_withheld(booking):
        return False
    if kind == Kind.OFFERED:  # also after the time that was asked for, which the offers replace
        return bool(open_offers(booking, now))
    starts_at, ends_at = booking.starts_at, booking.ends_at
    if starts_at and ends_at and starts_at <= now:
        its_outcome = message_key(booking, Kind.DESK_OUTCOME, outcome_occasion(starts_at))
        return kind == Kind.FOLLOW_UP or (message.key == its_outcome and ends_at <= now)
    if kind in (Kind.FOLLOW_UP, Kind.DESK_OUTCOME) or booking.has_lapsed(now):
        return False
    if kind == Kind.VERIFY:
        return booking.is_unverified
    if kind == Kind.REMINDER and starts_at:
        return booking.wants_reminders and _reminder_fits(message, booking, starts_at, now)
    return kind not in _NEWS or _newest_news(message)
