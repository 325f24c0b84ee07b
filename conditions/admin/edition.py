"""Editions: read, compare, sign, send back, publish, withdraw. Nobody edits one."""

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path

from clinic.staff.access import ReadOnly
from conditions import publishing, views
from conditions.comparison import compare
from conditions.models import Edition
from conditions.text_checks import plain_words


class State(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"
    WHERE = {
        "to review": {"published_at": None, "sent_back_at": None, "signed_at": None},
        "signed": {"published_at": None, "sent_back_at": None, "signed_at__isnull": False},
        "live": {"live": True},
        "withdrawn": {"withdrawn_at__isnull": False},
        "replaced": {"published_at__isnull": False, "live": False, "withdrawn_at": None},
        "sent back": {"published_at": None, "sent_back_at__isnull": False},
    }

    def lookups(self, request, model_admin):
        return [(name, name.capitalize()) for name in self.WHERE]

    def queryset(self, request, queryset):
        return queryset.filter(**self.WHERE.get(self.value(), {}))


@admin.register(Edition)
class EditionAdmin(ReadOnly, admin.ModelAdmin):
    change_form_template = "admin/conditions/edition/change_form.html"
    list_display = [
        "page", "number", "state", "language", "created_at", "created_by", "signed_as",
        "published_at",
    ]  # fmt: skip
    list_filter = [State, "kind", "language"]
    list_select_related = ["page", "created_by", "signed_by"]
    search_fields = ["slug", "page__title"]
    date_hierarchy = "created_at"
    ordering = ["-created_at", "-pk"]
    actions = None
    fields = readonly_fields = [
        "page", "number", "state", "slug", "language", "created_at", "created_by", "signed_at",
        "signed_as", "sent_back_at", "sent_back_note", "published_at", "published_by",
        "withdrawn_at", "digest",
    ]  # fmt: skip

    class Media:
        css = {"all": ["conditions/editor.css"]}

    def get_queryset(self, request):
        return super().get_queryset(request).defer("document", "card")

    def render_change_form(self, request, context, add=False, change=False, form_url="", obj=None):
        user = request.user
        signers = obj.page.signers
        may_sign = signers.filter(user=user).exists()
        live = Edition.objects.live().filter(page=obj.page_id).exclude(pk=obj.pk)
        other = self._other(obj)
        context |= {
            "other": other,
            "changes": compare(other.document, obj.document) if other else [],
            "waits": obj.state == "to review",
            "signers": signers,
            "can_sign": obj.state == "to review"
            and may_sign
            and user.has_perm("conditions.sign_edition"),
            "can_send_back": obj.state in {"to review", "signed"}
            and user.has_perm("conditions.sign_edition"),
            "can_publish": obj.state == "signed" and user.has_perm("conditions.publish_edition"),
            "can_withdraw": obj.live and user.has_perm("conditions.publish_edition"),
            "live_edition": live.defer("document", "card").first(),
            "preview_path": views.preview_path(obj),
            "hints": [hint.message for hint in plain_words.hints(obj.document)],
        }
        return super().render_change_form(request, context, add, change, form_url, obj)

    # --- verbs ---
    def get_urls(self):
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/compare/", wrap(self.compare), name="conditions_edition_compare"),
            path("<int:pk>/withdraw/", wrap(self.withdraw), name="conditions_edition_withdraw"),
            path("<int:pk>/<str:verb>-edition/", wrap(self.act), name="conditions_edition_act"),
            *super().get_urls(),
        ]

    def act(self, request, pk, verb):
        """POST only: sign (with "read"), send-back (with "note") or publish."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        edition = self._edition(request, pk)
        try:
            if verb == "sign" and "read" not in request.POST:
                messages.error(request, "Tick that you have read the whole text, then sign.")
            elif verb == "sign":
                publishing.sign(edition, by=request.user)
                messages.success(request, "Signed.")
            elif verb == "send-back":
                publishing.send_back(edition, by=request.user, note=request.POST.get("note", ""))
                messages.success(request, "Sent back to the editor.")
            elif verb == "publish":
                publishing.publish(edition, by=request.user)
                messages.success(request, "The edition is on the site.")
        except publishing.PublishingError as error:
            messages.error(request, error.message)
            for gap in error.gaps:
                messages.error(request, gap.message)
        return redirect("admin:conditions_edition_change", pk)

    def withdraw(self, request, pk):
        """Asks first, since the page disappears from the site."""
        edition = self._edition(request, pk)
        if request.method != "POST":
            context = {**self.admin_site.each_context(request), "edition": edition}
            context |= {"opts": self.opts, "title": "Withdraw the page"}
            return render(request, "admin/conditions/edition/withdraw.html", context)
        try:
            publishing.withdraw(edition, by=request.user)
            messages.success(request, "The page is no longer on the site.")
        except publishing.PublishingError as error:
            messages.error(request, error.message)
        return redirect("admin:conditions_edition_change", pk)

    def compare(self, request, pk):
        """Say what this edition changes, beside the live one or the one before it."""
        edition = self._edition(request, pk)
        other = self._other(edition)
        context = {
            **self.admin_site.each_context(request),
            "edition": edition,
            "other": other,
            "differences": compare(other.document, edition.document) if other else [],
            "opts": self.opts,
            "title": f"What changes in {edition}",
        }
        return render(request, "admin/conditions/edition/compare.html", context)

    def _other(self, edition):
        """Return the live edition, for its successor; else the one before."""
        others = Edition.objects.filter(page=edition.page_id).exclude(pk=edition.pk)
        before = others.filter(number__lt=edition.number).order_by("-number")
        return others.filter(live=True).first() or before.first()

    def _edition(self, request, pk):
        if not self.has_view_permission(request):
            raise PermissionDenied
        return get_object_or_404(Edition.objects.select_related("page"), pk=pk)
