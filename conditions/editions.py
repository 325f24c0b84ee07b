"""What the rest of the house may ask of editions: answers come from signed, live text alone.

An edition belongs to a concern through its page, never through an address: page and concern have
slugs of their own. ``condition`` None means that somebody is not sure what their concern is; the
general signs for them stand in every guide.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from clinic import languages

from .models import Condition, Edition, Page
from .models.edition import EditionQuerySet

STARTER_SIGNATURE = "Starter content: fictitious reviewer"
LICENSE = ", license "  # in a signature, what stands before the number

NOT_TAKEN = _("We take no bookings for this concern at the moment. Please call us.")
NO_SIGNS = _(
    "Before a booking we ask about emergency signs. For this concern no signs that a doctor has "
    "signed are on our site at the moment, so it cannot be booked here. Please call us."
)
NO_GENERAL_SIGNS = _(
    "Before a booking we ask about emergency signs. No general signs that a doctor has signed are "
    "on our site at the moment, so nothing can be booked here without a concern. Please call us."
)
NOTHING = _(
    "Before a booking we ask about emergency signs. None that a doctor has signed are on our site "
    "at the moment, so nothing can be booked here. Please call us."
)


@dataclass(frozen=True)
class EmergencySigns:
    """The signs that are asked before booking, and the edition in which a clinician signed them.

    It is false when there are none.
    """

    edition: Edition | None = None
    signs: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.signs)

    @property
    def are_general(self) -> bool:
        return self.edition is not None and self.edition.kind == Page.Kind.GUIDE


@dataclass(frozen=True)
class Concern:
    """Something that can be booked, in the words of its live page."""

    condition: Condition
    name: str
    summary: str

    @property
    def slug(self) -> str:
        return self.condition.slug


def live_card(condition: Condition | None, language: str | None = None) -> dict | None:
    """Return the card of the condition's live page, as signed; None without one."""
    editions = Edition.objects.live().signed().about(condition).defer("document")
    edition = _newest(editions, language)
    return edition.card if edition else None


def emergency_signs(
    condition: Condition | None, language: str | None = None, *, or_general: bool = False
) -> EmergencySigns:
    """Return the EmergencySigns of a condition, or the general ones for None.

    In ``language`` (the active one, if not given), else in English. With ``or_general`` a condition
    that has none of its own is asked the general ones: for staff, who read them out.
    """
    found = _signs(_asking(condition), language)
    return found or _signs(_asking(None), language) if or_general else found


def asked_in(edition_pk: int | None) -> EmergencySigns:
    """Return the EmergencySigns of an edition that was published, whatever became of it."""
    published = Edition.objects.asking().exclude(published_at=None).filter(pk=edition_pk)
    return _of(published.with_asked().defer("document").first())


def still_ask(
    asked: EmergencySigns | None, condition: Condition | None, *, or_general: bool = False
) -> bool:
    """Return whether the signs that somebody was asked are still those of today."""
    if not asked or asked.edition is None:
        return False
    now = emergency_signs(condition, asked.edition.language, or_general=or_general)
    return now.signs == asked.signs


def bookable(language: str | None = None) -> list[Concern]:
    """Every Concern that can be booked, in order: it takes bookings and its signs can be asked."""
    language = language or languages.active()
    rows = (
        Edition.objects.live()
        .asking()
        .filter(
            page__condition__accepts_bookings=True, language__in={language, languages.default()}
        )
        .select_related("page__condition")
        .defer("document")
        .order_by("published_at", "pk")
    )
    found: dict[int, Concern] = {}
    for row in sorted(rows, key=lambda row: row.language == language):
        condition = row.page.condition
        found[condition.pk] = Concern(condition, row.card["title"], row.card["summary"])
    return sorted(found.values(), key=lambda c: (c.condition.position, c.condition.name))


def why_not_bookable(condition: Condition | None) -> str | Promise:
    """In words for patients why nothing can be booked for this concern; "" when it can."""
    if condition and not condition.accepts_bookings:
        return NOT_TAKEN
    if emergency_signs(condition):
        return ""
    return NO_SIGNS if condition else NO_GENERAL_SIGNS


def condition_at(slug: str) -> Condition | None:
    """Return the condition that an address means: of a live page, else by its own slug; or None."""
    pages = Edition.objects.live().filter(kind=Page.Kind.CONDITION, slug=slug)
    return (
        Condition.objects.filter(pages__editions__in=pages).first()
        or Condition.objects.filter(slug=slug).first()
    )


def lost_general_signs() -> Iterator[str]:
    """Yield the last guide that carried general signs, if none on the site does any more."""
    ours = Edition.objects.asking().about(None).filter(language=languages.default())
    if not ours.live().exists():
        last = ours.exclude(published_at=None).defer("document").order_by("-published_at").first()
        yield from [str(last)] if last else []


def not_asked_about() -> QuerySet[Condition]:
    """Conditions that should take bookings and cannot: none of their signs are signed and live."""
    asking = Edition.objects.live().asking().filter(kind=Page.Kind.CONDITION)
    taking = Condition.objects.filter(accepts_bookings=True)
    return taking.exclude(pages__in=asking.values("page"))


def _asking(condition: Condition | None) -> EditionQuerySet:
    return Edition.objects.live().asking().about(condition)


def _signs(editions: EditionQuerySet, language: str | None) -> EmergencySigns:
    return _of(_newest(editions.with_asked().defer("document"), language))


def _of(edition: Any) -> EmergencySigns:
    return EmergencySigns(edition, tuple(edition.asked)) if edition else EmergencySigns()


def _newest(editions: EditionQuerySet, language: str | None) -> Edition | None:
    """Return the one published last in the language, else in the default one; None for neither."""
    language = language or languages.active()
    found = editions.filter(language__in={language, languages.default()}).exclude(published_at=None)
    return max(found, key=lambda e: (e.language == language, e.published_at, e.pk), default=None)


class Checked(NamedTuple):
    """Who put their name to a text, as they were called on that day, and when."""

    name: str
    credentials: str
    slug: str
    at: datetime
    fictitious: bool


def who_checked(edition: Edition) -> Checked | None:
    """Return who signed this very edition and when; None while nobody has."""
    signer, fictitious = edition.signed_by, edition.signed_as == STARTER_SIGNATURE
    if edition.signed_at is None or signer is None:
        return None
    if fictitious:
        name, credentials = signer.name, signer.credentials
    else:
        name, _, credentials = edition.signed_as.partition(LICENSE)[0].partition(", ")
    return Checked(name, credentials, signer.slug, edition.signed_at, fictitious)
