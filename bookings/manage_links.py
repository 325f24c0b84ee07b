"""Manage links and access: a random secret opens one booking; the database keeps only its SHA-256.

A link comes by mail and shows the time and the place. Access is what one browser gets for half an
hour, by making the booking or by a second fact: it shows the rest and may change it. Its secret, in
a cookie, works only beside the secret in the session of that browser. Both are rows of one table,
so that whatever ends a booking's links ends access in the same moment.

No secret is derived from anything, so it cannot be rebuilt from a booking, a clock or SECRET_KEY,
and changing the key breaks no link.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.utils import timezone

from clinic import audit
from clinic.models import Actor, Clinic, User

from .models import Booking, ManageLink

LIFE_AFTER_VISIT = timedelta(hours=24)
LIFE_WITHOUT_VISIT = timedelta(days=30)  # a call-back has no visit yet
ACCESS = timedelta(minutes=30)
SESSION_KEY = "browser"


def _digest(secret: str | None) -> str:
    return hashlib.sha256(str(secret).encode("utf-8", "surrogatepass")).hexdigest()


def _ends(booking: Booking, now: datetime) -> datetime:
    return booking.ends_at + LIFE_AFTER_VISIT if booking.ends_at else now + LIFE_WITHOUT_VISIT


# --- links ----------------------------------------------------------------------------------------


def issue(
    booking: Booking, now: datetime | None = None, *, at_least: datetime | None = None
) -> str:
    """Make a new link to the booking and return its secret, which is kept nowhere.

    It works until 24 hours after the visit ends, or for 30 days where there is no time yet, and
    until the instant ``at_least``, if given. Links issued earlier go on working: a second mail must
    not break the first.
    """
    now = now or timezone.now()
    secret, ends = secrets.token_urlsafe(32), _ends(booking, now)
    ends = max(ends, at_least or ends)
    ManageLink.objects.create(
        booking=booking, digest=_digest(secret), issued_at=now, expires_at=ends
    )
    return secret


def look_up(secret: str, now: datetime | None = None) -> ManageLink | None:
    """Return the live link of this secret with its booking, or None.

    Unknown, altered, expired, revoked and erased all end in the same None after the same one
    query, so that nobody learns which of them it was.
    """
    now = now or timezone.now()
    link = ManageLink.objects.select_related("booking").filter(digest=_digest(secret)).first()
    alive = (
        link is not None
        and not link.browser
        and link.revoked_at is None
        and link.expires_at > now
        and link.booking.erased_at is None
    )
    return link if alive else None


# --- access ---------------------------------------------------------------------------------------


def browser_of(session: SessionBase) -> str:
    """Return the secret that tells this browser's session from all others; made when first asked for."""
    if SESSION_KEY not in session:
        session[SESSION_KEY] = secrets.token_urlsafe(32)
    return session[SESSION_KEY]


def browser_digest(session: SessionBase | dict[str, Any]) -> str:
    """Return how the rows name this browser; "" for one that never had a secret."""
    return _digest(session[SESSION_KEY]) if SESSION_KEY in session else ""


@transaction.atomic
def admit(
    booking: Booking, session: SessionBase, *, mailed: bool = False, now: datetime | None = None
) -> str:
    """Give this browser access and return the secret for its cookie.

    ``mailed``: it began with a link out of the mailbox, which is verified so.
    """
    now = now or timezone.now()
    secret = secrets.token_urlsafe(32)
    if mailed:
        Booking.objects.filter(pk=booking.pk, verified_at=None).update(verified_at=now)
    ManageLink.objects.create(
        booking=booking,
        digest=_digest(secret),
        browser=_digest(browser_of(session)),
        mailed=mailed,
        issued_at=now,
        expires_at=min(now + ACCESS, _ends(booking, now)),
    )
    return secret


def had_access(booking: Booking, session: SessionBase) -> bool:
    """Return whether this browser was ever admitted to the booking."""
    browser = browser_digest(session)
    return bool(browser) and booking.links.filter(browser=browser).exists()


def admit_who_made(
    booking: Booking, session: SessionBase, now: datetime | None = None
) -> str | None:
    """Admit the browser that pressed the button, at every press; None once its access has ended.

    A repeated press gets a secret of its own, because the first may be lost with its answer.
    """
    now = now or timezone.now()
    if had_access(booking, session):
        browser = browser_digest(session)
        if not booking.links.valid(now).filter(browser=browser).exists():
            return None
    return admit(booking, session, now=now)


def access_of(
    secret: str | None, session: SessionBase, now: datetime | None = None
) -> ManageLink | None:
    """Return the row of the access that this very browser still has, or None."""
    rows = ManageLink.objects.open(now).exclude(browser="")
    return rows.filter(digest=_digest(secret), browser=browser_digest(session)).first()


@transaction.atomic
def leave(session: SessionBase, now: datetime | None = None) -> None:
    """End this browser's access to whatever booking, and forget its secret."""
    browser = browser_digest(session)
    if browser:
        rows = ManageLink.objects.filter(browser=browser, revoked_at=None)
        rows.update(revoked_at=now or timezone.now())
        del session[SESSION_KEY]


# --- ending both ----------------------------------------------------------------------------------


def revoke_links_of(
    booking: Booking, now: datetime | None = None, keep: ManageLink | None = None
) -> int:
    """Stop every link and all access to the booking at once; return how many were still alive.

    ``keep`` is the access that makes the change: its browser stays, so that a second press of the
    same button is answered and not refused.
    """
    alive = ManageLink.objects.filter(booking=booking, revoked_at=None)
    if keep is not None and keep.browser:
        alive = alive.exclude(browser=keep.browser)
    return alive.update(revoked_at=now or timezone.now())


@transaction.atomic
def revoke_all_links(clinic: Clinic, *, by: User | Actor, now: datetime | None = None) -> int:
    """Stop all links and all access to all bookings, as after a leak; return how many were alive.

    Bookings stay as they are. Patients get a new link from the page for lost links or the desk.
    """
    now = now or timezone.now()
    number = ManageLink.objects.filter(revoked_at=None).update(revoked_at=now)
    details = {"number": number}
    audit.record(audit.Action.LINKS_REVOKED, clinic, by=by, details=details, at=now)
    return number
