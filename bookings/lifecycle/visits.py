"""The visit itself: who arrived, who was seen, who did not come, and taking that back."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from bookings.messaging import channels, queue
from bookings.models import Booking, Message
from clinic import audit
from clinic.models import Actor, User

from . import locking, transitions
from .errors import NotAllowed
from .transitions import Transition

Status = Booking.Status
Kind = Message.Kind

FOLLOW_UP_AFTER = timedelta(hours=1)  # long enough to undo a slip of the mouse


# --- the day itself -------------------------------------------------------------------------------


@transaction.atomic
def mark_arrived(booking: Booking, *, by: User | Actor, now: datetime | None = None) -> Booking:
    """Note that the patient is here, or on the line.

    Raises NotAllowed unless it is confirmed, and before the day of the visit where the clinic is.
    """
    now = now or timezone.now()
    booking = locking.lock_booking(booking)
    transitions.ARRIVE.require(booking, now=now, by=by)
    return _set_status(booking, transitions.ARRIVE, by=by, now=now)


@transaction.atomic
def record_outcome(
    booking: Booking, *, outcome: str, by: User | Actor, now: datetime | None = None
) -> Booking:
    """Say whether the consultation took place: "fulfilled" or "noshow". Only staff decide it.

    Raises NotAllowed before it starts, or for a booking that was never confirmed.
    """
    now = now or timezone.now()
    booking = locking.lock_booking(booking)
    rows: dict[str, Transition] = {
        Status.FULFILLED: transitions.SEE,
        Status.NOSHOW: transitions.MISS,
    }
    if outcome not in rows:
        raise NotAllowed("The outcome is either “seen” or “did not come”.")
    rows[outcome].require(booking, now=now, by=by)
    booking = _set_status(booking, rows[outcome], by=by, now=now)
    if outcome == Status.NOSHOW and channels.reaches(booking):
        queue.enqueue(booking, Kind.FOLLOW_UP, due_at=now + FOLLOW_UP_AFTER)
    return booking


def _set_status(booking: Booking, row: Transition, *, by: User | Actor, now: datetime) -> Booking:
    before = booking.status
    booking.status = row.to or before
    locking.save_or_slot_taken(booking)
    if row.recorded_as:
        audit.record(row.recorded_as, booking, by=by, at=now, details={"from": before})
    return booking


@transaction.atomic
def undo(booking: Booking, *, by: User | Actor, now: datetime | None = None) -> Booking:
    """Take back "arrived", "seen" or "did not come": the booking is confirmed again.

    Raises SlotTaken when somebody else has taken the time meanwhile.
    """
    now = now or timezone.now()
    locking.lock_practitioners([booking.practitioner])
    booking = locking.lock_booking(booking)
    transitions.UNDO.require(booking, now=now, by=by)
    return _set_status(booking, transitions.UNDO, by=by, now=now)
