"""The ways to meet, and all that is told of each: a new one is a member, a row and a picture."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

    from .clinic import Clinic


class VisitType(models.TextChoices):
    """How a consultation takes place."""

    IN_PERSON = "in_person", _("At the clinic")
    VIDEO = "video", _("Video call")
    PHONE = "phone", _("Phone call")

    @property
    def way(self) -> "Way":
        return WAYS[self]


@dataclass(frozen=True, kw_only=True)
class Way:
    """What patients and staff are told of one way to meet."""

    icon: str  # clinic/artwork/ui/<icon>.svg
    short: "str | _StrPromise"
    in_a_sentence: "str | _StrPromise"  # We see you …
    at_clinic: bool = False  # its address and how to get in are told
    place: "str | _StrPromise" = ""  # where it is, when it is not at the clinic
    join: "str | _StrPromise" = ""  # how to join, unless the clinic's own words for it stand in …
    join_note: str = ""  # … this column of Clinic
    phone_hint: "str | _StrPromise"  # beside the phone number
    on_the_day: "str | _StrPromise"

    def how_to_join(self, clinic: "Clinic") -> str:
        return (self.join_note and getattr(clinic, self.join_note)) or str(self.join)


WAYS = {
    VisitType.IN_PERSON: Way(
        icon="pin",
        short=_("At the clinic"),
        in_a_sentence=_("at the clinic"),
        at_clinic=True,
        phone_hint=_("In case we need to reach you that day."),
        on_the_day=_("Please come five minutes early. Someone can come with you."),
    ),
    VisitType.VIDEO: Way(
        icon="video",
        short=_("Video"),
        in_a_sentence=_("by video"),
        place=_("By video"),
        join=_("We e-mail you how to join before the visit."),
        join_note="video_note",
        phone_hint=_("In case the video fails."),
        on_the_day=_("We e-mail you how to join. If the video fails, we phone you."),
    ),
    VisitType.PHONE: Way(
        icon="phone",
        short=_("Phone"),
        in_a_sentence=_("by phone"),
        place=_("By phone: we call you"),
        phone_hint=_("We call you on this number."),
        on_the_day=_("We phone you. Please keep your phone with you."),
    ),
}


def ways_in_words() -> str:
    """Name every way, as in "at the clinic, by video or by phone"."""
    *others, last = (str(way.in_a_sentence) for way in WAYS.values())
    if not others:
        return last
    return gettext("%(others)s or %(last)s") % {"others": ", ".join(others), "last": last}


def all_visit_types() -> list[str]:
    return list(VisitType.values)


def validate_visit_types(values: object) -> None:
    """Raise ValidationError for what is not a list of different ways to meet."""
    if not isinstance(values, list) or any(
        value not in VisitType.values or values.count(value) > 1 for value in values
    ):
        raise ValidationError("Give a list of ways to meet, each once.")
