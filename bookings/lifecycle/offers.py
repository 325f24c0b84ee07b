"""Offering other times for a request: held for the patient, who takes one of them.

An offer is a Booking row of its own that holds its time; ``offered_for`` names the request. The
request keeps the time it asked for until one of the offers is taken.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from bookings import manage_links
from bookings.availability.search import SlotSearch
from bookings.messaging import queue
from bookings.models import Booking, ManageLink, Message
from clinic import audit
from clinic.models import Actor, Practitioner, User

from . import locking, transitions
from .errors import NotAllowed, SlotTaken

Status = Booking.Status
Kind = Message.Kind
MOST_OFFERS = 3
OFFER_HOLD = timedelta(hours=48)
ENDED = _("This offer has ended. Please choose another time or call us.")


@transaction.atomic
def offer(
    booking: Booking,
    *,
    times: list[tuple[datetime, Practitioner | None]],
    by: User | Actor,
    hold: timedelta = OFFER_HOLD,
    now: datetime | None = None,
) -> Booking:
    """Offer up to three times for a request and hold them until ``now + hold``.

    ``times`` are (start, practitioner) pairs; a practitioner of None means any who is free.
    Earlier offers for the request are given back, and a request that nobody verified yet stands:
    the clinic believes it. Raises NotAllowed, or SlotTaken when one of the times is not free; then
    nothing is held.
    """
    now = now or timezone.now()
    if not 1 <= len(times) <= MOST_OFFERS or len({start for start, _ in times}) < len(times):
        raise NotAllowed(f"Offer one to {MOST_OFFERS} different times.")
    current = Booking.objects.get(pk=booking.pk)
    people = [person for _start, person in times if person]
    if len(people) < len(times):  # "anybody": all of them at once, in one order
        people += Practitioner.objects.bookable(current.visit_type)
    for locked in locking.lock_practitioners([*people, current.practitioner]):
        locking.free_lapsed_of(locked, now)  # the request itself may be among them
    booking = locking.lock_booking(booking)
    transitions.OFFER.require(booking, now=now, by=by)
    booking.hold_until = None
    booking.save(update_fields=["hold_until"])
    locking.cancel_offers(booking, by=by, now=now)
    search = SlotSearch.for_booking(booking, now=now)
    for start, person in times:
        slot = locking.lock_free_slot(replace(search, practitioner=person), start)
        row = Booking(
            status=Status.PROPOSED,
            offered_for=booking,
            location=booking.location,
            condition=booking.condition,
            visit_type=booking.visit_type,
            time_zone=booking.time_zone,
            source=Booking.Source.DESK,
            hold_until=min(now + hold, slot.starts_at),
        )
        locking.assign_slot(row, slot)
        locking.save_or_slot_taken(row)
    audit.record(
        audit.Action.BOOKING_OFFERED, booking, by=by, at=now, details={"times": len(times)}
    )
    queue.enqueue(booking, Kind.OFFERED, occasion=f"{now:%Y%m%dT%H%M%S%f}")
    return booking


@transaction.atomic
def choose(
    booking: Booking,
    *,
    offered: Booking,
    by: User | Actor = Actor.PATIENT,
    link: ManageLink | None = None,
    now: datetime | None = None,
) -> Booking:
    """Take one of the offered times for the patient: it is confirmed, the others are free at once.

    Harmless when repeated. ``link`` is the patient's own, see manage_links.revoke_links_of. Raises
    SlotTaken when the offer has ended, NotAllowed when the request has been answered otherwise.
    """
    now = now or timezone.now()
    ours = Booking.objects.filter(pk=offered.pk, offered_for=booking).first()
    if ours is None:
        raise SlotTaken(ENDED)
    current = Booking.objects.get(pk=booking.pk)
    locking.lock_practitioners([ours.practitioner, current.practitioner])
    booking, ours = locking.lock_booking(booking), locking.lock_booking(ours)
    same_time = (booking.starts_at, booking.practitioner_id) == (
        ours.starts_at,
        ours.practitioner_id,
    )
    if booking.status == Status.BOOKED and same_time:
        return booking
    transitions.CHOOSE.require(booking, now=now, by=by)
    if ours.status != Status.PROPOSED or ours.hold_is_over(now):
        raise SlotTaken(ENDED)
    locking.cancel_offers(booking, by=by, now=now)
    locking.assign_slot(booking, ours)
    manage_links.revoke_links_of(booking, now=now, keep=link)
    locking.confirm_locked(booking, by=by, now=now, action=audit.Action.BOOKING_OFFER_CHOSEN)
    queue.enqueue(booking, Kind.DESK_CHANGED)
    return booking
