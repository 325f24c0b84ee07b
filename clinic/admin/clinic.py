"""The one row of identity and policy: opened directly, never added or deleted."""

import secrets
import zoneinfo
from functools import partial
from smtplib import SMTPException

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.mail import EmailMessage
from django.forms.models import construct_instance
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.crypto import constant_time_compare

from clinic import mail_addresses
from clinic.models import Clinic, Location
from clinic.operations import setup

from .audit import RecordsChanges

PLACE = (
    "phone", "desk_email", "street", "city", "region", "postal_code", "country", "access_note",
    "time_zone",
)  # fmt: skip


class ClinicForm(forms.ModelForm):
    """The clinic and its one place, as one page: ``PLACE`` names the fields of the place."""

    time_zone = forms.ChoiceField(
        choices=lambda: [(name, name) for name in sorted(zoneinfo.available_timezones())],
        help_text="Opening hours and closures are read on the clock of this place.",
    )

    def __init__(self, *args, initial=None, **kwargs):
        self.place = Location.objects.current()
        values = forms.model_to_dict(self.place, PLACE)
        super().__init__(*args, initial=values | (initial or {}), **kwargs)

    def _post_clean(self):
        super()._post_clean()
        self.place = construct_instance(self, self.place, PLACE)
        others = {field.name for field in Location._meta.fields} - {*PLACE}
        try:
            self.place.full_clean(exclude=others | set(self.errors))
        except ValidationError as error:
            self.add_error(None, error)


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

    def get_form(self, request, obj=None, change=False, **kwargs):
        made = partial(self.formfield_for_dbfield, request=request)
        fields = forms.fields_for_model(Location, PLACE, formfield_callback=made)
        form = type("ClinicForm", (self.form,), {**fields, **self.form.declared_fields})
        return super().get_form(request, obj, change, form=form, **kwargs)

    def save_model(self, request, obj, form, change):
        super().save_model(request, obj, form, change)
        form.place.zone_confirmed = True  # the form shows it, so whoever saves it has seen it
        form.place.save()

    # --- the way to the first visitor ---
    def get_urls(self):
        opening = self.admin_site.admin_view(self.opening)
        return [path("opening/", opening, name="clinic_opening"), *super().get_urls()]

    def opening(self, request):
        """Show what is missing, a test mail, and the button that opens the site."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        acts = {"mail": self._send_test_mail, "code": self._take_code, "open": self._open}
        if request.method == "POST":
            act = acts.get(request.POST.get("act"))
            if act:
                act(request)
            return redirect("admin:clinic_opening")
        steps = setup.steps(Location.objects.current())
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Opening the site",
            "steps": steps,
            "ready": all(step.done for step in steps),
            "code_sent": request.session.get("opening_code"),
        }
        return TemplateResponse(request, "admin/clinic/clinic/opening.html", context)

    def _send_test_mail(self, request):
        """In this request, not through the outbox: whoever presses waits for the server's answer."""
        clinic = Clinic.objects.current()
        to = clinic.email
        if not to:
            messages.error(request, "First enter the clinic's e-mail on its page.")
            return
        code = f"{secrets.randbelow(10**6):06}"
        words = f"The mails of your site arrive. Enter this code in the admin: {code}\n"
        try:
            EmailMessage("Test mail", words, clinic.sender, [mail_addresses.normal(to)]).send()
        except ValidationError:
            messages.error(request, "Correct the clinic's e-mail on its page: it is no address.")
            return
        except (OSError, SMTPException) as error:
            reason = f"The mail server did not take it: {error}. Check EMAIL_URL and try again."
            messages.error(request, reason)
            return
        request.session["opening_code"] = [to, code]
        messages.success(request, f"Sent to {to}. Enter the code that it brings.")

    def _take_code(self, request):
        to, code = request.session.get("opening_code") or ("", "")
        given = request.POST.get("code", "").strip()
        # A sitting has one try a mail: six digits do not last against more.
        request.session.pop("opening_code", None)
        if code and constant_time_compare(given, code):
            setup.mailbox_works(to, by=request.user)
            messages.success(request, "The mailbox works.")
        else:
            messages.error(request, "That is not the code of the newest test mail. Send another.")

    def _open(self, request):
        try:
            setup.open_site(by=request.user)
            messages.success(request, "The site is open.")
        except setup.NotReady as error:
            missing = "; ".join(step.words for step in error.steps)
            messages.error(request, f"Still missing: {missing}.")

    def has_add_permission(self, request):
        return False

    def has_delete_permission(self, request, obj=None):
        return False
