"""What a visitor has answered so far, kept on the server between the steps of booking."""

import uuid
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime

from django.utils.dateparse import parse_datetime

from bookings import manage_links

SESSION_KEY = "booking"


@dataclass
class Draft:
    """Answers by step. Health data: it lives in the session table and goes when the booking is made."""

    condition: str = ""  # slug, forms.OTHER, or not answered
    visit_type: str = ""
    signs_read: str = ""  # the concern whose emergency signs were answered with "none"
    asked: int = 0  # the key of the edition in which these signs stood
    start: str = ""  # ISO 8601 instant
    practitioner: str = ""  # slug, or any
    zone: str = ""  # IANA name in which times are shown, or the clinic's
    details: dict = field(default_factory=dict)
    call: dict = field(default_factory=dict)
    began: float = 0.0  # when the first step was answered, in seconds since 1970
    key: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def starts_at(self) -> datetime | None:
        return parse_datetime(self.start) if self.start else None

    @property
    def next_step(self):
        """The name of the first step that still needs an answer."""
        if not (self.condition and self.visit_type):
            return "bookings:start"
        if self.signs_read != self.condition:
            return "bookings:signs"
        if not self.start:
            return "bookings:time"
        return "bookings:check" if self.details else "bookings:details"


def load(request):
    """The visitor's draft; a fresh one when there is none or it does not read."""
    stored = request.session.get(SESSION_KEY)
    known = {f.name for f in fields(Draft)}
    if not isinstance(stored, dict) or not stored.keys() <= known:
        return Draft()
    return Draft(**stored)


def save(request, draft):
    manage_links.browser_of(request.session)  # there before the press that makes the booking
    request.session[SESSION_KEY] = asdict(draft)


def forget(request):
    request.session.pop(SESSION_KEY, None)
