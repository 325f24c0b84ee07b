"""The record of changes, for reading; and the mixin that writes there what staff change."""

from datetime import timedelta

from django.apps import apps
from django.contrib import admin
from django.utils import timezone

from clinic import audit
from clinic.models import Action, AuditEvent, Location
from clinic.staff.access import ReadOnly

from .lookups import OfferedLookups
from .paginator import BoundedPaginator


class RecordsChanges:
    """For a ModelAdmin: each row that a form adds, changes or deletes leaves an AuditEvent.

    Field names are recorded, never what was typed into them.
    """

    def log_addition(self, request, obj, message):
        self.record_edit(request, obj, "added", _fields(message))
        return super().log_addition(request, obj, message)

    def log_change(self, request, obj, message):
        self.record_edit(request, obj, "changed", _fields(message))
        return super().log_change(request, obj, message)

    def log_deletions(self, request, queryset):
        for obj in queryset:
            self.record_edit(request, obj, "deleted", [])
        return super().log_deletions(request, queryset)

    def record_edit(self, request, obj, what, fields):
        """Write what was done to ``obj``; an action of this name stands in audit.Action."""
        details = {"fields": fields} if what != "deleted" else {}
        audit.record(
            Action(f"{obj._meta.model_name}.{what}"), obj, by=request.user, details=details
        )


def _fields(message):
    """Return the names of changed fields in an admin's change message, inline rows included."""
    names = []
    for part in message if isinstance(message, list) else []:
        for what, detail in part.items():
            row = f"{detail['name']}: " if "name" in detail else ""
            fields = detail.get("fields") or ([what] if row else [])
            names += [f"{row}{field}" for field in fields]
    return names


class WhenFilter(admin.SimpleListFilter):
    title = "when"
    parameter_name = "when"
    DAYS = {"1": "Last 24 hours", "7": "Last 7 days", "31": "Last 31 days"}

    def lookups(self, request, model_admin):
        return list(self.DAYS.items())

    def queryset(self, request, queryset):
        if self.value() not in self.DAYS:
            return queryset
        return queryset.filter(at__gte=timezone.now() - timedelta(days=int(self.value())))


class WhatFilter(admin.SimpleListFilter):
    """From the list of models, so that the page need not read every event to offer them."""

    title = "what"
    parameter_name = "what"

    def lookups(self, request, model_admin):
        return [
            (model._meta.label_lower, model._meta.verbose_name.capitalize())
            for label in ("bookings", "clinic", "conditions", "auth")
            for model in apps.get_app_config(label).get_models()
            if model is not Location  # changed and recorded as a part of the clinic
        ]

    def queryset(self, request, queryset):
        return queryset.filter(object_type=self.value()) if self.value() else queryset


class ActionFilter(admin.SimpleListFilter):
    """What has happened, in words; rows of an older spelling are found with it."""

    title = "what happened"
    parameter_name = "happened"

    def lookups(self, request, model_admin):
        return sorted(Action.choices, key=lambda choice: choice[1])

    def queryset(self, request, queryset):
        if self.value() not in Action:
            return queryset
        return queryset.filter(action__in=Action(self.value()).spellings)


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnly, OfferedLookups, admin.ModelAdmin):
    list_display = ["at", "actor_label", "action", "object_type", "object_key"]
    list_filter = [WhenFilter, WhatFilter, ActionFilter]
    search_fields = ["object_key__exact", "action__exact", "actor_label__exact"]
    search_help_text = "A reference or key, an action, or a name, exactly as the list shows it."
    fields = ["at", "actor_label", "actor", "action", "object_type", "object_key", "details"]
    list_per_page = 50
    paginator = BoundedPaginator
    show_full_result_count = False
