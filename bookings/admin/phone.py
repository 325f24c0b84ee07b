"""A booking by phone, in two pages: what and when, then who.

All answers travel in the form itself, so that no address holds a name or a concern.
"""

import re
import uuid

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone

from bookings import times
from bookings.availability import week
from bookings.availability.search import SlotSearch
from bookings.forms import CONSENT_VERSION, CallbackForm, DetailsForm
from bookings.lifecycle import errors, requests
from bookings.models import Booking
from clinic.models import Practitioner, VisitType
from conditions import editions
from conditions.models import Condition

CHOICES = ("condition", "visit_type", "practitioner", "start", "day", "key")
DETAILS = ("name", "email", "phone", "language", "message", "call_when", "consent")
RED_FLAGS = ("signs", "edition")  # answered anew each time
READ_OUT = ("none", "I read them out. The caller has none of them.")
ELSEWHERE = ("elsewhere", "The appointment was agreed elsewhere. Danger signs are not asked here.")
LONGEST = 1000  # characters of an answer that is carried from page to page


class ChoiceForm(forms.Form):
    """What it is about, how to talk, and with whom."""

    condition = forms.ModelChoiceField(
        Condition.objects.filter(accepts_bookings=True),
        label="Concern",
        to_field_name="slug",
        required=False,
        empty_label="Not sure, or something else",
    )
    visit_type = forms.ChoiceField(
        label="How", choices=VisitType.choices, initial=VisitType.IN_PERSON
    )
    practitioner = forms.ModelChoiceField(
        Practitioner.objects.bookable(),
        label="With",
        to_field_name="slug",
        required=False,
        empty_label="Anybody who is free",
    )


def _for_the_phone(form, asked):
    """Adapt the public form to a call: the caller has no e-mail, or says yes aloud."""
    form.fields["signs"] = forms.ChoiceField(
        label="Danger signs",
        choices=[READ_OUT, ELSEWHERE] if asked else [ELSEWHERE],
        widget=forms.RadioSelect,
        error_messages={"required": "Say whether you read the danger signs out."},
    )
    form.fields["email"].required = False
    form.fields["email"].help_text = "Without it, no confirmation and no link is sent."
    form.fields["phone"].help_text = "With the country code, if it is not a number of this country."
    form.fields["language"].widget = forms.Select(choices=form.fields["language"].choices)
    form.fields["message"].label = "What the patient told you"
    form.fields["message"].help_text = ""
    form.fields[
        "consent"
    ].label = "The patient agrees that we use these details for the consultation"
    if "call_when" in form.fields:
        form.fields["call_when"].label = "Good times to call"
    return form


def book(model_admin, request):
    """Show the page that the answers so far call for; the last press makes the booking."""
    if not model_admin.has_add_permission(request):
        raise PermissionDenied
    if request.method != "POST":
        answers = _start_again(model_admin, request)
        return _choose(model_admin, request, ChoiceForm(initial=answers), answers)
    answers = {
        name: request.POST.get(name, "")[:LONGEST] for name in (*CHOICES, *DETAILS, *RED_FLAGS)
    }
    choice = ChoiceForm(answers)
    step = request.POST.get("step")
    if not choice.is_valid() or step not in ("details", "call", "book", "book_call"):
        return _choose(model_admin, request, choice, answers)
    if step in ("call", "book_call"):
        return _call_back(model_admin, request, choice, answers, step == "book_call")
    if times.parse_start(answers["start"]) is None:
        messages.error(request, "Choose a time first.")
        return _choose(model_admin, request, choice, answers)
    return _book(model_admin, request, choice, answers, step == "book")


def _start_again(model_admin, request):
    """Empty answers; ``?again=<pk>`` takes them from an earlier booking that this person sees."""
    answers = dict.fromkeys((*CHOICES, *DETAILS), "")
    again = request.GET.get("again", "")
    rows = model_admin.get_queryset(request).select_related("condition", "practitioner")
    earlier = rows.filter(pk=int(again)).first() if again.isdecimal() and len(again) < 19 else None
    answers |= {"visit_type": VisitType.IN_PERSON, "key": str(uuid.uuid4())}
    if earlier:
        answers |= {
            "condition": earlier.condition.slug if earlier.condition else "",
            "visit_type": earlier.visit_type,
            "practitioner": earlier.practitioner.slug if earlier.practitioner else "",
            "name": earlier.name,
            "email": earlier.email,
            "phone": earlier.phone.as_e164 if earlier.phone else "",
            "language": earlier.spoken_language,
        }
    return answers


def _page(model_admin, request, template, status=200, **context):
    context |= {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": "Book by phone",
        "zone": timezone.get_current_timezone(),
    }
    return TemplateResponse(
        request, f"admin/bookings/booking/{template}.html", context, status=status
    )


def _carried(answers, names):
    return [(name, answers[name]) for name in names if answers[name]]


def _choose(model_admin, request, form, answers):
    """Page one. Free times are listed once the first choice is made."""
    shown = {}
    if form.is_bound and form.is_valid():
        search = SlotSearch(
            location=request.location,
            condition=form.cleaned_data["condition"],
            visit_type=form.cleaned_data["visit_type"],
            practitioner=form.cleaned_data["practitioner"],
        )
        shown = week.week_page(
            search,
            zone=search.zone,
            asked_day=answers["day"],
            default_at=times.parse_start(answers["start"]),
        )
    return _page(
        model_admin,
        request,
        "phone_choose",
        form=form,
        chosen=answers["start"],
        carried=_carried(answers, ("key", *DETAILS)),
        **shown,
    )


def _details_page(model_admin, request, form, choice, answers, **context):
    condition = choice.cleaned_data["condition"]
    asked = _red_flags(condition)
    return _page(
        model_admin,
        request,
        "phone_details",
        status=422 if form.errors else 200,
        form=form,
        concern=condition.name if condition else choice.fields["condition"].empty_label,
        how=VisitType(choice.cleaned_data["visit_type"]).label,
        practitioner=choice.cleaned_data["practitioner"],
        asked=asked,
        general=condition and asked.are_general,
        carried=_carried(answers, CHOICES),
        **context,
    )


def _red_flags(condition):
    """Return what to read out first; the general signs for a concern without its own."""
    return editions.emergency_signs(condition, or_general=True)


def _form(request, form_class, choice, answers, posted, **options):
    options["languages"] = request.location.clinic.spoken_languages
    asked = _red_flags(choice.cleaned_data["condition"])
    if posted:
        return _for_the_phone(form_class(answers, **options), asked)
    initial = {name: answers[name] for name in DETAILS if answers[name]}
    return _for_the_phone(form_class(initial=initial, **options), asked)


def _wanted(request, choice, form, answers, **time):
    try:
        key = uuid.UUID(answers["key"])
    except ValueError:
        key = None
    elsewhere = form.cleaned_data["signs"] == ELSEWHERE[0]
    edition = answers["edition"] if re.fullmatch(r"[0-9]{1,18}", answers["edition"]) else 0
    return requests.Request(
        location=request.location,
        condition=choice.cleaned_data["condition"],
        visit_type=choice.cleaned_data["visit_type"],
        asked=editions.EmergencySigns() if elsewhere else editions.asked_in(edition),
        consent_version=CONSENT_VERSION,
        source=Booking.Source.DESK,
        key=key,
        **time,
    )


def _book(model_admin, request, choice, answers, posted):
    zone, start = request.location.zone, times.parse_start(answers["start"])
    form = _form(request, DetailsForm, choice, answers, posted, visit_type=answers["visit_type"])
    if posted and form.is_valid():
        try:
            who = choice.cleaned_data["practitioner"]
            booking = requests.request(
                requests.Person.of(form.cleaned_data),
                _wanted(request, choice, form, answers, start=start, practitioner=who),
                by=request.user,
            )
        except errors.RedFlagsChanged as error:
            form.add_error("signs", error.message)
        except errors.SchedulingError as error:
            messages.error(request, error.message)
            return _choose(model_admin, request, choice, answers)
        else:
            when = times.when(booking.starts_at, zone, "l j F Y")
            city = times.zone_name(zone)
            return _made(request, booking, f"Booked, {when} ({city} time)")
    when = f"{times.when(start, zone, 'l j F Y')}, {times.zone_name(zone)} time"
    return _details_page(model_admin, request, form, choice, answers, when=when, save="book")


def _call_back(model_admin, request, choice, answers, posted):
    form = _form(request, CallbackForm, choice, answers, posted)
    if posted and form.is_valid():
        try:
            booking = requests.request_callback(
                requests.Person.of(form.cleaned_data),
                _wanted(request, choice, form, answers),
                by=request.user,
            )
        except errors.RedFlagsChanged as error:
            form.add_error("signs", error.message)
        except errors.SchedulingError as error:
            messages.error(request, error.message)
            return _choose(model_admin, request, choice, answers)
        else:
            return _made(request, booking, "Noted: to be called")
    return _details_page(model_admin, request, form, choice, answers, when="", save="book_call")


def _made(request, booking, words):
    if not booking.email:
        words += ". No e-mail is sent: tell the patient the reference"
    messages.success(request, f"{booking}: {words}.")
    return redirect("admin:bookings_booking_change", booking.pk)
