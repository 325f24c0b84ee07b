"""Whether a message that was queued is still true and of use, with the booking as it is now."""

from bookings.messaging.queue import (
    WITHHELD,
    _outcome_occasion,
    _reminder_moment,
    _reminder_occasion,
    message_key,
)
from bookings.models import Message
from clinic.models import Clinic, parse_reminders

Kind = Message.Kind

_NEWS = (Kind.RECEIVED, Kind.CONFIRMED, Kind.CHANGED, Kind.CANCELLED)

# --- deciding -------------------------------------------------------------------------------------


def _reminder_fits(message, booking, now):
    """Whether it is for the present start, and no later reminder of that start is due by now."""
    clinic = Clinic.objects.current()
    reminders = parse_reminders(clinic.reminders)
    for position, (name, _before) in enumerate(reminders):
        occasion = _reminder_occasion(name, booking.starts_at)
        if message.key == message_key(booking, Kind.REMINDER, occasion):
            later = (before for _name, before in reminders[position + 1 :])
            return all(
                _reminder_moment(booking.starts_at, before, clinic.zone) > now for before in later
            )
    return False


def _newest_news(message):
    """Whether nothing newer about the booking is queued or sent: the last word is enough."""
    return not Message.objects.filter(
        booking_id=message.booking_id, pk__gt=message.pk, kind__in=_NEWS
    ).exists()


def _is_withheld(booking):
    """Whether nobody of the mailbox has spoken yet, and the desk has not phoned them either."""
    withheld = booking.messages.failed().filter(error=WITHHELD)
    return booking.verified_at is None and withheld.exists()


def open_offers(booking, now):
    """The times that the clinic offers and still holds, soonest first."""
    return list(booking.offers.open_offers(now).select_related("practitioner"))


def still_makes_sense(message, booking, now):
    """Whether the message is still true and of use, with the booking as it is now."""
    kind = message.kind
    if booking.erased_at or booking.status not in Message.TRUE_WHILE[kind]:
        return False
    if kind in (Kind.REMINDER, Kind.CANCELLED, Kind.FOLLOW_UP) and _is_withheld(booking):
        return False
    if kind == Kind.OFFERED:  # also after the time that was asked for, which the offers replace
        return bool(open_offers(booking, now))
    if booking.starts_at and booking.starts_at <= now:
        return kind == Kind.FOLLOW_UP or (
            message.key == message_key(booking, Kind.DESK_OUTCOME, _outcome_occasion(booking))
            and booking.ends_at <= now
        )
    if kind in (Kind.FOLLOW_UP, Kind.DESK_OUTCOME) or booking.has_lapsed(now):
        return False
    if kind == Kind.VERIFY:
        return booking.is_unverified
    if kind == Kind.REMINDER:
        return booking.wants_reminders and _reminder_fits(message, booking, now)
    return kind not in _NEWS or _newest_news(message)
