"""What becomes of a booking ahead: confirmed, moved or cancelled, by the desk or the patient."""

from django.db import transaction
from django.utils import timezone

from bookings import manage_links
from bookings.availability.search import SlotSearch
from bookings.messaging import queue
from bookings.models import Booking, Message
from clinic import audit
from clinic.models import Clinic

from . import locking
from .errors import NotAllowed, SlotTaken

Status = Booking.Status
Kind = Message.Kind

# --- answering ------------------------------------------------------------------------------------


@transaction.atomic
def confirm(booking, *, by, now=None):
    """The clinic says yes to a pending request. Raises NotAllowed, or SlotTaken if its hold lapsed."""
    now = now or timezone.now()
    if booking.practitioner_id:
        locking.lock_practitioners([booking.practitioner])
    booking = locking.locked(booking)
    locking.require(booking, Status.PENDING, doing="confirmed")
    if booking.hold_until and booking.hold_until <= now:
        raise SlotTaken("This request was never proved, and its time has been given back.")
    locking.close_offers(booking, by=by, now=now)
    locking.set_booked(booking, by=by, now=now)
    return booking


@transaction.atomic
def cancel(booking, *, by, cancelled_by=Booking.CancelledBy.PATIENT, reason="", now=None):
    """Give the time back. A clinic's refusal of a request is a cancellation by the clinic.

    Its links go on opening it, to say that it is cancelled; nothing can be done there. Raises
    NotAllowed for what is over or cancelled, and for patients after Clinic.cancel_until_hours.
    """
    now = now or timezone.now()
    booking = locking.locked(booking)
    locking.require(
        booking, Status.PENDING, Status.BOOKED, Status.WAITLIST, Status.PROPOSED, doing="cancelled"
    )
    if cancelled_by == Booking.CancelledBy.PATIENT and not may_change_online(booking, now=now):
        raise NotAllowed("It is too late to cancel online. Please call us.")
    locking.close_offers(booking, by=by, now=now)
    locking.close(booking, by=by, cancelled_by=cancelled_by, reason=reason, now=now)
    queue.queue(booking, Kind.CANCELLED)
    if cancelled_by == Booking.CancelledBy.PATIENT:
        queue.queue(booking, Kind.DESK_CANCELLED)
    return booking


def may_change_online(booking, *, now=None, clinic=None):
    """Whether a patient may still move or cancel with the manage link."""
    now = now or timezone.now()
    if booking.status not in (Status.PENDING, Status.BOOKED, Status.WAITLIST):
        return False
    if booking.starts_at is None:
        return True
    return now <= booking.change_deadline(clinic or Clinic.objects.current())


def reschedule(booking, *, start, by, practitioner=None, link=None, now=None):
    """Move to another free time, or give a call-back its first one; the old time is freed with it.

    A patient's new time is pending again unless the clinic confirms at once; one set by staff is
    booked. ``link`` is the patient's own, see links.revoke_all. Raises SlotTaken and leaves the old
    time as it was, or NotAllowed.
    """
    now = now or timezone.now()
    by_patient = by == "patient"
    with transaction.atomic():
        clinic = Clinic.objects.current()
        current = Booking.objects.select_related("practitioner").get(pk=booking.pk)
        search = SlotSearch.for_booking(
            current, moving=current, practitioner=practitioner, now=now, clinic=clinic
        )
        slot = locking.free_slot(search, start)
        booking = locking.locked(booking)
        locking.require(booking, Status.PENDING, Status.BOOKED, Status.WAITLIST, doing="moved")
        if by_patient and not may_change_online(booking, now=now, clinic=clinic):
            raise NotAllowed("It is too late to change the time online. Please call us.")
        if booking.starts_at == slot.starts_at and booking.practitioner_id == slot.practitioner.pk:
            return booking
        before = booking.starts_at
        locking.close_offers(booking, by=by, now=now)
        locking.put(booking, slot, clinic)
        at_once = clinic.confirm_at_once or not by_patient
        booking.status = Status.BOOKED if at_once else Status.PENDING
        booking.confirmed_at = now if at_once else None
        booking.hold_until = None
        booking.sequence += 1
        locking.save(booking)
        audit.record(
            "booking.rescheduled",
            booking,
            by=by,
            at=now,
            details={
                "from": before.isoformat() if before else None,
                "to": booking.starts_at.isoformat(),
            },
        )
        manage_links.revoke_all(booking, now=now, keep=link)
        queue.queue(booking, Kind.CHANGED if at_once else Kind.RECEIVED)
        if at_once:
            queue.plan_reminders(booking, now)
        if by_patient:
            queue.queue(booking, Kind.DESK_CHANGED)
        return booking
