"""The one row of identity and policy: opened directly, never added or deleted."""

import zoneinfo

from django import forms
from django.contrib import admin
from django.shortcuts import redirect
from django.urls import reverse

from clinic.models import Clinic

from .audit import RecordsChanges


class ClinicForm(forms.ModelForm):
    time_zone = forms.ChoiceField(
        choices=lambda: [(name, name) for name in sorted(zoneinfo.available_timezones())],
        help_text="Opening hours and closures are read on the clock of this place.",
    )


@admin.register(Clinic)
class ClinicAdmin(RecordsChanges, admin.ModelAdmin):
    form = ClinicForm
    fieldsets = [
        (
            "Identity",
            {"fields": ["name", "short_name", "phone", "whatsapp", "email", "desk_email"]},
        ),
        (
            "Address and languages",
            {
                "fields": [
                    "street",
                    "city",
                    ("region", "postal_code", "country"),
                    "access_note",
                    "video_note",
                    "languages_spoken",
                    "time_zone",
                    "emergency_number",
                ]
            },
        ),
        (
            "Booking policy",
            {
                "fields": [
                    ("minimum_notice", "horizon_days"),
                    ("slot_step", "consultation_minutes"),
                    ("buffer_before", "buffer_after"),
                    "confirm_at_once",
                    "answer_within_hours",
                    "cancel_until_hours",
                ],
                "description": "A change holds for new bookings; those already made stay.",
            },
        ),
        (
            "Personal data and medical text",
            {
                "fields": [
                    "reminders",
                    "retention_days_after_visit",
                    "retention_days_after_cancelled",
                    "two_person_signoff",
                ]
            },
        ),
    ]

    def changelist_view(self, request, extra_context=None):
        clinic = Clinic.objects.current()
        if not self.has_view_or_change_permission(request):
            return super().changelist_view(request, extra_context)
        return redirect(reverse("admin:clinic_clinic_change", args=[clinic.pk]))

    def has_add_permission(self, request):
        return False

    def has_delete_permission(self, request, obj=None):
        return False
