"""Inside every verb: lock what it decides about, take a time, give one back.

Whoever takes time locks the practitioner's row first, so the usual loser of a race gets a clean
SlotTaken; the database's NoOverlap constraint refuses whatever slips past. All of it runs in the
caller's transaction.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from django.db import IntegrityError, transaction

from bookings import times
from bookings.availability.search import SlotSearch
from bookings.availability.slots import Slot
from bookings.lifecycle.errors import NotAllowed, RedFlagsChanged, SlotTaken
from bookings.messaging import queue
from bookings.models import Booking, Message
from clinic import audit
from clinic.models import Actor, Practitioner, User
from conditions import editions
from conditions.editions import EmergencySigns
from conditions.models import Condition

from .clock_changes import clock_times

Status = Booking.Status
Kind = Message.Kind


def require_asked(condition: Condition | None, asked: EmergencySigns, *, source: str) -> dict:
    """Return the columns that keep which emergency signs were asked.

    Raises NotAllowed, with words for people, when this cannot be booked: patients are asked the
    signs of their concern. The desk may ask the general ones where a concern has none, or enter
    what was agreed elsewhere, with nothing asked here. Raises RedFlagsChanged when they are not
    those of today.
    """
    by_desk = source == Booking.Source.DESK
    agreed_elsewhere = by_desk and not asked
    taken = by_desk or condition is None or condition.accepts_bookings
    current = agreed_elsewhere or editions.still_ask(asked, condition, or_general=by_desk)
    if not (taken and current):
        why = editions.why_not_bookable(condition)
        raise NotAllowed(str(why)) if why and not by_desk else RedFlagsChanged
    return {"asked_edition": asked.edition, "asked_red_flags": list(asked.signs)}


def lock_booking(booking: Booking) -> Booking:
    """Return the booking as it is now, locked until the transaction ends."""
    return Booking.objects.select_for_update().get(pk=booking.pk)


def lock_practitioners(candidates: Iterable[Practitioner | None]) -> list[Practitioner]:
    """Lock those who are not None in the order of their keys, so that no two verbs deadlock."""
    keys = sorted({candidate.pk for candidate in candidates if candidate})
    return list(Practitioner.objects.select_for_update().filter(pk__in=keys).order_by("pk"))


def free_lapsed_of(practitioner: Practitioner, now: datetime) -> None:
    """Free what was held only until a moment that has passed (an offer, an unverified request)."""
    lapsed = Booking.objects.lapsed(now).filter(practitioner=practitioner)
    for booking in lapsed.select_for_update():
        cancel_locked(booking, by=Actor.SYSTEM, now=now)


def assign_slot(booking: Booking, slot: Slot | Booking) -> None:
    """Give the booking the slot's practitioner and times; the caller saves.

    ``slot`` may also be another booking, whose time this one takes over.
    """
    booking.practitioner = slot.practitioner
    booking.starts_at, booking.ends_at = slot.starts_at, slot.ends_at
    booking.busy_from, booking.busy_until = slot.busy_from, slot.busy_until
    zone = booking.location.zone
    theirs = times.known_zone(booking.time_zone, zone)
    booking.promised_times = clock_times(booking.starts_at, zone, theirs)


def save_or_slot_taken(booking: Booking) -> None:
    """Save a row that takes time; the constraint's refusal becomes SlotTaken."""
    try:
        with transaction.atomic():
            booking.save()
    except IntegrityError as error:
        if "booking_no_overlap" in str(error):
            raise SlotTaken from error
        raise


def lock_free_slot(search: SlotSearch, start: datetime) -> Slot:
    """Lock who could take ``start`` and return the first free slot, else raise SlotTaken.

    With a practitioner only theirs counts; without, the free ones are tried in turn. A booking
    that moves may have a time already: its practitioner comes first.
    """
    if search.practitioner is not None:
        candidates = [search.practitioner]
    else:
        day = start.astimezone(search.zone).date()
        free = search.free(day, day)
        candidates = [slot.practitioner for slot in free if slot.starts_at == start]

    def by_preference(person: Practitioner) -> tuple:
        is_theirs = search.moving is not None and person.pk == search.moving.practitioner_id
        return (not is_theirs, person.position, person.name)

    for person in sorted(lock_practitioners(candidates), key=by_preference):
        free_lapsed_of(person, search.now)
        slot = replace(search, practitioner=person).at(start)  # read afresh, behind the lock
        if slot:
            return slot
    raise SlotTaken


def cancel_locked(
    booking: Booking,
    *,
    by: User | Actor,
    now: datetime,
    cancelled_by: str = Booking.CancelledBy.SYSTEM,
    reason: str = "",
) -> None:
    """Cancel a locked booking: its time is free. The caller tells people."""
    before = booking.status
    booking.status = Status.CANCELLED
    booking.cancelled_at = now
    booking.cancelled_by = cancelled_by
    booking.cancel_reason = reason
    booking.hold_until = None
    booking.sequence += 1
    booking.save()
    details = {"from": before, "cancelled_by": cancelled_by}
    audit.record(audit.Action.BOOKING_CANCELLED, booking, by=by, at=now, details=details)


def confirm_locked(
    booking: Booking,
    *,
    by: User | Actor,
    now: datetime,
    action: audit.Action = audit.Action.BOOKING_CONFIRMED,
) -> None:
    """Confirm a locked booking, tell its patient, and plan the reminders."""
    before = booking.status
    booking.status = Status.BOOKED
    booking.confirmed_at = now
    booking.hold_until = None
    booking.sequence += 1
    save_or_slot_taken(booking)
    starts_at = booking.starts_at and booking.starts_at.isoformat()
    details = {"from": before, "starts_at": starts_at}
    audit.record(action, booking, by=by, at=now, details=details)
    queue.enqueue(booking, Kind.CONFIRMED)
    queue.plan_reminders(booking, now)


def cancel_offers(booking: Booking, *, by: User | Actor, now: datetime) -> None:
    """Give back every time that is still offered for this request."""
    offers = Booking.objects.filter(offered_for=booking, status=Status.PROPOSED)
    for offer_row in offers.select_for_update():
        cancel_locked(offer_row, by=by, now=now)
