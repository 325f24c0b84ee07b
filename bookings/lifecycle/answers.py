"""What becomes of a booking ahead: confirmed, moved or cancelled, by the desk or the patient."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from bookings import manage_links
from bookings.availability.search import SlotSearch
from bookings.messaging import queue
from bookings.models import Booking, ManageLink, Message
from clinic import audit
from clinic.models import Actor, Practitioner, User

from . import locking, transitions

Status = Booking.Status
Kind = Message.Kind

# --- answering ------------------------------------------------------------------------------------


@transaction.atomic
def confirm(booking: Booking, *, by: User | Actor, now: datetime | None = None) -> Booking:
    """Say yes to a pending request. Raises NotAllowed, or SlotTaken if its hold has lapsed."""
    now = now or timezone.now()
    locking.lock_practitioners([booking.practitioner])
    booking = locking.lock_booking(booking)
    transitions.CONFIRM.require(booking, now=now, by=by)
    locking.cancel_offers(booking, by=by, now=now)
    locking.confirm_locked(booking, by=by, now=now)
    return booking


@transaction.atomic
def cancel(
    booking: Booking,
    *,
    by: User | Actor,
    cancelled_by: str = Booking.CancelledBy.PATIENT,
    reason: str = "",
    now: datetime | None = None,
) -> Booking:
    """Give the time back. A clinic's refusal of a request is a cancellation by the clinic.

    Its links go on opening it, to say that it is cancelled; nothing can be done there. Raises
    NotAllowed for what is over or cancelled, and for patients after Clinic.cancel_until_hours.
    """
    now = now or timezone.now()
    booking = locking.lock_booking(booking)
    by_patient = cancelled_by == Booking.CancelledBy.PATIENT
    row = transitions.CANCEL_ONLINE if by_patient else transitions.CANCEL
    row.require(booking, now=now, by=by)
    locking.cancel_offers(booking, by=by, now=now)
    locking.cancel_locked(booking, by=by, cancelled_by=cancelled_by, reason=reason, now=now)
    queue.enqueue(booking, Kind.CANCELLED)
    if by_patient:
        queue.enqueue(booking, Kind.DESK_CANCELLED)
    return booking


@transaction.atomic
def reschedule(
    booking: Booking,
    *,
    start: datetime,
    by: User | Actor,
    practitioner: Practitioner | None = None,
    link: ManageLink | None = None,
    now: datetime | None = None,
) -> Booking:
    """Move to another free time, or give a call-back its first one; the old time is freed with it.

    A patient's new time is pending again unless the clinic confirms at once; one set by staff is
    booked. ``link`` is the patient's own, see manage_links.revoke_links_of. Raises SlotTaken and
    leaves the old time as it was, or NotAllowed.
    """
    now = now or timezone.now()
    by_patient = transitions.actor_of(by) is Actor.PATIENT
    rows = Booking.objects.select_related("practitioner", "location__clinic")
    current = rows.get(pk=booking.pk)
    search = SlotSearch.for_booking(current, moving=current, practitioner=practitioner, now=now)
    slot = locking.lock_free_slot(search, start)
    booking = locking.lock_booking(booking)
    row = transitions.MOVE_ONLINE if by_patient else transitions.MOVE
    row.require(booking, now=now, by=by)
    if booking.starts_at == slot.starts_at and booking.practitioner_id == slot.practitioner.pk:
        return booking
    before = booking.starts_at
    locking.cancel_offers(booking, by=by, now=now)
    locking.assign_slot(booking, slot)
    at_once = booking.location.clinic.confirm_at_once or not by_patient
    booking.status = Status.BOOKED if at_once else Status.PENDING
    booking.confirmed_at = now if at_once else None
    booking.hold_until = None
    booking.sequence += 1
    locking.save_or_slot_taken(booking)
    details = {
        "from": before.isoformat() if before else None,
        "to": slot.starts_at.isoformat(),
    }
    audit.record(audit.Action.BOOKING_RESCHEDULED, booking, by=by, at=now, details=details)
    manage_links.revoke_links_of(booking, now=now, keep=link)
    queue.enqueue(booking, Kind.CHANGED if at_once else Kind.RECEIVED)
    if at_once:
        queue.plan_reminders(booking, now)
    if by_patient:
        queue.enqueue(booking, Kind.DESK_CHANGED)
    return booking
