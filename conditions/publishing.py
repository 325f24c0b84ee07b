"""The verbs that take a page from an editor's desk to the public, each with its audit row.

A page becomes a numbered Edition (submit), a clinician signs exactly that text (sign), and it goes
live (publish). A signature holds for one digest: any later change of the page, of its clinical
record or of a shared text means a new edition. ``by`` is a staff user, or "system" for the starter
content.

One file: each verb says what the others may find, and they share their guards.
"""

from collections.abc import Iterable
from datetime import date
from typing import Any

from django.db import models, transaction
from django.db.models import Max, Q
from django.urls import reverse
from django.utils import timezone

from clinic import audit, languages
from clinic.models import Actor, AuditEvent, Clinic, Practitioner, User
from clinic.operations import setup

from . import snapshot
from .document import Document, digest
from .editions import LICENSE, STARTER_SIGNATURE
from .models import Condition, Edition, Page, Reference, SigningRight
from .text_checks.gaps import LONGEST_REVIEW_MONTHS, Gap, gaps, months_after

LICENSE_CHECK_MONTHS = 24
CHANGED = audit.Action.PAGE_CHANGED


class PublishingError(Exception):
    """A rule was not met. ``message`` is for people; ``gaps`` lists what is missing."""

    def __init__(self, message: str, gaps: Iterable[Gap] = ()):
        super().__init__(message)
        self.message, self.gaps = message, list(gaps)


# --- changes ------------------------------------------------------------------------------------
@transaction.atomic
def record_change(subject: models.Model, *, by: User, fields: Iterable[str] = ()) -> None:
    """Note that ``by`` changed ``subject``, on every page whose text it is part of.

    ``subject`` is a Page, a Condition, a Reference, or a shared block, question or red flag.
    Signing asks these rows who wrote the text.
    """
    details: dict[str, Any] = {"fields": sorted(fields)}
    if isinstance(subject, Page):
        subject.updated_by = by
        subject.save(update_fields=["updated_by", "updated_at"])
    else:
        details["through"] = f"{subject._meta.model_name} {subject.pk}"
        action = audit.Action(f"{subject._meta.model_name}.changed")
        audit.record(action, subject, by=by, details=details)
    for page in pages_showing(subject):
        audit.record(CHANGED, page, by=by, details=details)


def pages_showing(subject: models.Model) -> list[Page]:
    """Return the pages whose text a change of ``subject`` changes."""
    if isinstance(subject, Page):
        return [subject]
    if isinstance(subject, Condition):
        cards = Q(related=subject) | Q(condition__related=subject)
        return list(Page.objects.filter(Q(condition=subject) | cards).distinct())
    if isinstance(subject, Reference):
        return list(subject.pages.all())
    return list(Page.objects.all())


# --- verbs --------------------------------------------------------------------------------------
@transaction.atomic
def submit(page: Page, *, by: User) -> Edition:
    """Freeze the page's text as its next edition, for review. Returns the Edition.

    Raises PublishingError with the gaps, or when this very text waits or is live already.
    """
    _require(by, "conditions.submit_page", "send a page for review")
    page = _locked(page)
    document = snapshot.build_document(page)
    missing = gaps(document)
    if missing:
        raise PublishingError("The page is not complete.", missing)
    mark = digest(document)
    open_editions = page.editions.filter(published_at=None, sent_back_at=None)
    if any(not snapshot.has_changed(page, waiting) for waiting in open_editions):
        raise PublishingError("This text is waiting for review already.")
    if any(not snapshot.has_changed(page, live) for live in page.editions.filter(live=True)):
        raise PublishingError("This text is on the site already. Nothing has changed since.")
    edition = _new_edition(page, document, by=by)
    for older in open_editions.exclude(pk=edition.pk):
        _close(older, note=f"Replaced by edition {edition.number}.")
    audit.record(
        audit.Action.EDITION_SUBMITTED, edition, by=by, details={"page": page.pk, "digest": mark}
    )
    return edition


@transaction.atomic
def sign(edition: Edition, *, by: User) -> Edition:
    """Put the name of a clinician other than the authors to exactly this text.

    Raises PublishingError for a missing permission or qualification, for an author, and for a
    page that has changed since it was sent.
    """
    _require(by, "conditions.sign_edition", "sign medical text")
    page = _locked(edition.page)
    edition = Edition.objects.get(pk=edition.pk)
    if edition.state != "to review":
        raise PublishingError(f"This edition cannot be signed: it is {edition.state}.")
    practitioner = _qualified(by, page)
    _refuse_authors(page, by, sent_by=edition.created_by_id)
    _refuse_stale(page, edition)
    edition.signed_at = timezone.now()
    edition.signed_by = practitioner
    edition.signed_digest = edition.digest
    edition.signed_as = _signature(practitioner)
    edition.save(update_fields=["signed_at", "signed_by", "signed_digest", "signed_as"])
    details = {"digest": edition.digest, "license_checked_on": str(practitioner.license_checked_on)}
    audit.record(audit.Action.EDITION_SIGNED, edition, by=by, details=details)
    return edition


@transaction.atomic
def send_back(edition: Edition, *, by: User, note: str) -> Edition:
    """Return an edition to its editor with a reason; a signature on it is void."""
    _require(by, "conditions.sign_edition", "send a page back")
    _locked(edition.page)
    edition = Edition.objects.get(pk=edition.pk)
    if not note.strip():
        raise PublishingError("Say what needs to change.")
    if edition.state not in {"to review", "signed"}:
        raise PublishingError(f"This edition cannot be sent back: it is {edition.state}.")
    _close(edition, note=note.strip())
    audit.record(audit.Action.EDITION_SENT_BACK, edition, by=by)
    return edition


@transaction.atomic
def publish(edition: Edition, *, by: User) -> Edition:
    """Make a signed edition what the public sees, in place of the live one.

    Raises PublishingError unless it is signed, the signature is for this text, whoever signed may
    still sign this page, and the page still builds this text; and when it would leave the site
    without general emergency signs.
    """
    _require(by, "conditions.publish_edition", "publish")
    page = _locked(edition.page, with_other_guides=True)
    edition = Edition.objects.get(pk=edition.pk)
    if edition.state != "signed":
        raise PublishingError(
            f"Only a signed edition can be published; this one is {edition.state}."
        )
    if not edition.signed_digest == edition.digest == digest(edition.document):
        raise PublishingError("The signature is for another text. Send the page for review again.")
    if not page.signers.filter(pk=edition.signed_by_id).exists():
        raise PublishingError(
            f"{edition.signed_by} may no longer sign this page. Have it sent back, and signed by "
            "somebody who may."
        )
    _refuse_stale(page, edition)
    missing = gaps(edition.document)
    if missing:
        raise PublishingError("The page is not complete.", missing)
    return _go_live(edition, by=by)


@transaction.atomic
def withdraw(edition: Edition, *, by: User) -> Edition:
    """Take the live edition off the site. The page can come back only as a new edition.

    Raises PublishingError for the last guide that carries the general emergency signs.
    """
    _require(by, "conditions.publish_edition", "withdraw")
    _locked(edition.page, with_other_guides=True)
    edition = Edition.objects.get(pk=edition.pk)
    if not edition.live:
        raise PublishingError("This edition is not on the site.")
    _keep_general_signs(edition.page)
    edition.live, edition.withdrawn_at = False, timezone.now()
    edition.save(update_fields=["live", "withdrawn_at"])
    audit.record(audit.Action.EDITION_WITHDRAWN, edition, by=by, details={"page": edition.page_id})
    return edition


@transaction.atomic
def mark_reviewed(page: Page, *, by: User, on: date, next_due: date) -> Page:
    """Record that a clinician read the whole page on ``on`` (a date) and when it is next due.

    Only this sets the two dates and the reviewer. Raises PublishingError for a date ahead, for
    more than 36 months, and for anyone who could not sign the page.
    """
    _require(by, "conditions.sign_edition", "mark a page as reviewed")
    page = _locked(page)
    practitioner = _qualified(by, page)
    _refuse_authors(page, by)
    if on > timezone.localdate():
        raise PublishingError("A review cannot lie in the future.")
    if not on < next_due <= months_after(on, LONGEST_REVIEW_MONTHS):
        raise PublishingError("The next review comes after this one, within 36 months.")
    page.reviewer, page.last_reviewed, page.next_review_due = practitioner, on, next_due
    page.save(update_fields=["reviewer", "last_reviewed", "next_review_due", "updated_at"])
    details = {"on": on.isoformat(), "next_due": next_due.isoformat()}
    audit.record(audit.Action.PAGE_REVIEWED, page, by=by, details=details)
    return page


@transaction.atomic
def let_sign(practitioner: Practitioner, condition: Condition | None, *, by: User) -> SigningRight:
    """Let ``practitioner`` sign the pages about ``condition``; about None, the guides."""
    _require(by, "conditions.add_signingright", "say who may sign")
    right, made = SigningRight.objects.get_or_create(practitioner=practitioner, condition=condition)
    if made:
        audit.record(
            audit.Action.SIGNING_RIGHT_GIVEN, practitioner, by=by, details={"about": right.about}
        )
    return right


@transaction.atomic
def take_right(right: SigningRight, *, by: User) -> None:
    """End a SigningRight; what was signed under it and is on the site stays."""
    _require(by, "conditions.delete_signingright", "say who may sign")
    audit.record(
        audit.Action.SIGNING_RIGHT_TAKEN, right.practitioner, by=by, details={"about": right.about}
    )
    right.delete()


@transaction.atomic
def publish_starter(page: Page) -> Edition:
    """Publish a page of the starter content, signed by its fictitious reviewer.

    Raises PublishingError when the text has gaps or the page has editions already.
    """
    page = _locked(page)
    if page.editions.exists():
        raise PublishingError(f"{page} has editions already.")
    document = snapshot.build_document(page)
    missing = gaps(document)
    if missing:
        raise PublishingError(f"{page} is not complete: {missing[0].message}", missing)
    edition = _new_edition(page, document, by=None)
    edition.signed_at, edition.signed_by = edition.created_at, page.reviewer
    edition.signed_digest, edition.signed_as = edition.digest, STARTER_SIGNATURE
    return _go_live(edition, by=Actor.SYSTEM)


def signed_page_step() -> setup.Step:
    """Let the opening of a site wait for one page that a clinician of the clinic signed."""
    signed = Edition.objects.live().exclude(signed_as=STARTER_SIGNATURE).exclude(signed_at=None)
    where = reverse("admin:conditions_page_changelist")
    return setup.Step("One medical page, signed and published", signed.exists(), where)


# --- what the verbs share -----------------------------------------------------------------------
def _locked(page: Page, *, with_other_guides: bool = False) -> Page:
    """Return the page, fresh and locked until the transaction ends: its verbs run in turn.

    ``with_other_guides`` locks every guide with a guide: the general signs stand in all of them.
    """
    pages = Page.objects.select_for_update().order_by("pk")
    if with_other_guides and page.kind == Page.Kind.GUIDE:
        list(pages.filter(kind=Page.Kind.GUIDE))
    return pages.get(pk=page.pk)


def _keep_general_signs(page: Page, instead: Edition | None = None) -> None:
    """Raise PublishingError if the site would lose its last general emergency signs.

    They go with what is live of ``page``, unless the edition ``instead`` carries them too.
    """
    live = Edition.objects.live().asking().about(None).filter(language=languages.default())
    here = instead and (instead.kind, instead.language) == (Page.Kind.GUIDE, languages.default())
    if instead and here and instead.document["gate"]:
        return
    if live.filter(page=page).exists() and not live.exclude(page=page).exists():
        raise PublishingError(
            "No other guide on the site carries the general emergency signs, which are asked of "
            "everybody who books without a concern. Publish another guide that carries them first."
        )


def _require(by: User, permission: str, act: str) -> None:
    if not by.has_perm(permission):
        raise PublishingError(f"You do not have the right to {act}.")


def _qualified(user: User, page: Page) -> Practitioner:
    """Return the practitioner behind ``user``, if they may put their name to this page."""
    practitioner = Practitioner.objects.filter(user=user, archived=False).first()
    if practitioner is None:
        raise PublishingError(
            "Only a practitioner of the clinic can sign. You have no such record."
        )
    if not practitioner.credentials:
        raise PublishingError("Your record shows no credentials. Ask a manager to add them.")
    checked = practitioner.license_checked_on
    if checked is None or _lapses(checked) < timezone.localdate():
        raise PublishingError(
            "Your license was not checked in the last two years. Ask a manager to check it."
        )
    if not page.signers.filter(pk=practitioner.pk).exists():
        what = f"pages about {page.condition}" if page.condition else "guides"
        names = " or ".join(map(str, page.signers)) or "nobody"
        raise PublishingError(
            f"You may not sign {what}: at present {names} may. A manager gives this right on the "
            "practitioner's page."
        )
    return practitioner


def _lapses(checked: date) -> date:
    return months_after(checked, LICENSE_CHECK_MONTHS)


def _signature(practitioner: Practitioner) -> str:
    license_ = f"{LICENSE}{practitioner.license_number}" if practitioner.license_number else ""
    return f"{practitioner.name}, {practitioner.credentials}{license_}"


def _refuse_authors(page: Page, user: User, *, sent_by: int | None = None) -> None:
    """Raise PublishingError if ``user`` wrote any of what is new since the last signed edition."""
    if not Clinic.objects.current().two_person_signoff:
        return
    last_signed = page.editions.aggregate(at=Max("signed_at"))["at"]
    changes = AuditEvent.objects.filter(
        action=CHANGED, object_type=page._meta.label_lower, object_key=str(page.pk), actor=user
    )
    if last_signed:
        changes = changes.filter(at__gte=last_signed)
    if user.pk in {sent_by, page.updated_by_id} or changes.exists():
        raise PublishingError("You wrote or changed this page, so somebody else has to sign it.")


def _refuse_stale(page: Page, edition: Edition) -> None:
    if snapshot.is_stale(page, edition):
        raise PublishingError(
            "The page, or a text it shares, has changed since this edition was made. "
            "Send it for review again."
        )


def _new_edition(page: Page, document: Document, *, by: User | None) -> Edition:
    number = (page.editions.aggregate(last=Max("number"))["last"] or 0) + 1
    condition = page.condition
    return Edition.objects.create(
        page=page,
        number=number,
        kind=page.kind,
        slug=page.slug,
        language=page.language,
        position=condition.position if condition else page.position,
        document=document,
        card=snapshot.build_card(document),
        digest=digest(document),
        created_at=timezone.now(),
        created_by=by,
    )


def _close(edition: Edition, *, note: str) -> None:
    """Send an unpublished edition back; what was signed on it no longer counts."""
    edition.sent_back_at, edition.sent_back_note = timezone.now(), note
    edition.signed_at = edition.signed_by = None
    edition.signed_digest = edition.signed_as = ""
    edition.save()


def _go_live(edition: Edition, *, by: User | Actor) -> Edition:
    replaced = list(Edition.objects.filter(page=edition.page_id, live=True))
    at_address = Edition.objects.live().filter(
        kind=edition.kind, slug=edition.slug, language=edition.language
    )
    if at_address.exclude(page=edition.page_id).exists():
        raise PublishingError("Another page is on the site at this address. Withdraw it first.")
    _keep_general_signs(edition.page, instead=edition)
    for old in replaced:
        old.live = False
        old.save(update_fields=["live"])
    edition.live, edition.published_at = True, timezone.now()
    edition.published_by = by if isinstance(by, User) else None
    edition.save()
    details = {"page": edition.page_id, "digest": edition.digest}
    audit.record(audit.Action.EDITION_PUBLISHED, edition, by=by, details=details)
    return edition
