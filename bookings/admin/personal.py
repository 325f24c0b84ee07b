"""Two pages for managers: what is stored about a person, to hand over; and erasing a booking.

Whoever took over an open session still lacks the password, so it is asked for again.
"""

from allauth.account.decorators import reauthentication_required
from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst

from bookings import times
from bookings.desk import personal_export
from bookings.lifecycle import erasure, errors
from bookings.models import Booking

from .actions import booking_page

NAMES = {field.name: field.verbose_name for field in Booking._meta.concrete_fields}
EXPORT, ERASE = "bookings.export_booking", "bookings.erase_booking"


def box(request, booking):
    """Say what a booking's page tells about its personal details, or None for who may not ask."""
    may = {name: request.user.has_perm(name) for name in (EXPORT, ERASE)}
    if booking.offered_for_id or not any(may.values()):
        return None
    found = {"erased_at": booking.erased_at}
    if not booking.erased_at:
        found["erase_on"] = erasure.planned(booking)
        for name, page in ((EXPORT, "person"), (ERASE, "erase")):
            if may[name]:
                found[page] = reverse(f"admin:bookings_booking_{page}", args=[booking.pk])
    return found


def _allowed_booking(model_admin, request, pk, permission):
    """Return the booking, if this person may (403 else) and sees it (404 else)."""
    if not (request.user.has_perm(permission) and model_admin.has_view_permission(request)):
        raise PermissionDenied
    rows = model_admin.get_queryset(request).select_related("practitioner", "condition")
    booking = rows.filter(pk=pk, offered_for=None).first()
    if booking is None:
        raise Http404
    return booking


def _why(choices):
    return forms.ChoiceField(
        label="Why",
        choices=[("", "Choose one"), *((reason.value, reason.label) for reason in choices)],
        help_text="It stays in the record of changes, with your name.",
        error_messages={"required": "Choose why."},
    )


# --- erasing --------------------------------------------------------------------------------------


class EraseForm(forms.Form):
    reason = _why(erasure.ON_REQUEST)


def erase(model_admin, request, pk):
    """Why, and one press. 403 without the permission."""
    booking = _allowed_booking(model_admin, request, pk, ERASE)
    return _erase_page(request, model_admin, booking)


@reauthentication_required
def _erase_page(request, model_admin, booking):
    form = EraseForm(request.POST if request.method == "POST" else None)
    if form.is_valid() and not booking.erased_at:
        try:
            erasure.erase(booking, by=request.user, reason=form.cleaned_data["reason"])
        except errors.NotAllowed as error:
            form.add_error(None, error.message)
        except OSError:
            form.add_error(
                None, "The disk takes no writes, so nothing was erased. Try again later."
            )
        else:
            messages.success(request, f"{booking}: the personal details are erased")
    if booking.erased_at or (form.is_bound and not form.errors):
        return redirect("admin:bookings_booking_change", booking.pk)
    return booking_page(
        model_admin,
        request,
        "erase",
        booking,
        status=422 if form.errors else 200,
        title=f"Erase the personal details of {booking}",
        form=form,
        ahead=erasure.is_ahead(booking, timezone.now()),
        unsent=booking.messages.waiting().count(),
    )


# --- handing over ---------------------------------------------------------------------------------


class PersonForm(forms.Form):
    """Which of the bookings with the same address or number are this person's."""

    bookings = forms.MultipleChoiceField(
        label="Bookings",
        widget=forms.CheckboxSelectMultiple,
        error_messages={
            "required": "Choose at least one booking.",
            "invalid_choice": "The bookings have changed meanwhile. Choose again.",
        },
    )
    form_of_file = forms.ChoiceField(
        label="As",
        choices=[("page", "A page to read or print"), ("json", "A file for a machine (JSON)")],
        initial="page",
    )
    reason = _why(personal_export.PersonReason)

    def __init__(self, *args, found, **kwargs):
        super().__init__(*args, **kwargs)
        zone = timezone.get_current_timezone()
        self.fields["bookings"].choices = [
            (str(booking.uid), f"{booking}, {booking.name}, {_day_of(booking, zone)}")
            for booking in found
        ]


def _day_of(booking, zone):
    return times.when(booking.starts_at or booking.created_at, zone, "j M Y")


def person(model_admin, request, pk):
    """Choose what is this person's, then the page or the file. 403 without the permission."""
    booking = _allowed_booking(model_admin, request, pk, EXPORT)
    if booking.erased_at:
        raise Http404
    return _form_or_data(request, model_admin, booking)


@reauthentication_required
def _form_or_data(request, model_admin, booking):
    found = personal_export.of_the_same_person(model_admin.get_queryset(request), booking)
    found = {str(row.uid): row for row in found}
    same = [uid for uid, row in found.items() if row.name.casefold() == booking.name.casefold()]
    initial = {"bookings": same}
    form = PersonForm(
        request.POST if request.method == "POST" else None, found=found.values(), initial=initial
    )
    if not form.is_valid():
        title, status = f"Personal data: {booking}", 422 if form.errors else 200
        page = {"title": title, "form": form, "most": personal_export.MOST_OF_A_PERSON}
        return booking_page(model_admin, request, "person", booking, status=status, **page)
    data = personal_export.export_person(
        [found[uid] for uid in form.cleaned_data["bookings"]],
        reason=form.cleaned_data["reason"],
        by=request.user,
    )
    if form.cleaned_data["form_of_file"] == "json":
        return JsonResponse(
            data,
            json_dumps_params={"indent": 2, "ensure_ascii": False},
            headers={"Content-Disposition": 'attachment; filename="personal-data.json"'},
        )
    lists = [_readable(entry) for entry in data["bookings"]]
    page = {"title": "Personal data", "data": data, "lists": lists}
    return booking_page(model_admin, request, "person_data", booking, **page)


def _readable(entry):
    """Return what is stored as (label, text) pairs, then its lists as (title, lines)."""
    facts = [(_label(name), _text(value)) for name, value in entry.items() if _is_fact(value)]
    lists = [
        (_label(name), [_line(row) for row in rows])
        for name, rows in entry.items()
        if isinstance(rows, list) and rows
    ]
    return {"facts": facts, "lists": lists}


def _is_fact(value):
    return not isinstance(value, list) and value not in (None, "")


def _label(name):
    return capfirst(NAMES.get(name) or name.replace("_", " "))


def _line(row):
    return ", ".join(f"{_label(name)}: {_text(value)}" for name, value in row.items() if value)


def _text(value):
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_text(part)}" for name, part in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if hasattr(value, "astimezone"):
        return times.when(value, timezone.get_current_timezone(), "j M Y")
    return str(value)
