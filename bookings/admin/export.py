"""The page that exports bookings: a form first, then the file; nothing about people in an address.

Whoever took over an open session still lacks the password, so it is asked for again.
"""

from datetime import timedelta

from allauth.account.decorators import reauthentication_required
from django import forms
from django.core.exceptions import PermissionDenied
from django.http import StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from bookings.desk import exports
from bookings.models import Booking
from clinic.models import Practitioner
from clinic.staff import roles


def _day(label, words):
    return forms.DateField(
        label=label,
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        error_messages={
            "required": words,
            "invalid": "Write the day like 2026-11-30: year, month, day.",
        },
    )


class ExportForm(forms.Form):
    """Which bookings, and why."""

    first_day = _day("First day", "Give the first day.")
    last_day = _day("Last day", "Give the last day.")
    status = forms.ChoiceField(
        label="Status", choices=[("", "All"), *Booking.Status.choices], required=False
    )
    practitioner = forms.ModelChoiceField(
        Practitioner.objects.none(),
        label="Practitioner",
        to_field_name="slug",
        required=False,
        empty_label="All",
    )
    reason = forms.ChoiceField(
        label="Why",
        choices=[("", "Choose one"), *exports.Reason.choices],
        help_text="It stays in the record of changes, with your name and your choices above.",
        error_messages={"required": "Choose why you need the file."},
    )

    def __init__(self, *args, user, **kwargs):
        super().__init__(*args, **kwargs)
        people = Practitioner.objects.all()
        if not roles.sees_every_practitioner(user):
            people = people.filter(user=user)
        self.fields["practitioner"].queryset = people

    def clean(self):
        """Check the days as the verb does, so that all mistakes are told at once."""
        cleaned = super().clean()
        if cleaned.get("first_day") and cleaned.get("last_day"):
            try:
                exports.check_days(cleaned["first_day"], cleaned["last_day"])
            except exports.ExportRefused as refused:
                self.add_error(refused.field, refused.message)
        return cleaned


def export(model_admin, request):
    """Show the form, or return the file that it asks for. 403 without the permission."""
    may_export = request.user.has_perm("bookings.export_booking")
    if not (may_export and model_admin.has_view_permission(request)):
        raise PermissionDenied
    return _form_or_file(request, model_admin)


@reauthentication_required
def _form_or_file(request, model_admin):
    if request.method != "POST":
        initial = _this_month(request.location.zone)
        return _page(model_admin, request, ExportForm(initial=initial, user=request.user))
    form = ExportForm(request.POST, user=request.user)
    if not form.is_valid():
        return _page(model_admin, request, form)
    answers = form.cleaned_data
    try:
        table = exports.export(
            model_admin.get_queryset(request), request.location, **answers, by=request.user
        )
    except exports.ExportRefused as refused:
        form.add_error(refused.field, refused.message)
        return _page(model_admin, request, form)
    name = f"bookings-{answers['first_day']}-to-{answers['last_day']}.csv"
    return StreamingHttpResponse(
        exports.as_csv(table),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _this_month(zone):
    first = timezone.localdate(timezone=zone).replace(day=1)
    next_month = (first + timedelta(days=31)).replace(day=1)
    return {"first_day": first, "last_day": next_month - timedelta(days=1)}


def _page(model_admin, request, form):
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Export bookings",
        "opts": model_admin.opts,
        "zone": request.location.zone,
        "form": form,
        "most_days": exports.MOST_DAYS,
        "most_rows": f"{exports.MOST_ROWS:,}",
    }
    return TemplateResponse(
        request,
        "admin/bookings/booking/export.html",
        context,
        status=422 if form.errors else 200,
    )
