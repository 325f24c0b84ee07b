"""What every request passes: private headers, refusal of hostile input, clinic time, second factor.

Each is a plain function around ``get_response``.
"""

import re

from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.core.cache import caches
from django.http import HttpResponse, HttpResponseBadRequest, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.http import urlencode

from . import errors, languages
from .models import Action, Clinic, Location
from .staff import record, sessions
from .staff.adapters import may_skip_second_factor

PRIVATE_PREFIXES = ("/book/", "/booking/", "/admin/", "/account/")
PATIENT_PREFIXES = ("/book/", "/booking/")
STAFF_PREFIXES = ("/admin/", "/account/")
METHODS = {"GET", "HEAD", "POST", "OPTIONS"}
# NUL and other control characters; %00 in an address is a 500 on PostgreSQL otherwise.
_HOSTILE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_HOSTILE_QUERY = re.compile(r"%(0[0-8bBcCeEfF]|1[0-9a-fA-F]|7[fF])")
PATIENT_BODY_LIMIT = 64 * 1024  # bytes; the longest form is about 3 kB


def security_headers(get_response):
    """Headers that Django does not set itself; private pages are never stored anywhere."""

    def middleware(request):
        response = get_response(request)
        response.headers.setdefault("X-Frame-Options", settings.X_FRAME_OPTIONS)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.headers.setdefault(
            "Permissions-Policy",
            "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
        )
        # With the slash that a redirect to such a page is about to add.
        if f"{languages.without_prefix(request.path_info)}/".startswith(PRIVATE_PREFIXES):
            add_never_cache_headers(response)
            response.headers["Cache-Control"] = "no-store, private"
            response.headers["X-Robots-Tag"] = "noindex, nofollow"
        return response

    return middleware


def refuse_hostile_requests(get_response):
    """Answer 400, 405 or 413 to what no browser of a patient sends, before anything reads it."""

    def middleware(request):
        if request.method not in METHODS:
            return HttpResponseNotAllowed(sorted(METHODS))
        query = request.META.get("QUERY_STRING", "")
        if _HOSTILE.search(request.path_info) or _HOSTILE_QUERY.search(query):
            return HttpResponseBadRequest("Bad request: control characters in the address.")
        if languages.without_prefix(request.path_info).startswith(PATIENT_PREFIXES):
            if request.content_type == "multipart/form-data":
                return HttpResponse("This form takes no files.", status=415)
            length = request.META.get("CONTENT_LENGTH") or "0"
            if not length.isdigit() or int(length) > PATIENT_BODY_LIMIT:
                return HttpResponse("That is more than this form can take.", status=413)
        return get_response(request)

    return middleware


def database_trouble(get_response):
    """Answer 503 for a view whose database fails; clinic.errors.server_error does the rest."""

    def middleware(request):
        return get_response(request)

    middleware.process_exception = lambda request, error: errors.unavailable(error)
    return middleware


def staff_sessions(get_response):
    """Keep the list of where staff are signed in; last, since signing in makes a new session."""

    def middleware(request):
        response = get_response(request)
        if request.path_info.startswith(STAFF_PREFIXES) and request.user.is_authenticated:
            sessions.note(request)
        return response

    return middleware


def refused_pages(get_response):
    """Record who opened an admin page that they may not open."""

    def middleware(request):
        response = get_response(request)
        refused = response.status_code == 403 and request.path_info.startswith("/admin/")
        if refused and request.user.is_authenticated:
            page = request.resolver_match.view_name if request.resolver_match else ""
            record.note(Action.PAGE_REFUSED, request.user, by=request.user, page=page)
        return response

    return middleware


def clinic_time_for_staff(get_response):
    """Staff read and write times in the clinic's zone; everybody else chooses a zone per page."""

    def middleware(request):
        if not request.path_info.startswith(STAFF_PREFIXES):
            return get_response(request)
        request.location = Location.objects.current()
        with timezone.override(request.location.zone):
            return get_response(request)

    return middleware


_OPEN_BEFORE_OPENING = ("/admin/", "/account/", "/health/", "/robots.txt")


def opening_soon(get_response):
    """Show one page, to all but staff, until a manager has opened a public site."""

    def middleware(request):
        if settings.ON_LOOPBACK or request.path_info.startswith(_OPEN_BEFORE_OPENING):
            return get_response(request)
        # Opening is for good, so each process asks the database until the answer is yes.
        if not caches["memory"].get("open"):
            clinic = Clinic.objects.current()
            if clinic.is_open:
                caches["memory"].set("open", True, None)
            elif not (request.user.is_authenticated and request.user.is_staff):
                return errors.error_page("clinic/opening_soon.html", 503)
        return get_response(request)

    return middleware


def second_factor_for_staff(get_response):
    """Open the admin only to a session that proved a second factor.

    allauth's ``secure_admin_login`` moves the sign-in page but does not require one.
    """

    def middleware(request):
        user = request.user
        if request.path_info.startswith("/admin/") and user.is_authenticated and user.is_staff:
            if may_skip_second_factor(user):
                return get_response(request)
            if not is_mfa_enabled(user):
                return redirect("mfa_index")
            methods = request.session.get("account_authentication_methods", [])
            if not any(method.get("method") == "mfa" for method in methods):
                query = urlencode({"next": request.get_full_path()})
                return redirect(f"{reverse('mfa_reauthenticate')}?{query}")
        return get_response(request)

    return middleware
