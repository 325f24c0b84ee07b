"""The outbox: sends what is due, each message once, whatever the mail server does.

Workers call drain(), any number of them at once. It holds two kinds of rows, under the same rules:
messages about bookings, and mails about staff accounts, which go first. For each that is due:

    claim    lease it, so that no other worker takes it
    decide   read the booking again; drop the message if it no longer makes sense
    write    render it with a manage link of its own; nothing rendered is stored (an account's
             mail was written before, and its text is deleted with the mark)
    send     over one connection a batch
    mark     sent, only after the server's 250

A worker that dies before the mark repeats one copy when the lease ends, with the same Message-ID.
"""

import logging
from collections import Counter
from datetime import timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone

from bookings import rate_limits
from bookings.messaging.channels.email import Post, _trouble
from bookings.models import Booking, Heartbeat, Message
from clinic import account_mails, audit, mail_addresses
from clinic.models import LEASE, AccountMail, Actor, Clinic

from . import email as mails
from . import relevance

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


def trouble(now=None):
    """What is wrong with the sending of messages, in words for the health check, or None.

    A worker that has not been seen for 15 minutes, or messages that long overdue. A site that has
    never had a worker or a message is well.
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


def claim(count=BATCH, now=None, kind=Message):
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


def _update_mine(message, **values):
    """Write to the row if this worker still holds its lease; says whether it did."""
    mine = (
        type(message)
        .objects.filter(pk=message.pk, state=State.QUEUED, lease_until=message.lease_until)
        .update(**values)
    )
    for field, value in values.items():
        setattr(message, field, value)
    return bool(mine)


def _begin_try(message, booking, now):
    """Renew the lease, count the try, fix the Message-ID; False if the lease went elsewhere."""
    host = settings.SITE_HOST or "localhost"
    return _update_mine(
        message,
        lease_until=now + LEASE,
        tries=message.tries + 1,
        message_id=message.message_id or f"<{message.pk}.{booking.uid}@{host}>",
    )


def _done(message):
    """What a row holds once nothing is to be sent any more."""
    return {"lease_until": None} | dict.fromkeys(message.FORGETS, "")


def _after_trouble(message, error, now):
    """Put it off, or give up and record it; the other messages go on either way."""
    words, for_good, server = _trouble(error)
    too_old = now - message.created_at > GIVE_UP_AFTER and message.tries >= TRIES_BEFORE_GIVING_UP
    # A reminder ends by itself when the visit begins.
    if for_good or (too_old and message.kind != Kind.REMINDER):
        with transaction.atomic():
            _update_mine(message, state=State.FAILED, error=words[:200], **_done(message))
            details = {"kind": message.kind, "error": message.error, "tries": message.tries}
            if isinstance(message, AccountMail):
                audit.record(
                    audit.Action.ACCOUNT_MAIL_FAILED,
                    message,
                    by=Actor.SYSTEM,
                    details=details,
                    at=now,
                )
            else:
                audit.record(
                    audit.Action.BOOKING_MESSAGE_FAILED,
                    message.booking,
                    by=Actor.SYSTEM,
                    details=details,
                    at=now,
                )
        return State.FAILED
    longest = LONGEST_WAIT_FOR_SERVER if server else LONGEST_WAIT
    wait = min(timedelta(minutes=2 ** min(message.tries, 10)), longest)
    _update_mine(message, due_at=now + wait, error=words[:200], lease_until=None)
    return "put off"


def deliver(message, post, now=None):
    """Send one claimed message and mark it; returns its new state, or "put off" or "taken".

    A mail server's or template's trouble ends in the row, never in an exception; only the
    database's own goes up to the worker.
    """
    now = now or timezone.now()
    booking = None
    if isinstance(message, AccountMail):
        address, write = message.to, lambda: account_mails.compose(message)
    else:
        booking = Booking.objects.select_related("practitioner").get(pk=message.booking_id)
        clinic = Clinic.objects.current()
        address = mails.recipient(message, booking, clinic)
        if not address or not relevance.still_makes_sense(message, booking, now):
            _update_mine(message, state=State.DROPPED, error="", lease_until=None)
            return State.DROPPED
        if (
            message.kind in FROM_PATIENTS
            and not message.tries
            and not rate_limits.may_tell_desk(now)
        ):
            log.warning("more mails to the desk than its limit: it sees the rest on its page alone")
            _update_mine(message, state=State.DROPPED, error=ENOUGH, lease_until=None)
            return State.DROPPED

        def write():
            return mails.compose(message, booking, clinic, now)

    try:
        mail_addresses.validate(address)
        post.open()
    except (OSError, ValidationError) as error:
        _update_mine(message, tries=message.tries + 1)
        return _after_trouble(message, error, now)
    if not _begin_try(message, booking, timezone.now()):
        return "taken"
    try:
        post.send(write())
    except (DatabaseError, InterfaceError):
        raise
    except Exception as error:  # whatever it is, it is this message's trouble only
        post.close()
        outcome = _after_trouble(message, error, now)
        log.info("message %s (%s) %s: %s", message.pk, message.kind, outcome, message.error)
        return outcome
    # By key alone: it is sent, whoever holds the lease by now.
    type(message).objects.filter(pk=message.pk, state=State.QUEUED).update(
        state=State.SENT, sent_at=timezone.now(), error="", **_done(message)
    )
    return State.SENT


def release(claimed):
    """Give leased messages back, for another worker to take at once."""
    for message in claimed:
        _update_mine(message, lease_until=None)


def drain(may_go_on=lambda: True):
    """Deliver all that is due; returns a Counter of what became of the messages.

    ``may_go_on`` is asked before each message: a worker beats its heart there, and stops.
    """
    counts = Counter()
    while claimed := next(filter(None, (claim(kind=kind) for kind in KINDS)), None):
        with Post() as post:
            for position, message in enumerate(claimed):
                if not may_go_on():
                    release(claimed[position:])
                    return counts
                counts[str(deliver(message, post))] += 1
    return counts
