"""Clinical records and the texts that many pages share."""

from django.contrib import admin, messages
from django.db import models
from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.utils.html import format_html

from clinic.admin.audit import RecordsChanges
from conditions import publishing
from conditions.models import Condition, Faq, RedFlag, Reference, SharedBlock
from conditions.snapshot import BOXED_WARNING

from .prose import NonceMediaMixin, PositionedFormSet


class RecordsOnPages(RecordsChanges):
    """Records an edit on every page whose text it is part of: signing asks who wrote that."""

    def record_edit(self, request, obj, what, fields):
        fields = [field for field in fields if field != "version"]
        if what != "changed":
            fields = [what, *fields]
        if fields:
            publishing.record_change(obj, by=request.user, fields=fields)


class SharedTextMixin(RecordsOnPages):
    """Says how far the change of a text reaches that pages share."""

    actions = None

    def record_edit(self, request, obj, what, fields):
        super().record_edit(request, obj, what, fields)
        if what == "changed" and not fields:
            return
        pages = len(publishing.pages_showing(obj))
        if pages:
            listed = reverse("admin:conditions_page_changelist")
            messages.warning(
                request,
                format_html(
                    "This text is part of {} page{}. The site shows the old text until each of "
                    'them is sent for review, signed and published. <a href="{}?state=changed">'
                    "See the pages that say something else than the site</a>.",
                    pages, pluralize(pages), listed,
                ),
            )  # fmt: skip


class RedFlagInline(admin.TabularInline):
    model = RedFlag
    formset = PositionedFormSet
    extra = 0
    fields = ["level", "text", "asked_before_booking", "position"]


@admin.register(Condition)
class ConditionAdmin(SharedTextMixin, admin.ModelAdmin):
    inlines = [RedFlagInline]
    list_display = [
        "name", "status", "service", "evidence", "specialty", "accepts_bookings", "position"
    ]  # fmt: skip
    list_filter = ["status", "service", "evidence", "accepts_bookings"]
    search_fields = ["name", "medical_name", "synonyms", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    filter_horizontal = ["practitioners", "related"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "name", "slug", "medical_name", "synonyms", "body_area", "summary",
                    "position", "related",
                ]
            },
        ),
        (
            "Approval and evidence",
            {
                "fields": [
                    "status", "product", "approval_text", "approval_year", "evidence",
                    "evidence_note",
                ]
            },
        ),
        (
            "What patients can expect",
            {
                "fields": [
                    ("onset", "onset_note", "onset_source"), ("peak", "peak_note", "peak_source"),
                    ("duration", "duration_note", "duration_source"), ("session", "session_note", "session_source"),
                    ("repeat", "repeat_note", "repeat_source"),
                ]
            },
        ),
        (
            "Place on the body map",
            {
                "fields": [("map_x", "map_y"), ("map_side", "map_label_y")],
                "description": "The figure of the front page is {} wide and {} high, counted from "
                "its top left. Labels of one side need 60 between them.".format(*Condition.MAP_SIZE),
            },
        ),
        (
            "Consultation",
            {
                "fields": [
                    "service", "specialty", "adults_only", "consultation_minutes",
                    "accepts_bookings", "practitioners",
                ]
            },
        ),
    ]  # fmt: skip


@admin.register(Reference)
class ReferenceAdmin(SharedTextMixin, admin.ModelAdmin):
    list_display = ["key", "year", "kind", "status", "checked_on", "citation"]
    list_filter = ["status", "kind"]
    search_fields = ["key", "citation"]
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}


@admin.register(SharedBlock)
class SharedBlockAdmin(SharedTextMixin, NonceMediaMixin, admin.ModelAdmin):
    list_display = ["title", "key", "off_label_only", "position"]

    def get_readonly_fields(self, request, obj=None):
        return ["key"] if obj else []

    def has_delete_permission(self, request, obj=None):
        if obj is not None and obj.key == BOXED_WARNING:
            return False
        return super().has_delete_permission(request, obj)


@admin.register(Faq)
class SharedFaqAdmin(SharedTextMixin, NonceMediaMixin, admin.ModelAdmin):
    """Only the questions that every condition page shows; the others live on their page."""

    fields = ["question", "answer", "position"]
    list_display = ["question", "position"]
    search_fields = ["question"]

    def get_queryset(self, request):
        return super().get_queryset(request).filter(page=None)


@admin.register(RedFlag)
class SharedRedFlagAdmin(SharedTextMixin, admin.ModelAdmin):
    """Only the signs after an injection; the others live on their condition."""

    fields = ["level", "text", "asked_before_booking", "position"]
    list_display = ["text", "level", "asked_before_booking", "position"]
    list_filter = ["level"]

    def get_queryset(self, request):
        return super().get_queryset(request).filter(condition=None)
