"""Error pages. None needs the database, since it may be what failed."""

import logging
import sys

from django.core.cache import caches
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError
from django.http import HttpResponse
from django.template import loader

log = logging.getLogger(__name__)


def remember_phone(location):
    """Keep the clinic's number in this process, for the pages that cannot ask the database."""
    caches["memory"].set("phone", location.phone, None)


def error_page(template, status):
    """Return an error page without the database; it names the clinic's number if known."""
    context = {"phone": caches["memory"].get("phone")}
    return HttpResponse(loader.render_to_string(template, context), status=status)


def unavailable(error):
    """Return the 503 page for a database that fails: honest, never a confirmation; else None.

    Rule violations (IntegrityError) are bugs of ours and stay errors.
    """
    if not isinstance(error, (DatabaseError, InterfaceError)) or isinstance(error, IntegrityError):
        return None
    log.error("database trouble: %s", type(error).__name__)
    response = error_page("503.html", 503)
    response.headers["Retry-After"] = "30"
    return response


def server_error(request):
    """Answer an error that nobody caught; a failing database gets its own page."""
    return unavailable(sys.exc_info()[1]) or error_page("500.html", 500)


def bad_request(request, exception):
    """Django calls a session that it could not save "deleted": look behind that for the reason."""
    error = exception
    while error and not isinstance(error, (OperationalError, InterfaceError)):
        error = error.__context__
    return unavailable(error) or error_page("400.html", 400)


def csrf_failure(request, reason=""):
    return HttpResponse(loader.render_to_string("403_csrf.html"), status=403)
