"""Pages: write, preview, and send for review."""

from functools import partial

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Prefetch
from django.http import HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.utils import timezone

from conditions import publishing, snapshot, views
from conditions.comparison import compare
from conditions.models import Citation, Edition, Faq, Page, Section
from conditions.text_checks import documents, gaps, plain_words

from . import release
from .filters import OnTheSite, PageList, ReviewDue
from .prose import NonceMediaMixin, PositionedFormSet
from .record import RecordsOnPages

PAGE_TEXTS = {"title", "lead", "description", "summary", "sections", "faqs"}


class PageForm(forms.ModelForm):
    """Refuses to save over text that somebody else saved since this form was opened."""

    version = forms.CharField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Page
        fields = "__all__"  # noqa: DJ007 - the admin's fieldsets choose

    newer = None  # the page as somebody else saved it, for the template

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["version"] = self.instance.updated_at.isoformat()

    def clean(self):
        values = super().clean()
        if not self.instance.pk:
            return values
        saved = Page.objects.select_for_update().get(pk=self.instance.pk)
        current = saved.updated_at.isoformat()
        if values.get("version") != current:
            self.newer = saved
            # From here on the form knows of the newer text, so saving again is a decision.
            self.data = self.data.copy()
            self.data[self.add_prefix("version")] = current
            who = saved.updated_by or "Somebody"
            raise ValidationError(
                f"{who} saved this page after you opened it, so nothing of yours is saved yet. "
                "What you typed is still here, and their text is shown above. "
                "Save again to replace theirs with yours.",
                code="newer",
            )
        return values


class SectionInline(admin.StackedInline):
    model = Section
    formset = PositionedFormSet
    extra = 0
    fieldsets = [
        (None, {"fields": [("kind", "position"), "heading", "body"]}),
        (
            "Chart of 100 people",
            {
                "classes": ["collapse"],
                "fields": [
                    "chart_title",
                    ("chart_placebo", "chart_placebo_label"),
                    ("chart_treatment", "chart_treatment_label"),
                    "chart_rest_label",
                ],
            },
        ),
    ]


class FaqInline(admin.StackedInline):
    model = Faq
    formset = PositionedFormSet
    extra = 0
    fields = ["question", "answer", "position"]


class CitationInline(admin.TabularInline):
    model = Citation
    formset = PositionedFormSet
    extra = 0
    autocomplete_fields = ["reference"]
    fields = ["reference", "position"]


@admin.register(Page)
class PageAdmin(RecordsOnPages, NonceMediaMixin, admin.ModelAdmin):
    form = PageForm
    change_form_template = "admin/conditions/page/change_form.html"
    inlines = [SectionInline, FaqInline, CitationInline]
    list_display = [
        "title", "kind", "language", "live_edition", "state", "reviewer", "next_review_due"
    ]  # fmt: skip
    list_filter = [OnTheSite, ReviewDue, "kind", "language", "reviewer"]
    search_fields = ["title", "slug", "condition__name"]
    filter_horizontal = ["related"]
    readonly_fields = ["reviewer", "last_reviewed", "next_review_due"]
    actions = None
    fieldsets = [
        (None, {"fields": ["version", "title", "lead", "description", "summary"]}),
        (
            "Address and review",
            {
                "fields": [
                    ("kind", "slug", "language"), ("condition", "position"), "related",
                    "reviewer", ("last_reviewed", "next_review_due"),
                ]
            },
        ),
    ]  # fmt: skip

    # --- the list ---
    change_list_template = "admin/conditions/page/change_list.html"

    def get_queryset(self, request):
        editions = Edition.objects.defer("document", "card").order_by("-number")
        pages = super().get_queryset(request).select_related("reviewer", "condition")
        return pages.prefetch_related(Prefetch("editions", queryset=editions))

    def get_changelist(self, request, **kwargs):
        return PageList

    @admin.display(description="on the site")
    def live_edition(self, page):
        live = next((edition for edition in page.editions.all() if edition.live), None)
        return f"edition {live.number}{_since(page, live)}" if live else "no"

    @admin.display(description="latest edition")
    def state(self, page):
        latest = next(iter(page.editions.all()), None)
        return f"{latest.state}{_since(page, latest)}" if latest else "none yet"

    # --- saving ---
    def get_readonly_fields(self, request, obj=None):
        """Keep kind and condition: what was published about one must not be asked about another."""
        fixed = ["kind", "condition"] if obj and obj.editions.exists() else []
        return [*super().get_readonly_fields(request, obj), *fixed]

    def has_delete_permission(self, request, obj=None):
        if obj is not None and obj.editions.exists():
            return False
        return super().has_delete_permission(request, obj)

    def save_model(self, request, obj, form, change):
        if not change or set(form.changed_data) - {"version"}:
            super().save_model(request, obj, form, change)

    def response_change(self, request, obj):
        if "_preview" not in request.POST:
            return super().response_change(request, obj)
        # The form is saved so far, inside this request's transaction: show it, then undo it.
        response = views.render_preview(request, snapshot.build_document(_fresh(obj)))
        transaction.set_rollback(True)
        return response

    # --- the panel above the form ---
    def render_change_form(self, request, context, add=False, change=False, form_url="", obj=None):
        if obj is not None and obj.pk:
            page = _fresh(obj)
            document = snapshot.build_document(page)
            context |= {
                "gaps": [_with_link(gap, page) for gap in gaps.gaps(document)],
                "hints": [_with_link(hint, page) for hint in plain_words.hints(document)],
                "editions": page.editions.defer("document", "card").order_by("-number")[:5],
                "preview_path": views.preview_path(page),
                "newer": self._newer(context),
                "changes": _changes(page, document),
                "signers": page.signers,
                "may_sign": page.signers.filter(user=request.user).exists(),
                "today": timezone.localdate(),
                "latest_due": gaps.months_after(timezone.localdate(), gaps.LONGEST_REVIEW_MONTHS),
            }
        return super().render_change_form(request, context, add, change, form_url, obj)

    def _newer(self, context):
        newer = getattr(context["adminform"].form, "newer", None)
        texts = documents.texts(snapshot.build_document(newer)) if newer else ()
        return [text for place, text in texts if text and place in PAGE_TEXTS]

    # --- verbs ---
    def get_urls(self):
        act = self.admin_site.admin_view(self.act)
        compare_ = self.admin_site.admin_view(self.compare)
        corrections = self.admin_site.admin_view(partial(release.corrections, self))
        return [
            path("release/", corrections, name="conditions_page_release"),
            path("<int:pk>/compare/", compare_, name="conditions_page_compare"),
            path("<int:pk>/<str:verb>-page/", act, name="conditions_page_act"),
            *super().get_urls(),
        ]

    def compare(self, request, pk):
        """Show what the saved page would change on the site."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        page = get_object_or_404(Page.objects.select_related("condition", "reviewer"), pk=pk)
        live = page.editions.filter(live=True).first()
        context = {
            **self.admin_site.each_context(request),
            "page": page,
            "other": live,
            "differences": _changes(page, snapshot.build_document(page)),
            "opts": self.opts,
            "title": f"What changes on the site: {page}",
        }
        return render(request, "admin/conditions/page/compare.html", context)

    def act(self, request, pk, verb):
        """POST only: submit, or reviewed with the dates "on" and "next_due"."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_view_permission(request):
            raise PermissionDenied
        page = get_object_or_404(Page, pk=pk)
        here = redirect("admin:conditions_page_change", pk)
        try:
            if verb == "submit":
                edition = publishing.submit(page, by=request.user)
                messages.success(request, f"Edition {edition.number} waits for a reviewer.")
                return redirect("admin:conditions_edition_change", edition.pk)
            if verb == "reviewed":
                dates = ReviewForm(request.POST)
                if not dates.is_valid():
                    messages.error(request, "Enter both dates.")
                    return here
                publishing.mark_reviewed(page, by=request.user, **dates.cleaned_data)
                messages.success(request, "Marked as reviewed. Send the page for review again.")
        except publishing.PublishingError as error:
            messages.error(request, error.message)
            for gap in error.gaps:
                messages.error(request, gap.message)
        return here


class ReviewForm(forms.Form):
    on = forms.DateField()
    next_due = forms.DateField()


def _since(page, edition):
    return "; the page says something else now" if edition.pk in page.differ else ""


def _fresh(page):
    """Return the page as the database has it, not as a half-valid form left it."""
    return Page.objects.select_related("condition", "reviewer").get(pk=page.pk)


def _changes(page, document):
    """Say what ``document`` changes on the site; nothing while the page is not there."""
    live = page.editions.filter(live=True).first()
    if live is None or not snapshot.has_changed(page, live):
        return []
    return compare(live.document, document)


def _with_link(finding, page):
    """Return (message, where to mend it)."""
    if finding.field in {"condition", "summary", "red_flags"} and page.condition_id:
        url = reverse("admin:conditions_condition_change", args=[page.condition_id])
        return finding.message, url + ("#red_flags-group" if finding.field == "red_flags" else "")
    shared = {"safety": "sharedblock", "after_treatment": "redflag", "red_flags": "redflag"}
    if finding.field in shared:
        return finding.message, reverse(f"admin:conditions_{shared[finding.field]}_changelist")
    places = {
        "sections": "#sections-group",
        "faqs": "#faqs-group",
        "references": "#citations-group",
        "reviewer": "#reviewed",
        "last_reviewed": "#reviewed",
        "next_review_due": "#reviewed",
    }
    return finding.message, places.get(finding.field, f"#id_{finding.field}")
