"""All that is stored about one person, which a manager hands over when somebody may have it."""

from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from bookings.desk.exports import ExportRefused
from bookings.models import Booking, Message
from clinic import audit, personal_data

from . import booking as desk_booking

MOST_OF_A_PERSON = 100


class PersonReason(models.TextChoices):
    """Why what is stored about somebody was taken out."""

    ASKED = "asked", "The person asked for it"
    AUTHORITY = "authority", "An authority or a court asked for it"


def of_the_same_person(bookings, booking):
    """List this booking and those with its address or number, newest first: some may be another's.

    People share both; whoever hands the file over chooses among these.
    """
    same = Q(pk=booking.pk)
    if booking.email:
        same |= Q(email__iexact=booking.email)
    if booking.phone:
        same |= Q(phone=booking.phone)
    found = bookings.asked_for().filter(same, erased_at=None)
    return found.select_related("practitioner", "condition")[:MOST_OF_A_PERSON]


def _about(booking):
    """All that is stored about a booking, as plain data: the declared columns, and the facts."""
    history = desk_booking.events_of(booking).order_by("at", "pk")
    belongings = {
        str(model._meta.verbose_name_plural): [
            personal_data.values(row)
            for row in model.objects.filter(**{key: booking}).order_by("pk")
        ]
        for model, key in personal_data.pointing_to(Booking)
        if model is not Message
    }
    return {
        "reference": booking.spoken_reference,
        **personal_data.values(booking),
        "concern": booking.concern,
        "status": booking.get_status_display(),
        "visit_type": booking.get_visit_type_display(),
        "practitioner": str(booking.practitioner or ""),
        "starts_at": booking.starts_at,
        "ends_at": booking.ends_at,
        "language": booking.language,
        "wants_reminders": booking.wants_reminders,
        "source": booking.get_source_display(),
        "asked_at": booking.created_at,
        "agreed_at": booking.consent_at,
        "agreed_to_text_of": booking.consent_version,
        "confirmed_at": booking.confirmed_at,
        "cancelled_at": booking.cancelled_at,
        "cancelled_by": booking.get_cancelled_by_display(),
        "messages": [
            {
                "what": message.get_kind_display(),
                "due_at": message.due_at,
                "sent_at": message.sent_at,
                "state": message.get_state_display(),
                **personal_data.values(message),
            }
            for message in booking.messages.order_by("due_at", "pk")
        ],
        **belongings,
        "history": [
            {
                "at": event.at,
                "what": audit.Action.words(event.action),
                "who": "staff" if event.actor_id else event.actor_label,
            }
            for event in history
        ],
    }


@transaction.atomic
def export_person(bookings, *, reason, by, now=None):
    """Record that what is stored in these bookings leaves, one row each; return it as plain data.

    Raises ExportRefused when there are none, ValueError for a reason that is none.
    """
    reason, bookings, now = PersonReason(reason), list(bookings), now or timezone.now()
    if not bookings:
        raise ExportRefused("Choose at least one booking.", "bookings")
    found = [_about(booking) for booking in bookings]
    for booking in bookings:
        details = {"reason": str(reason), "bookings": len(bookings)}
        audit.record(audit.Action.BOOKING_PERSON_EXPORTED, booking, by=by, at=now, details=details)
    return {"clinic": bookings[0].location.clinic.name, "made_at": now, "bookings": found}
