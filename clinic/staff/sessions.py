"""Where staff are signed in: a StaffSession for each open session, and the verbs that end them."""

import re
import time

from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction
from django.utils import timezone

from clinic import audit
from clinic.models import StaffSession

SEEN_EVERY = 300  # seconds between two writes of when a session was last used
_NOTED = "staff_session"
_BROWSERS = {
    "Edge": "Edg",
    "Opera": "OPR",
    "Samsung Internet": "SamsungBrowser",
    "Firefox": "Firefox|FxiOS",
    "Chrome": "Chrome|CriOS",
    "Safari": "Safari",
}
_SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Mac": "Macintosh",
    "ChromeOS": "CrOS",
    "Linux": "Linux",
}


def device(agent):
    """Name a browser coarsely, such as “Firefox on Windows”: enough to know one's own by."""
    browser = _first(_BROWSERS, agent, "A browser")
    return f"{browser} on {_first(_SYSTEMS, agent, 'an unknown system')}"


def note(request):
    """Keep the row of this signed-in session: a new key makes one, use is noted now and then."""
    session, now = request.session, int(time.time())
    if not session.session_key:
        session.save()
    key, at = session.get(_NOTED, ("", 0))
    if key == session.session_key and now - at < SEEN_EVERY:
        return
    facts = {
        "user": request.user,
        "seen_at": timezone.now(),
        "device": device(request.META.get("HTTP_USER_AGENT", "")),
    }
    try:
        with transaction.atomic():
            StaffSession.objects.update_or_create(session_id=session.session_key, defaults=facts)
    except IntegrityError:  # ended by somebody else in this moment
        return
    session[_NOTED] = [session.session_key, now]


def of(user):
    """Return the open sessions of ``user``, the latest used first."""
    return StaffSession.objects.filter(user=user, session__expire_date__gt=timezone.now())


@transaction.atomic
def end(user, *, by, only=None, but=None):
    """Sign ``user`` out everywhere; returns in how many places.

    ``only`` is the number of one row, ``but`` the key of a session that stays.
    """
    rows = StaffSession.objects.filter(user=user).exclude(session_id=but)
    if only is not None:
        rows = rows.filter(pk=only)
    keys = list(rows.values_list("session_id", flat=True))
    if keys:
        Session.objects.filter(pk__in=keys).delete()  # the rows go with them
        audit.record(audit.Action.STAFF_SIGNED_OUT, user, by=by, details={"sessions": len(keys)})
    return len(keys)


def _first(names, agent, otherwise):
    return next((name for name, sign in names.items() if re.search(sign, agent)), otherwise)
