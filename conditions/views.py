"""Public pages, each rendered from one live edition, and the preview of what is not live yet."""

import json

from django.core import signing
from django.db.models import Case, TextField, Value, When
from django.db.models.functions import Cast
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from clinic import page_cache

from . import snapshot, structured_data
from .editions import who_checked
from .models import Edition, Page

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
    return page_cache.answer(request, "conditions/index.html", version, lambda location: cards)


@require_safe
@gzip_page
def condition(request, slug, more=None):
    """Render the page of a condition; ``more(slug)`` is more context, from apps above this one.

    Its values are part of the page's ETag through their ``repr``.
    """
    return _page(request, Page.Kind.CONDITION, slug, more(slug) if more else {})


@require_safe
@gzip_page
def guide(request, slug):
    return _page(request, Page.Kind.GUIDE, slug, {})


@require_safe
def preview(request, signed):
    """Show a draft or an edition to whoever was given the link; 410 when it is 7 days old."""
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
    """Return the path of a preview link for an Edition, or for a Page as it then stands."""
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

    def context(location):
        document = snapshot.clean_document(json.loads(found.text))
        document["related"] = [card for card in document["related"] if card["slug"] in live]
        today = timezone.localdate(timezone=location.zone).isoformat()
        return {
            "document": document,
            "checked": checked,
            "review_overdue": document["next_review_due"] < today,
            "structured_data": structured_data.page_data(
                document,
                checked,
                path=reverse(f"conditions:{kind}", args=[slug]),
                clinic=location.clinic,
            ),
            **extra,
        }

    return page_cache.answer(request, TEMPLATES[kind], version, context)
