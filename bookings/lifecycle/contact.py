"""How a patient is reached: a corrected address or number, new manage links, a new clock time."""

from django.db import transaction
from django.utils import timezone

from bookings import manage_links, times
from bookings.messaging.queue import queue, requeue
from bookings.models import Booking, Message
from clinic import audit
from clinic.models import Clinic

from . import clock_changes, locking, transitions

Kind = Message.Kind


@transaction.atomic
def send_link(booking, *, by, now=None):
    """Staff mail the patient a new manage link; the earlier ones stop working at once.

    Raises NotAllowed without an address, and when nothing is left to manage.
    """
    now = now or timezone.now()
    booking = locking.locked(booking)
    transitions.SEND_LINK.require(booking, now=now, by=by)
    manage_links.revoke_all(booking, now=now)
    _queue_new_link(booking, now)
    audit.record(audit.Action.BOOKING_LINK_SENT, booking, by=by, at=now)


def _queue_new_link(booking, now):
    """A link for a patient whose earlier ones have just died; one that waits to be sent will do."""
    if not booking.messages.waiting().filter(kind=Kind.LINK).exists():
        queue(booking, Kind.LINK, occasion=f"{now:%Y%m%dT%H%M%S%f}")


@transaction.atomic
def contact_changed(booking, *, by, now=None):
    """Staff corrected the e-mail address or the phone number, which the caller has saved.

    Links that went to the old address die at once. The new one gets what did not reach the old, or
    else a new link, as far as there is anything left to manage.
    """
    now = now or timezone.now()
    manage_links.revoke_all(booking, now=now)
    unsent = booking.messages.failed().to_patients()
    again = [requeue(message, by=by, now=now) for message in unsent if booking.email]
    if booking.email and not any(again):
        _queue_new_link(booking, now)


@transaction.atomic
def tell_again(booking, *, by, now=None):
    """The visit stays at its instant; its clock time of now is what counts, and the patient is told.

    Harmless when nothing has shifted. Without an address staff have to phone. Raises nothing.
    """
    now, clinic = now or timezone.now(), Clinic.objects.current()
    booking = locking.locked(booking)
    if not transitions.TELL.allows(booking, now=now, by=by):
        return booking
    shifted = clock_changes.shifts(booking.told_times, booking.starts_at, clinic.zone)
    theirs = times.known_zone(booking.time_zone, clinic.zone)
    booking.told_times = clock_changes.told(booking.starts_at, clinic.zone, theirs)
    booking.sequence += 1
    booking.save(update_fields=["told_times", "sequence"])
    details = {"clocks": [shift.whose for shift in shifted]}
    audit.record(audit.Action.BOOKING_TOLD_AGAIN, booking, by=by, at=now, details=details)
    manage_links.revoke_all(booking, now=now)
    waits = booking.status == Booking.Status.PENDING
    queue(booking, Kind.RECEIVED if waits else Kind.CHANGED)
    return booking
