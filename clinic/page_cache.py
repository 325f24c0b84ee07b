"""Public pages that are the same for everybody: rendered once, kept for a minute."""

import hashlib
from functools import lru_cache

from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.cache import caches
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag

from . import languages
from .models import Location

KEEP_SECONDS = 60  # how long browsers and this process may show the same page


def answer(request, template, version, context):
    """Render, or answer 304, or answer from this process's memory.

    The ETag covers all that the page is made of: the editions, the clinic's rows, the day, the
    language, and the code, templates and static files of this release. People with a session
    (staff, mostly) get their own copy, since the page may greet them.
    """
    location = Location.objects.current()
    rows = {"location": location, "clinic": location.clinic}
    if settings.DEBUG or settings.SESSION_COOKIE_NAME in request.COOKIES:
        response = render(request, template, {**rows, **context(location)})
        response.headers["Cache-Control"] = "private, no-cache"
        return response
    parts = [
        request.path,
        version,
        [getattr(row, f.attname) for row in rows.values() for f in row._meta.concrete_fields],
        timezone.localdate(timezone=location.zone),
        languages.active(),
        release(),
    ]
    key = hashlib.sha256(repr(parts).encode()).hexdigest()
    etag = f"W/{quote_etag(key)}"
    response = get_conditional_response(request, etag=etag)
    if response is None:
        body = caches["memory"].get(key)
        if body is None:
            body = render(request, template, {**rows, **context(location)}).content
            caches["memory"].set(key, body, KEEP_SECONDS)
        response = HttpResponse(body)
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = f"public, max-age={KEEP_SECONDS}"
    return response


@lru_cache(maxsize=1)
def release():
    """Return a hash of the code, templates, drawings and static names of this release."""
    total = hashlib.sha256(getattr(staticfiles_storage, "manifest_hash", "").encode())
    for folder in ("templates", "clinic", "conditions", "bookings"):
        for path in sorted((settings.BASE_DIR / folder).rglob("*")):
            if path.suffix in {".py", ".html", ".svg", ".mo"}:
                total.update(path.read_bytes())
    return total.hexdigest()
