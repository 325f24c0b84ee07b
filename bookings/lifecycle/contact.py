"""How a patient is reached: a corrected address or number, and new manage links."""

from django.db import transaction
from django.utils import timezone

from bookings import manage_links
from bookings.messaging.queue import queue, requeue
from bookings.models import Message
from clinic import audit

Kind = Message.Kind


@transaction.atomic
def send_link(booking, *, by, now=None):
    """Staff mail the patient a new manage link; the earlier ones stop working at once."""
    now = now or timezone.now()
    manage_links.revoke_all(booking, now=now)
    _queue_new_link(booking, now)
    audit.record("booking.link_sent", booking, by=by, at=now)


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
    unsent = booking.messages.filter(state=Message.State.FAILED).exclude(kind__startswith="desk_")
    again = [requeue(message, by=by, now=now) for message in unsent if booking.email]
    if booking.email and not any(again):
        _queue_new_link(booking, now)
