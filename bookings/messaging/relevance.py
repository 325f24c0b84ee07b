"""Whether a message that was queued is still true and of use, with the booking as it is now."""

from bookings.messaging.queue import (
    WITHHELD,
    _key,
    _outcome_occasion,
    _reminder_moment,
    _reminder_occasion,
)
from bookings.models import Booking, Message
from clinic.models import Clinic, parse_reminders

Kind = Message.Kind
Status = Booking.Status

_NEWS = (Kind.RECEIVED, Kind.CONFIRMED, Kind.CHANGED, Kind.CANCELLED)


# --- deciding -------------------------------------------------------------------------------------


def _reminder_fits(message, booking, now):
    """Whether it is for the present start, and no later reminder of that start is due by now."""
    clinic = Clinic.objects.current()
    reminders = parse_reminders(clinic.reminders)
    for position, (name, _before) in enumerate(reminders):
        occasion = _reminder_occasion(name, booking.starts_at)
        if message.key == _key(booking, Kind.REMINDER, occasion):
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
    return booking.proved_at is None and (
        booking.messages.filter(state=Message.State.FAILED, error=WITHHELD).exists()
    )


def _offers(booking, now):
    """The times that the clinic offers and still holds, soonest first."""
    return list(booking.offers.open_offers(now).select_related("practitioner"))


def still_makes_sense(message, booking, now):
    """Whether the message is still true and of use, with the booking as it is now."""
    if booking.erased_at:
        return False
    status, kind = booking.status, message.kind
    if kind in (Kind.REMINDER, Kind.CANCELLED, Kind.FOLLOW_UP) and _is_withheld(booking):
        return False
    if kind == Kind.OFFERED:  # also after the time that was asked for, which the offers replace
        return status in (Status.PENDING, Status.WAITLIST) and bool(_offers(booking, now))
    if booking.starts_at and booking.starts_at <= now:
        return (kind == Kind.FOLLOW_UP and status == Status.NOSHOW) or (
            message.key == _key(booking, Kind.DESK_OUTCOME, _outcome_occasion(booking))
            and status in (Status.BOOKED, Status.ARRIVED)
            and booking.ends_at <= now
        )
    if status in (Status.PENDING, Status.PROPOSED) and booking.hold_until:
        if booking.hold_until <= now:
            return False
    elif kind == Kind.PROVE:
        return False
    fits = {
        Kind.RECEIVED: (Status.PENDING,),
        Kind.CONFIRMED: (Status.BOOKED,),
        Kind.CHANGED: (Status.PENDING, Status.BOOKED),
        Kind.CANCELLED: (Status.CANCELLED,),
        Kind.CALLBACK: (Status.WAITLIST,),
        Kind.LINK: (Status.PENDING, Status.BOOKED, Status.WAITLIST),
        Kind.REMINDER: (Status.BOOKED,),
        Kind.PROVE: (Status.PENDING,),
        Kind.DESK_NEW: (Status.PENDING, Status.BOOKED, Status.WAITLIST),
        Kind.DESK_CHANGED: (Status.PENDING, Status.BOOKED),
        Kind.DESK_CANCELLED: (Status.CANCELLED,),
    }
    if status not in fits.get(kind, ()):
        return False
    if kind == Kind.REMINDER:
        return booking.wants_reminders and _reminder_fits(message, booking, now)
    return kind not in _NEWS or _newest_news(message)
