"""What is to be sent: a row written in the verb's own transaction, and when reminders are due."""

from datetime import UTC, datetime, timedelta, tzinfo

from django.db import transaction
from django.utils import timezone

from bookings.models import Booking, Message
from clinic import audit
from clinic.models import Actor, User, parse_reminders

from . import channels

Kind = Message.Kind
Status = Booking.Status

WITHHELD = "Enough mails were sent to this mailbox today"


ASK_OUTCOME_AFTER = timedelta(hours=1)  # the desk is asked once, by mail, what became of a visit


# --- queueing -------------------------------------------------------------------------------------


def message_key(booking: Booking, kind: str, occasion: str | int) -> str:
    """Return what the same news has in common, however often it is queued."""
    return f"{booking.pk}:{kind}:{occasion}"


def enqueue(
    booking: Booking, kind: str, *, due_at: datetime | None = None, occasion: str = ""
) -> str:
    """Put one message into the outbox, in the caller's transaction; return its key.

    The same booking, kind and occasion is queued once. The occasion is the booking's sequence
    unless given.
    """
    now = timezone.now()
    rows = _rows(booking, kind, occasion or booking.sequence, due_at or now, now)
    # One statement; a row that has this key already stays as it is.
    Message.objects.bulk_create(rows, ignore_conflicts=True)
    return message_key(booking, kind, occasion or booking.sequence)


def _rows(
    booking: Booking, kind: str, occasion: str | int, due_at: datetime, now: datetime
) -> list[Message]:
    """Make one message for each channel that carries this kind."""
    key = message_key(booking, kind, occasion)
    return [
        Message(key=key, channel=channel, booking=booking, kind=kind, created_at=now, due_at=due_at)
        for channel in channels.carrying(kind)
    ]


def may_remind(booking: Booking, now: datetime | None = None) -> bool:
    """Return whether there is a visit ahead that reminders could be sent about."""
    ahead = booking.starts_at is not None and booking.starts_at > (now or timezone.now())
    return channels.reaches(booking) and ahead and booking.status in (Status.PENDING, Status.BOOKED)


@transaction.atomic
def set_reminders(
    booking: Booking, *, wanted: bool, by: User | Actor, now: datetime | None = None
) -> None:
    """Keep whether the patient wants reminders of this visit; harmless when repeated."""
    changed = Booking.objects.filter(pk=booking.pk, wants_reminders=not wanted)
    if changed.update(wants_reminders=wanted):
        action = audit.Action.BOOKING_REMINDERS_ON if wanted else audit.Action.BOOKING_REMINDERS_OFF
        audit.record(action, booking, by=by, at=now or timezone.now())


@transaction.atomic
def requeue(message: Message, *, by: User | Actor, now: datetime | None = None) -> bool:
    """Try a failed message again from the start; return whether it was a failed one.

    What no longer makes sense by then is dropped as ever.
    """
    failed = Message.objects.failed().filter(pk=message.pk)
    again = failed.update(
        state=Message.State.QUEUED,
        tries=0,
        error="",
        due_at=now or timezone.now(),
        lease_until=None,
    )
    if again:
        audit.record(
            audit.Action.BOOKING_MESSAGE_REQUEUED,
            message.booking,
            by=by,
            details={"kind": message.kind},
        )
    return bool(again)


@transaction.atomic
def withhold(booking: Booking, *, after: int = 0, now: datetime | None = None) -> None:
    """Do not send the patient what was queued after the message with the key ``after``.

    Strangers may have used up what is mailed to one mailbox in a day; the desk sees whom to phone.
    Until it has, what follows by itself is not mailed either, see still_makes_sense.
    What only asks for proof goes unsaid: without it the request ends by itself.
    """
    news = booking.messages.waiting().to_patients().filter(pk__gt=after)
    news = news.exclude(kind=Kind.REMINDER)
    news.filter(kind=Kind.VERIFY).update(state=Message.State.DROPPED)
    for message in news:
        Message.objects.filter(pk=message.pk).update(state=Message.State.FAILED, error=WITHHELD)
        details = {"kind": message.kind, "error": WITHHELD}
        audit.record(
            audit.Action.BOOKING_MESSAGE_FAILED, booking, by=Actor.SYSTEM, details=details, at=now
        )


@transaction.atomic
def acknowledge(message: Message, *, by: User | Actor) -> bool:
    """Note that somebody phoned the patient instead; return whether the message was failed.

    The row keeps its error, so that it still tells why the patient was phoned.
    """
    failed = Message.objects.failed().filter(pk=message.pk)
    phoned = failed.update(state=Message.State.DROPPED, lease_until=None)
    if phoned:
        audit.record(
            audit.Action.BOOKING_UNREACHABLE_HANDLED,
            message.booking,
            by=by,
            details={"kind": message.kind},
        )
    return bool(phoned)


def reminder_occasion(name: str, starts_at: datetime) -> str:
    return f"{name}:{starts_at.astimezone(UTC):%Y%m%dT%H%MZ}"


def outcome_occasion(starts_at: datetime) -> str:
    return f"{starts_at.astimezone(UTC):%Y%m%dT%H%MZ}"


def reminder_moment(starts_at: datetime, before: timedelta, zone: tzinfo) -> datetime:
    """Return when a reminder is due (UTC): whole days before at the same wall-clock time, else elapsed."""
    if before % timedelta(days=1):
        return starts_at - before
    return (starts_at.astimezone(zone) - before).astimezone(UTC)


def plan_reminders(booking: Booking, now: datetime | None = None) -> None:
    """Queue the booking's reminders whose moment is still ahead; harmless when repeated.

    The start is part of their key: after a move the old ones no longer fit and are dropped.
    """
    now, location = now or timezone.now(), booking.location
    starts_at, ends_at = booking.starts_at, booking.ends_at
    if starts_at is None or ends_at is None:  # please call me
        return
    rows = []
    for name, before in parse_reminders(location.clinic.reminders):
        moment = reminder_moment(starts_at, before, location.zone)
        if moment > now:
            occasion = reminder_occasion(name, starts_at)
            rows += _rows(booking, Kind.REMINDER, occasion, moment, now)
    ask_at = ends_at + ASK_OUTCOME_AFTER
    rows += _rows(booking, Kind.DESK_OUTCOME, outcome_occasion(starts_at), ask_at, now)
    Message.objects.bulk_create(rows, ignore_conflicts=True)


def replan_reminders(now: datetime | None = None) -> int:
    """Plan for every coming confirmed booking again, so that a changed setting holds for all.

    Reminders that the setting no longer has are dropped when they are due. Returns how many
    bookings were looked at.
    """
    now, number = now or timezone.now(), 0
    # Dropped before its moment: the clock was ahead for a while, and what it dropped is due again.
    Message.objects.filter(kind=Kind.REMINDER, state=Message.State.DROPPED, due_at__gt=now).update(
        state=Message.State.QUEUED
    )
    ahead = Booking.objects.filter(status=Status.BOOKED, starts_at__gt=now, is_demo=False)
    for booking in ahead.select_related("location__clinic").iterator():
        plan_reminders(booking, now)
        number += 1
    return number
