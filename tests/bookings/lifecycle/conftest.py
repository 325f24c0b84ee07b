"""Somebody asks for 09:00 on a Monday; what that has queued and recorded."""

from datetime import UTC, datetime, timedelta

from clinic.models import AuditEvent
from tests.factories import asked_of, make_request

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)  # Monday 04:00 in Los Angeles
NINE = datetime(2027, 1, 4, 17, tzinfo=UTC)
HALF = timedelta(minutes=30)


def ask(**changes):
    values = {
        "start": NINE,
        "visit_type": "in_person",
        "name": "Pat Example",
        "email": "pat@example.org",
        "phone": "+13235550119",
        "consent_version": "1",
        "asked": changes.get("asked") or asked_of(changes.get("condition")),
        "now": NOW,
    }
    return make_request(**(values | changes))


def call_me(**changes):
    values = {
        "visit_type": "phone",
        "name": "Pat Example",
        "phone": "+13235550119",
        "email": "pat@example.org",
        "call_when": "Mornings",
        "consent_version": "1",
        "asked": changes.get("asked") or asked_of(changes.get("condition")),
        "now": NOW,
    }
    return make_request(**(values | changes))


def kinds(booking):
    return sorted(booking.messages.values_list("kind", flat=True))


def actions(booking):
    events = AuditEvent.objects.filter(object_key=booking.reference).order_by("pk")
    return list(events.values_list("action", flat=True))
