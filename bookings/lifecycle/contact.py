"""How a patient is reached: a corrected address or number, new manage links, a new clock time."""

from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.text import capfirst

from bookings import manage_links, rate_limits, times
from bookings.messaging import channels
from bookings.messaging.queue import enqueue, requeue
from bookings.models import Booking, Message
from clinic import audit
from clinic.models import Actor, User

from . import clock_changes, locking, transitions

Kind = Message.Kind


@transaction.atomic
def send_link(booking: Booking, *, by: User | Actor, now: datetime | None = None) -> None:
    """Mail the patient a new manage link; the earlier ones stop working at once.

    Raises NotAllowed without an address, and when nothing is left to manage.
    """
    now = now or timezone.now()
    booking = locking.lock_booking(booking)
    transitions.SEND_LINK.require(booking, now=now, by=by)
    manage_links.revoke_links_of(booking, now=now)
    _queue_new_link(booking, now)
    audit.record(audit.Action.BOOKING_LINK_SENT, booking, by=by, at=now)


def _queue_new_link(booking: Booking, now: datetime) -> None:
    """Queue a link for a patient whose earlier ones were revoked, unless one waits to be sent."""
    if not booking.messages.waiting().filter(kind=Kind.LINK).exists():
        enqueue(booking, Kind.LINK, occasion=f"{now:%Y%m%dT%H%M%S%f}")


def mail_lost_links(
    email: str, *, by: User | Actor = Actor.PATIENT, now: datetime | None = None
) -> None:
    """Mail new manage links to whoever lost them, as far as the address has visits ahead.

    Up to three, and within what one mailbox is mailed in a day; earlier links go on working. Says
    nothing of what it found.
    """
    now = now or timezone.now()
    mine = Booking.objects.awaited(now).filter(email__iexact=email)
    # What strangers asked for with the address crowds out nothing that its owner has opened.
    for booking in mine.order_by(F("verified_at").desc(nulls_last=True), "-created_at")[:3]:
        with rate_limits.mailing(email, now) as may_mail:
            if may_mail and transitions.SEND_LINK.allows(booking, now=now, by=by):
                enqueue(booking, Kind.LINK, occasion=f"lost:{now:%Y%m%dT%H%M%S%f}")
                audit.record(audit.Action.BOOKING_LINK_ASKED, booking, by=by, at=now)


@transaction.atomic
def correct(
    booking: Booking, *, changes: dict[str, str], by: User | Actor, now: datetime | None = None
) -> Booking:
    """Correct what is known of the patient: ``changes`` are new values by field name.

    Where the e-mail address or the phone number is among them, links that went to the old one die
    at once. The new one gets what did not reach the old, or else a new link, as far as there is
    anything left to manage. Raises NotAllowed for an offer, and for what is erased.
    """
    now = now or timezone.now()
    booking = locking.lock_booking(booking)
    transitions.CORRECT.require(booking, now=now, by=by)
    for field, value in changes.items():
        setattr(booking, field, value)
    booking.save(update_fields=list(changes))
    labels = {field.name: capfirst(field.verbose_name) for field in Booking._meta.fields}
    names = [labels[name] for name in changes]
    audit.record(audit.Action.BOOKING_CHANGED, booking, by=by, at=now, details={"fields": names})
    if not {"email", "phone"}.isdisjoint(changes):
        _reach_anew(booking, by=by, now=now)
    return booking


def _reach_anew(booking: Booking, *, by: User | Actor, now: datetime) -> None:
    manage_links.revoke_links_of(booking, now=now)
    reached = channels.reaches(booking)
    unsent = booking.messages.failed().to_patients()
    again = [requeue(message, by=by, now=now) for message in unsent if reached]
    if not any(again) and transitions.SEND_LINK.allows(booking, now=now, by=by):
        _queue_new_link(booking, now)


@transaction.atomic
def announce_new_time(
    booking: Booking, *, by: User | Actor, now: datetime | None = None
) -> Booking:
    """Keep the visit at its instant and tell the patient its clock time of now, which counts.

    Harmless when nothing has shifted. Without an address staff have to phone. Raises nothing.
    """
    now = now or timezone.now()
    booking = locking.lock_booking(booking)
    zone = booking.location.zone
    if not transitions.TELL.allows(booking, now=now, by=by):
        return booking
    shifted = clock_changes.shifts(booking.promised_times, booking.starts_at, zone)
    theirs = times.known_zone(booking.time_zone, zone)
    booking.promised_times = clock_changes.clock_times(booking.starts_at, zone, theirs)
    booking.sequence += 1
    booking.save(update_fields=["promised_times", "sequence"])
    details = {"clocks": [shift.whose for shift in shifted]}
    audit.record(audit.Action.BOOKING_NEW_TIME_ANNOUNCED, booking, by=by, at=now, details=details)
    manage_links.revoke_links_of(booking, now=now)
    waits = booking.status == Booking.Status.PENDING
    enqueue(booking, Kind.RECEIVED if waits else Kind.CHANGED)
    return booking
