"""The outbox: sends what is due, each message once, whatever the server of its channel does.

Workers call drain(), any number of them at once. It holds two kinds of rows, under the same rules:
messages about bookings, and mails about staff accounts, which go first. For each that is due:

    claim    lease it, so that no other worker takes it
    decide   read the booking again; drop the message if it no longer makes sense
    write    render it with a manage link of its own; nothing rendered is stored (an account's
             mail was written before, and its text is deleted with the mark)
    send     through its channel, over one connection per batch
    mark     sent, only after the server has taken it over

A worker that dies before the mark repeats one copy when the lease ends, with the same Message-ID.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone

from bookings import rate_limits
from bookings.models import Booking, Heartbeat, Message
from clinic import account_mails, audit
from clinic.models import LEASE, AccountMail, Actor

from . import channels, relevance
from .channels import Delivered, Failed, TryAgain

log = logging.getLogger(__name__)
Kind = Message.Kind
State = Message.State

BATCH = 20
LONGEST_WAIT = timedelta(hours=1)
# A server that is down says nothing about the message; this soon after its return all is out.
LONGEST_WAIT_FOR_SERVER = timedelta(minutes=10)
GIVE_UP_AFTER = timedelta(days=3)
TRIES_BEFORE_GIVING_UP = 8  # a message queued long ago for a later day gets its tries too
QUIET_TOO_LONG = timedelta(minutes=15)

FROM_PATIENTS = (Kind.DESK_NEW, Kind.DESK_CHANGED, Kind.DESK_CANCELLED)  # strangers can cause them
ENOUGH = "Enough mails were sent to the desk"

KINDS = (AccountMail, Message)  # in the order in which they are sent: somebody waits at a page
Queued = AccountMail | Message


def health_problem(now: datetime | None = None) -> str | None:
    """Say for the health check what is wrong with the sending of messages; None if nothing is.

    A worker that has not been seen for 15 minutes, or messages that long overdue. Nothing is wrong
    with a site that has never had a worker or a message.
    """
    now = now or timezone.now()
    beat = Heartbeat.objects.filter(name="worker").first()
    if beat and abs(now - beat.at) > QUIET_TOO_LONG:
        return f"no worker since {beat.at:%Y-%m-%d %H:%M} UTC"
    for kind in KINDS:
        overdue = kind.objects.waiting().filter(due_at__lt=now - QUIET_TOO_LONG, tries=0)
        if overdue.exists():
            return "messages are waiting that no worker has tried"
    return None


def claim(
    count: int = BATCH, now: datetime | None = None, kind: type[Queued] = Message
) -> list[Queued]:
    """Lease up to ``count`` due messages to this worker and return them, oldest first."""
    now = now or timezone.now()
    due = kind.objects.due(now)
    if not due.exists():  # an idle worker takes no write lock
        return []
    with transaction.atomic():  # on SQLite this begins IMMEDIATE: one worker at a time
        if connection.features.has_select_for_update_skip_locked:
            due = due.select_for_update(skip_locked=True)
        claimed = list(due[:count])
        lease = now + LEASE
        kind.objects.filter(pk__in=[message.pk for message in claimed]).update(lease_until=lease)
    for message in claimed:
        message.lease_until = lease
    return claimed


def _update_mine(message: Queued, **values: Any) -> bool:
    """Write to the row if this worker still holds its lease; return whether it did."""
    mine = (
        type(message)
        .objects.filter(pk=message.pk, state=State.QUEUED, lease_until=message.lease_until)
        .update(**values)
    )
    for field, value in values.items():
        setattr(message, field, value)
    return bool(mine)


def _begin_try(message: Queued, now: datetime) -> bool:
    """Renew the lease, count the try, fix the Message-ID; False if the lease went elsewhere."""
    if isinstance(message, Message) and not message.message_id:
        host = settings.SITE_HOST or "localhost"
        message.message_id = f"<{message.pk}.{message.booking.uid}@{host}>"
    return _update_mine(
        message,
        lease_until=now + LEASE,
        tries=message.tries + 1,
        message_id=message.message_id,
    )


def _settled(message: Queued) -> dict[str, Any]:
    """Return what a row holds once nothing is to be sent any more."""
    return {"lease_until": None} | dict.fromkeys(message.FORGETS, "")


def _drop(message: Message, reason: str = "") -> str:
    _update_mine(message, state=State.DROPPED, error=reason, lease_until=None)
    return State.DROPPED


def _give_up(message: Queued, reason: str, now: datetime) -> str:
    """Mark the message as failed and record it."""
    if isinstance(message, Message):
        record = partial(audit.record, audit.Action.BOOKING_MESSAGE_FAILED, message.booking)
    else:
        record = partial(audit.record, audit.Action.ACCOUNT_MAIL_FAILED, message)
    with transaction.atomic():
        _update_mine(message, state=State.FAILED, error=reason[:200], **_settled(message))
        details = {"kind": message.kind, "error": message.error, "tries": message.tries}
        record(by=Actor.SYSTEM, details=details, at=now)
    return State.FAILED


def _put_off(message: Queued, why: TryAgain, now: datetime) -> str:
    """Wait twice as long after each try, and give up after days of it."""
    too_old = now - message.created_at > GIVE_UP_AFTER and message.tries >= TRIES_BEFORE_GIVING_UP
    if too_old and message.kind != Kind.REMINDER:  # which ends by itself when the visit begins
        return _give_up(message, why.reason, now)
    longest = LONGEST_WAIT_FOR_SERVER if why.server_down else LONGEST_WAIT
    wait = min(timedelta(minutes=2 ** min(message.tries, 10)), longest)
    _update_mine(message, due_at=now + wait, error=why.reason[:200], lease_until=None)
    return "put off"


def _mark(message: Queued, outcome: channels.Outcome, now: datetime) -> str:
    match outcome:
        case Delivered():
            # By key alone: it is sent, whoever holds the lease by now.
            type(message).objects.filter(pk=message.pk, state=State.QUEUED).update(
                state=State.SENT, sent_at=timezone.now(), error="", **_settled(message)
            )
            return State.SENT
        case Failed():
            return _give_up(message, outcome.reason, now)
        case TryAgain():
            return _put_off(message, outcome, now)


def _send(
    message: Queued,
    connection: channels.Connection,
    address: str,
    write: Callable[[], Any],
    now: datetime,
) -> str:
    if problem := connection.open(address):
        _update_mine(message, tries=message.tries + 1)
        return _mark(message, problem, now)
    if not _begin_try(message, timezone.now()):
        return "taken"
    try:
        outcome = connection.send(write())
    except (DatabaseError, InterfaceError):
        raise
    except Exception as error:  # a broken template is this message's trouble only
        outcome = TryAgain(f"Could not be written: {type(error).__name__}")
    became = _mark(message, outcome, now)
    if became != State.SENT:
        log.info("message %s (%s) %s: %s", message.pk, message.kind, became, message.error)
    return became


def deliver(
    message: Queued, connection: channels.Connection | None, now: datetime | None = None
) -> str:
    """Send one claimed message and mark it; return its new state, or "put off" or "taken".

    Trouble with a server or a template ends in the row, never in an exception; only the database's
    own goes up to the worker.
    """
    now = now or timezone.now()
    if connection is None:
        return _give_up(message, f"There is no channel {message.channel}", now)
    if isinstance(message, AccountMail):
        return _send(message, connection, message.to, lambda: account_mails.compose(message), now)
    rows = Booking.objects.select_related("practitioner", "location__clinic")
    booking = rows.get(pk=message.booking_id)
    address = channels.recipient(message, booking)
    if not address or not relevance.still_makes_sense(message, booking, now):
        return _drop(message)
    first_to_desk = message.kind in FROM_PATIENTS and not message.tries
    if first_to_desk and not rate_limits.may_tell_desk(now):
        log.warning("more mails to the desk than its limit: it sees the rest on its page alone")
        return _drop(message, ENOUGH)
    write = partial(channels.installed()[message.channel].compose, message, booking, now)
    return _send(message, connection, address, write, now)


def release(claimed: Iterable[Queued]) -> None:
    """Give leased messages back, for another worker to take at once."""
    for message in claimed:
        _update_mine(message, lease_until=None)


def drain(may_go_on: Callable[[], bool] = lambda: True) -> Counter[str]:
    """Deliver all that is due; return a Counter of what became of the messages.

    ``may_go_on`` is asked before each message: a worker beats its heart there, and stops.
    """
    counts: Counter[str] = Counter()
    while claimed := next(filter(None, (claim(kind=kind) for kind in KINDS)), None):
        with channels.connections() as connections:
            for position, message in enumerate(claimed):
                if not may_go_on():
                    release(claimed[position:])
                    return counts
                counts[str(deliver(message, connections.get(message.channel)))] += 1
    return counts
