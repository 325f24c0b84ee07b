"""Pages of the clinic itself, and its health checks."""

from datetime import timedelta

from django.conf import settings
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from . import languages, opening_status
from .middleware import PRIVATE_PREFIXES
from .models import Clinic, Location, Practitioner
from .operations import health


@require_safe
def practitioners(request):
    return render(
        request,
        "clinic/practitioners.html",
        {"practitioners": Practitioner.objects.active()},
    )


@require_safe
def contact(request):
    location = Location.objects.current()
    now = opening_status.read(location)
    context = {"location": location, "clinic": location.clinic, "opening": now}
    return render(request, "clinic/contact.html", context)


@require_safe
def privacy(request):
    return render(request, "clinic/privacy.html")


@require_safe
def accessibility(request):
    return render(request, "clinic/accessibility.html")


@require_safe
def robots(request):
    """Crawlers stay out of what is private in every language; the rest is listed in the sitemap."""
    prefixes = ["", *(f"/{code}" for code in languages.others())]
    closed = [prefix + path for prefix in prefixes for path in PRIVATE_PREFIXES]
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in closed)]
    lines += ["", f"Sitemap: {settings.SITE_URL}/sitemap.xml", ""]
    return HttpResponse("\n".join(lines), content_type="text/plain; charset=utf-8")


@require_safe
def security_txt(request):
    """Whom to tell of a fault (RFC 9116). The address is the clinic's public one."""
    clinic = Clinic.objects.current()
    if not clinic.email:
        raise Http404
    lines = [
        f"Contact: mailto:{clinic.email}",
        f"Expires: {timezone.now() + timedelta(days=180):%Y-%m-%dT00:00:00Z}",
        f"Canonical: {settings.SITE_URL}{request.path}",
        f"Preferred-Languages: {', '.join(languages.codes())}",
        "",
    ]
    return HttpResponse("\n".join(lines), content_type="text/plain; charset=utf-8")


@require_safe
def change_password(request):
    """Lead password managers to the page that changes one."""
    return redirect("account_change_password")


@never_cache
@require_safe
def live(request):
    """Answer: the process lives. Nothing else is asked."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def ready(request, more=None):
    """Say whether visitors can be served, 503 with the reasons if not; and notes for operators."""
    checks = health.report(more)
    healthy = all(state == "ok" for state in checks.values())
    answer = {"status": "ok" if healthy else "not ready", "checks": checks, "notes": health.notes()}
    return JsonResponse(answer, status=200 if healthy else 503)


@require_safe
def not_translated_yet(request, rest):
    """Addresses of the other languages lead to the default one until their texts exist.

    A page half in English under a Turkish address would be read out in the wrong voice.
    """
    query = request.META.get("QUERY_STRING", "")
    # Leading slashes would name another host.
    path = "/" + rest.lstrip("/\\")
    return redirect(f"{path}?{query}" if query else path)
