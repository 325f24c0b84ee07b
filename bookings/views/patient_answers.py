"""What a visitor has answered so far, kept on the server between the steps of booking."""

import uuid
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime

from django.utils.dateparse import parse_datetime

from bookings import manage_links

SESSION_KEY = "booking"


@dataclass
class Answers:
    """Answers by step: health data, in the session table until the booking is made."""

    condition: str = ""  # slug, forms.OTHER, or not answered
    visit_type: str = ""
    red_flags_read: str = ""  # the concern whose emergency signs were answered with "none"
    asked: int = 0  # the key of the edition in which these signs stood
    start: str = ""  # ISO 8601 instant
    practitioner: str = ""  # slug, or any
    zone: str = ""  # IANA name in which times are shown, or the clinic's
    said: dict = field(default_factory=dict)  # by the name of each step with a form, and of call
    began: float = 0.0  # when the first step was answered, in seconds since 1970
    key: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def starts_at(self) -> datetime | None:
        return parse_datetime(self.start) if self.start else None

    @property
    def details(self) -> dict:
        return self.said.get("details", {})

    @property
    def call(self) -> dict:
        return self.said.get("call", {})


def load(request):
    """Return the visitor's answers; fresh ones when there are none or they do not read."""
    stored = request.session.get(SESSION_KEY)
    known = {f.name for f in fields(Answers)}
    if not isinstance(stored, dict) or not stored.keys() <= known:
        return Answers()
    return Answers(**stored)


def save(request, answers):
    manage_links.browser_of(request.session)  # there before the press that makes the booking
    request.session[SESSION_KEY] = asdict(answers)


def forget(request):
    request.session.pop(SESSION_KEY, None)
