"""The visit itself: who arrived, who was seen, who did not come, and taking that back."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from bookings.messaging import queue
from bookings.models import Booking, Message
from clinic import audit
from clinic.models import Clinic

from . import locking
from .errors import NotAllowed

Status = Booking.Status
Kind = Message.Kind

FOLLOW_UP_AFTER = timedelta(hours=1)  # long enough to undo a slip of the mouse


# --- the day itself -------------------------------------------------------------------------------


@transaction.atomic
def mark_arrived(booking, *, by, now=None):
    """The patient is here, or on the line.

    Raises NotAllowed unless it is confirmed, and before the day of the visit where the clinic is.
    """
    now = now or timezone.now()
    booking = locking.locked(booking)
    locking.require(booking, Status.BOOKED, doing="marked as arrived")
    if not booking.is_by_day(now, Clinic.objects.current().zone):
        raise NotAllowed("This consultation is on a later day.")
    return _set_status(booking, Status.ARRIVED, by=by, now=now)


@transaction.atomic
def record_outcome(booking, *, outcome, by, now=None):
    """Say whether the consultation took place: "fulfilled" or "noshow". Only staff decide it.

    Raises NotAllowed before it starts, or for a booking that was never confirmed.
    """
    now = now or timezone.now()
    booking = locking.locked(booking)
    allowed = {
        Status.FULFILLED: (Status.BOOKED, Status.ARRIVED),
        Status.NOSHOW: (Status.BOOKED,),
    }
    if outcome not in allowed:
        raise NotAllowed("The outcome is either “seen” or “did not come”.")
    locking.require(booking, *allowed[outcome], doing=f"marked as {Status(outcome).label.lower()}")
    if booking.starts_at > now:
        raise NotAllowed("This consultation has not started yet.")
    booking = _set_status(booking, outcome, by=by, now=now)
    if outcome == Status.NOSHOW and booking.email:
        queue.queue(booking, Kind.FOLLOW_UP, due_at=now + FOLLOW_UP_AFTER)
    return booking


def _set_status(booking, status, *, by, now, action=None):
    before = booking.status
    booking.status = status
    locking.save(booking)
    audit.record(action or f"booking.{status}", booking, by=by, at=now, details={"from": before})
    return booking


@transaction.atomic
def undo(booking, *, by, now=None):
    """Take back "arrived", "seen" or "did not come": the booking is confirmed again.

    Raises SlotTaken when somebody else has taken the time meanwhile.
    """
    now = now or timezone.now()
    if booking.practitioner_id:
        locking.lock_practitioners([booking.practitioner])
    booking = locking.locked(booking)
    locking.require(booking, Status.ARRIVED, Status.FULFILLED, Status.NOSHOW, doing="undone")
    return _set_status(booking, Status.BOOKED, by=by, now=now, action="booking.undone")
