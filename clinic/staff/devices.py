"""Browsers in which somebody signed in before, known by a signed cookie.

An account's tries from such a browser are counted apart, so a stranger who guesses elsewhere does
not lock its owner out. The cookie opens nothing: password and second factor are asked for as ever.
"""

import secrets

from django.conf import settings
from django.core import signing

COOKIE = f"{settings.COOKIE_PREFIX}device"
LASTS = 365 * 24 * 3600  # seconds, from the newest sign-in
MOST = 20  # accounts of one browser that are remembered
_SALT = "clinic.staff.devices"


def bucket(request, users):
    """Return the name under which tries of ``users`` from this browser count; None if unknown."""
    device, known = _read(request)
    return next((f"{user.pk}:{device}" for user in users if user.pk in known), None)


def remember(request, response, user):
    """Let this browser know that ``user`` signed in here."""
    device, known = _read(request)
    known = [user.pk, *(pk for pk in known if pk != user.pk)][:MOST]
    response.set_cookie(
        COOKIE,
        signing.dumps([device or secrets.token_urlsafe(16), known], salt=_SALT),
        max_age=LASTS,
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )


def _read(request):
    try:
        device, known = signing.loads(request.COOKIES[COOKIE], salt=_SALT, max_age=LASTS)
    except (KeyError, signing.BadSignature, ValueError, TypeError):
        return None, []
    return device, known
