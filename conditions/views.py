"""Public pages, each rendered from one live edition, and the preview of what is not live yet."""

import hashlib
import json
from functools import lru_cache

from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core import signing
from django.core.cache import caches
from django.db.models import Case, TextField, Value, When
from django.db.models.functions import Cast
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import get_conditional_response, quote_etag
from django.utils.translation import get_language
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from clinic.models import Clinic

from . import snapshot, structured_data
from .editions import who_checked
from .models import Edition, Page

KEEP_SECONDS = 60  # how long browsers and this process may show the same page
SIGNER = ("signed_by__name", "signed_by__credentials", "signed_by__slug")
PREVIEW_DAYS = 7
PREVIEW_SALT = "conditions.preview"
TEMPLATES = {
    Page.Kind.CONDITION: "conditions/condition.html",
    Page.Kind.GUIDE: "conditions/guide.html",
}


@require_safe
@gzip_page
def index(request):
    """All live conditions and guides, as cards."""
    rows = (
        Edition.objects.live()
        .order_by("position", "slug")
        .only("kind", "slug", "language", "digest", "card")
        .best_language()
    )
    cards = {
        "cards": [row.card for row in rows if row.kind == Page.Kind.CONDITION],
        "guides": [row.card for row in rows if row.kind == Page.Kind.GUIDE],
    }
    version = [(row.slug, row.digest) for row in rows]
    return _answer(request, "conditions/index.html", version, lambda clinic: cards)


@require_safe
@gzip_page
def condition(request, slug):
    return render_condition(request, slug)


@require_safe
@gzip_page
def guide(request, slug):
    return _page(request, Page.Kind.GUIDE, slug, {})


def render_condition(request, slug, extra=None):
    """The page of a condition; ``extra`` is more context, from apps above this one.

    Its values are part of the page's ETag through their ``repr``. Raises Http404.
    """
    return _page(request, Page.Kind.CONDITION, slug, extra or {})


@require_safe
def preview(request, signed):
    """A draft or an edition for whoever was given the link; 410 when it is older than 7 days."""
    try:
        what, key = signing.loads(signed, salt=PREVIEW_SALT, max_age=PREVIEW_DAYS * 24 * 3600)
    except signing.SignatureExpired:
        response = HttpResponse("This preview link has ended. Ask for a new one.", status=410)
    except signing.BadSignature:
        raise Http404 from None
    else:
        if what == "edition":
            edition = get_object_or_404(Edition.objects.select_related("signed_by"), pk=key)
            response = render_preview(request, edition.document, who_checked(edition))
        else:
            page = get_object_or_404(Page, pk=key)
            response = render_preview(request, snapshot.build_document(page))
    response.headers["Cache-Control"] = "no-store, private"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def preview_path(subject):
    """The path of a preview link for an Edition, or for a Page as it then stands."""
    signed = signing.dumps([subject._meta.model_name, subject.pk], salt=PREVIEW_SALT)
    return reverse("conditions:preview", args=[signed])


def render_preview(request, document, checked=None):
    """``document`` in the public template, marked as a preview."""
    context = {"document": snapshot.clean_document(document), "preview": True, "checked": checked}
    return render(request, TEMPLATES[document["kind"]], context)


def _page(request, kind, slug, extra):
    """One query finds the page and which others are live, so no card leads to a withdrawn page."""
    rows = (
        Edition.objects.live()
        .annotate(
            text=Case(
                When(kind=kind, slug=slug, then=Cast("document", TextField())),
                default=Value(""),
                output_field=TextField(),
            )
        )
        .order_by("kind", "slug")
        .select_related("signed_by")
        .only("kind", "slug", "language", "digest", "signed_at", "signed_as", *SIGNER)
        .best_language()
    )
    found = next((row for row in rows if row.text), None)
    if found is None:
        raise Http404
    live = {row.slug for row in rows if row.kind == Page.Kind.CONDITION}
    checked = who_checked(found)
    version = [found.digest, checked, sorted(live), sorted(extra.items())]

    def context(clinic):
        document = snapshot.clean_document(json.loads(found.text))
        document["related"] = [card for card in document["related"] if card["slug"] in live]
        today = timezone.localdate(timezone=clinic.zone).isoformat()
        return {
            "document": document,
            "checked": checked,
            "review_overdue": document["next_review_due"] < today,
            "structured_data": structured_data.page_data(
                document, checked, path=reverse(f"conditions:{kind}", args=[slug]), clinic=clinic
            ),
            **extra,
        }

    return _answer(request, TEMPLATES[kind], version, context)


def _answer(request, template, version, context):
    """Render, or answer 304, or answer from this process's memory.

    The ETag covers all that the page is made of: the editions, the clinic row, the day, the
    language, and the code, templates and static files of this release. People with a session
    (staff, mostly) get their own copy, since the page may greet them.
    """
    clinic = Clinic.objects.current()
    if settings.DEBUG or settings.SESSION_COOKIE_NAME in request.COOKIES:
        response = render(request, template, {"clinic": clinic, **context(clinic)})
        response.headers["Cache-Control"] = "private, no-cache"
        return response
    parts = [
        request.path,
        version,
        [getattr(clinic, field.attname) for field in clinic._meta.concrete_fields],
        timezone.localdate(timezone=clinic.zone),
        get_language(),
        release(),
    ]
    key = hashlib.sha256(repr(parts).encode()).hexdigest()
    etag = f"W/{quote_etag(key)}"
    response = get_conditional_response(request, etag=etag)
    if response is None:
        body = caches["memory"].get(key)
        if body is None:
            body = render(request, template, {"clinic": clinic, **context(clinic)}).content
            caches["memory"].set(key, body, KEEP_SECONDS)
        response = HttpResponse(body)
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = f"public, max-age={KEEP_SECONDS}"
    return response


@lru_cache(maxsize=1)
def release():
    """A hash of the code, templates, drawings and static names that pages are rendered with."""
    total = hashlib.sha256(getattr(staticfiles_storage, "manifest_hash", "").encode())
    for folder in ("templates", "clinic", "conditions", "bookings"):
        for path in sorted((settings.BASE_DIR / folder).rglob("*")):
            if path.suffix in {".py", ".html", ".svg", ".mo"}:
                total.update(path.read_bytes())
    return total.hexdigest()
