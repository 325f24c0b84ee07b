"""Erasing: a booking stays for the numbers, what names or describes its patient goes.

What goes is every column that clinic.personal_data lists, in the booking, its offers and its
messages, and whole rows of everything else that belongs to it. What stays is the reference, the
concern, time, practitioner and kind of visit, how it ended, and the record of changes.

The worker erases once a day what is older than the clinic's periods; a manager erases one booking
on request. Each is appended to a file beside the audit anchors, so that a restored backup can be
brought up to date.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection, models, transaction
from django.db.models import Max, Q
from django.utils import timezone

from bookings import manage_links, rate_limits
from bookings.models import Booking, Heartbeat, Message
from clinic import audit, personal_data
from clinic.models import Actor, Clinic, User

from . import erasures_file, errors, locking

log = logging.getLogger(__name__)

Status = Booking.Status
WINDOW = 1000  # keys looked at in one step
BATCH = 2  # bookings erased in one step: 20 statements at most, so that mails do not wait
LATE = timedelta(days=3)  # erased later than this, something is wrong
FINISHED = "erased"  # name of the heartbeat that says when the last run came to its end


class Reason(models.TextChoices):
    """Why a booking was erased. Not free text: the record of changes must name no patient."""

    PERIOD = "period", "The clinic's period was over"
    ASKED = "asked", "The person asked for it"
    MISTAKE = "mistake", "Made by mistake, as a test or a joke"
    AUTHORITY = "authority", "An authority or a court asked for it"
    RESTORED = "restored", "Erased before, then restored from a backup"


ON_REQUEST = (Reason.ASKED, Reason.MISTAKE, Reason.AUTHORITY)


# --- when -----------------------------------------------------------------------------------------


def erase_on(
    booking: Booking, clinic: Clinic, *, attempted_at: datetime | None = None
) -> datetime | None:
    """Return when a booking is to be erased; None for an offer, which goes with its request.

    Counted from the visit, or from the cancellation, the missed visit, the time that nobody
    confirmed, the wish for a call or the last answer to it (``attempted_at``). The booking keeps
    the period under which it was made, unless the clinic's present one is shorter. Pure.
    """
    if booking.offered_for_id:
        return None
    if booking.status in Booking.LIVE:
        kept, current = booking.kept_days_after_visit, clinic.retention_days_after_visit
        ended = booking.ends_at or booking.created_at
    else:
        kept, current = booking.kept_days_after_cancelled, clinic.retention_days_after_cancelled
        ended = booking.cancelled_at or booking.ends_at or booking.created_at
    if attempted_at:
        ended = max(ended, attempted_at)
    return ended + timedelta(days=current if kept is None else min(kept, current))


def is_ahead(booking: Booking, now: datetime) -> bool:
    """Return whether its visit or its answer is still to come."""
    if booking.status == Status.WAITLIST:
        return True
    return booking.holds_time and booking.ends_at is not None and booking.ends_at > now


def _attempts(bookings: Iterable[Booking]) -> dict[int, datetime]:
    """Return when times were last offered for each of those that wait, by key."""
    waiting = [booking.pk for booking in bookings if booking.status in Booking.WAITING]
    if not waiting:
        return {}
    offers = Booking.objects.filter(offered_for__in=waiting).order_by()
    return dict(offers.values_list("offered_for").annotate(Max("created_at")))


def planned(booking: Booking) -> datetime | None:
    """Return erase_on() of a booking in the database, with what was tried since."""
    attempted_at = _attempts([booking]).get(booking.pk)
    return erase_on(booking, booking.location.clinic, attempted_at=attempted_at)


def _due(bookings: Iterable[Booking], clinic: Clinic, now: datetime) -> list[Booking]:
    """List those whose day has come."""
    over = [row for row in bookings if (on := erase_on(row, clinic)) and on <= now]
    attempts = _attempts(over)
    return [
        row for row in over
        if (on := erase_on(row, clinic, attempted_at=attempts.get(row.pk))) and on <= now
    ]  # fmt: skip


def windows(clinic: Clinic, now: datetime) -> Iterator[list[Booking]]:
    """Yield all bookings whose day has come, in lists that may be empty: a bounded read for each.

    It walks along the keys, because the day depends on the row; an index would serve one period.
    """
    newest = Booking.objects.aggregate(newest=Max("pk"))["newest"] or 0
    for first in range(1, newest + 1, WINDOW):
        rows = Booking.objects.filter(
            pk__gte=first, pk__lt=first + WINDOW, erased_at=None, offered_for=None
        ).only(
            "status", "created_at", "ends_at", "cancelled_at", "offered_for",
            "kept_days_after_visit", "kept_days_after_cancelled",
        )  # fmt: skip
        yield _due(rows, clinic, now)


def overdue(clinic: Clinic, now: datetime | None = None) -> Iterator[str]:
    """Yield references of bookings that should have been erased, once nothing has run for LATE."""
    now = now or timezone.now()
    if not Heartbeat.objects.filter(name=FINISHED, at__gt=now - LATE).exists():
        for rows in windows(clinic, now - LATE):
            keys = [row.pk for row in rows]
            yield from Booking.objects.filter(pk__in=keys).values_list("reference", flat=True)


def remains() -> Iterable[str]:
    """List references of erased bookings of which something personal is left."""
    left = Q()
    for name, value in personal_data.blank(Booking).items():
        left |= ~Q(**{name: value})
    for model, key in personal_data.pointing_to(Booking):
        rows = model.objects.all()
        if model is Message:
            rows = rows.exclude(**personal_data.blank(Message))
        left |= Q(pk__in=rows.values(key))
    erased = Booking.objects.exclude(erased_at=None).filter(left).order_by("pk")
    return erased.values_list("reference", flat=True)


# --- the verbs ------------------------------------------------------------------------------------


@transaction.atomic
def erase(
    booking: Booking, *, by: User | Actor, reason: str, now: datetime | None = None
) -> Booking:
    """Erase one booking before its day. Harmless when repeated.

    Raises NotAllowed for one that is still ahead: it has to be cancelled first, so that its patient
    hears of it. Only what a restored backup brought back is closed and erased at once. Raises
    OSError if it cannot be noted; then nothing is erased.
    """
    now, reason = now or timezone.now(), Reason(reason)
    booking = locking.lock_booking(booking)
    if booking.erased_at:
        return booking
    if booking.offered_for_id:
        raise errors.NotAllowed("This is an offer; it is erased with its request.")
    if is_ahead(booking, now) and reason != Reason.RESTORED:
        raise errors.NotAllowed(
            "This booking is still ahead. Cancel it first, so that its patient hears of it."
        )
    _forget_traces(booking, now)
    _erase([booking], by=by, reason=reason, now=now)
    booking.refresh_from_db()
    return booking


@transaction.atomic
def _erase_due(keys: list[int], clinic: Clinic, now: datetime) -> int:
    """Erase those of ``keys`` whose day has come, as they are behind the lock; returns how many."""
    rows = Booking.objects.filter(pk__in=keys, erased_at=None).order_by("pk")
    rows = rows.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
    clinic.refresh_from_db()  # a run takes long, and a period may be another one by now
    due = _due(rows, clinic, now)
    if due:
        _erase(due, by=Actor.SYSTEM, reason=Reason.PERIOD, now=now)
    return len(due)


def _erase(bookings: list[Booking], *, by: User | Actor, reason: str, now: datetime) -> None:
    for booking in bookings:
        if booking.status in Booking.WAITING or is_ahead(booking, now):
            locking.cancel_locked(booking, by=by, now=now)
    keys = [booking.pk for booking in bookings]
    Booking.objects.filter(Q(pk__in=keys) | Q(offered_for__in=keys)).update(
        **personal_data.blank(Booking), erased_at=now
    )
    queued = Message.objects.waiting().filter(booking__in=keys)
    queued.update(state=Message.State.DROPPED, lease_until=None)
    for model, key in personal_data.pointing_to(Booking):
        rows = model.objects.filter(**{f"{key}__in": keys})
        if model is Message:  # that a mail was sent is a number, too
            rows.update(**personal_data.blank(Message))
        else:
            rows.delete()
    for booking in bookings:
        details = {"reason": str(reason)}
        audit.record(audit.Action.BOOKING_ERASED, booking, by=by, at=now, details=details)
    erasures_file.note(bookings, now)


def _forget_traces(booking: Booking, now: datetime) -> None:
    """Remove what a recent booking leaves elsewhere; of an older one it has gone by itself."""
    locking.cancel_offers(booking, by=Actor.SYSTEM, now=now)
    rate_limits.forget(booking)
    if booking.created_at > now - timedelta(seconds=settings.SESSION_COOKIE_AGE):
        browsers = set(booking.links.exclude(browser="").values_list("browser", flat=True))
        for session in Session.objects.filter(expire_date__gt=now).iterator(500):
            if manage_links.browser_digest(session.get_decoded()) in browsers:
                session.delete()
    forget_mail_files(lambda path: str(booking.uid) in path.read_text(errors="replace"))


# --- a run ----------------------------------------------------------------------------------------


def run(clinic: Clinic, now: datetime | None = None) -> Iterator[int]:
    """Erase all that is due, in small steps; yields after each how many it erased."""
    now = now or timezone.now()
    for rows in windows(clinic, now):
        keys = [row.pk for row in rows]
        for start in range(0, len(keys), BATCH):
            yield _erase_due(keys[start : start + BATCH], clinic, now)
        if not keys:
            yield 0
    _forget_old_copies(clinic, now)
    Heartbeat.objects.update_or_create(name=FINISHED, defaults={"at": now})


def is_time(now: datetime) -> bool:
    """Return whether the last run ended a day ago, or the clock was put back since."""
    day = timedelta(days=1)
    done = Heartbeat.objects.filter(name=FINISHED, at__gt=now - day, at__lte=now + day)
    return not done.exists()


def _forget_old_copies(clinic: Clinic, now: datetime) -> None:
    """Remove mail files older than the shortest period, and what lingers in the write log."""
    days = min(clinic.retention_days_after_visit, clinic.retention_days_after_cancelled)
    oldest = (now - timedelta(days=days)).timestamp()
    forget_mail_files(lambda path: path.stat().st_mtime < oldest)
    personal_data.empty_write_log()


def forget_mail_files(is_theirs: Callable[[Path], bool]) -> None:
    """Delete files of mails where mails are written as files and not sent."""
    written = settings.EMAIL_BACKEND == "django.core.mail.backends.filebased.EmailBackend"
    for path in Path(settings.EMAIL_FILE_PATH).glob("*.log") if written else ():
        try:
            if is_theirs(path):
                path.unlink(missing_ok=True)
        except OSError as error:
            log.error("a file of mails could not be removed: %s", type(error).__name__)


# --- after a backup came back ---------------------------------------------------------------------


def repeat(uids: Iterable[UUID], now: datetime | None = None) -> int:
    """Erase again what a restored backup brought back; returns how many."""
    number = 0
    for uid in uids:
        booking = Booking.objects.filter(uid=uid, erased_at=None).first()
        if booking:
            erase(booking, by=Actor.SYSTEM, reason=Reason.RESTORED, now=now)
            number += 1
    return number
