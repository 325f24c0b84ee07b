"""Manage links: a random secret opens one booking; the database keeps only its SHA-256.

The secret is not derived from anything, so it cannot be rebuilt from a booking, a clock or
SECRET_KEY, and changing the key breaks no link.
"""

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from clinic import audit
from clinic.models import Clinic

from .models import ManageLink

LIFE_AFTER_VISIT = timedelta(hours=24)
LIFE_WITHOUT_VISIT = timedelta(days=30)  # a call-back has no visit yet


def _digest(secret):
    return hashlib.sha256(str(secret).encode("utf-8", "surrogatepass")).hexdigest()


def issue(booking, now=None, *, at_least=None):
    """Make a new link to the booking and return its secret, which is kept nowhere.

    It works until 24 hours after the visit ends, or for 30 days where there is no time yet, and
    until the instant ``at_least``, if given. Links issued earlier go on working: a second mail must
    not break the first.
    """
    now = now or timezone.now()
    secret = secrets.token_urlsafe(32)
    ends = booking.ends_at + LIFE_AFTER_VISIT if booking.ends_at else now + LIFE_WITHOUT_VISIT
    ends = max(ends, at_least or ends)
    ManageLink.objects.create(
        booking=booking, digest=_digest(secret), issued_at=now, expires_at=ends
    )
    return secret


def look_up(secret, now=None):
    """The live link of this secret with its booking, or None.

    Unknown, altered, expired, revoked and erased all end in the same None after the same one
    query, so that nobody learns which of them it was.
    """
    now = now or timezone.now()
    link = ManageLink.objects.select_related("booking").filter(digest=_digest(secret)).first()
    alive = (
        link is not None
        and link.revoked_at is None
        and link.expires_at > now
        and link.booking.erased_at is None
    )
    return link if alive else None


def revoke_all(booking, now=None, keep=None):
    """Stop every link of the booking at once; returns how many were still alive.

    ``keep`` is the link of the browser that makes the change: its secret dies with the others, the
    browser stays signed in, so that a second press of the same button is answered and not refused.
    """
    alive = ManageLink.objects.filter(booking=booking, revoked_at=None)
    if keep is None:
        return alive.update(revoked_at=now or timezone.now())
    kept = alive.filter(pk=keep.pk).update(digest=_digest(secrets.token_urlsafe(32)))
    return kept + alive.exclude(pk=keep.pk).update(revoked_at=now or timezone.now())


@transaction.atomic
def revoke_every(*, by, now=None):
    """Stop all links of all bookings, as after a leak; returns how many were still alive.

    Bookings stay as they are. Patients get a new link from the page for lost links or the desk.
    """
    now = now or timezone.now()
    number = ManageLink.objects.filter(revoked_at=None).update(revoked_at=now)
    details = {"number": number}
    audit.record("links.revoked", Clinic.objects.current(), by=by, details=details, at=now)
    return number
