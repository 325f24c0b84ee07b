"""The buttons on a booking: each calls one verb and says what came of it.

A verb that refuses is not an error of the page: its words are shown, and nothing has changed.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

from bookings import times
from bookings.availability import week
from bookings.availability.search import SlotSearch
from bookings.lifecycle import answers, contact, errors, transitions, visits
from bookings.messaging import queue
from bookings.models import Booking
from clinic.models import Practitioner
from clinic.plain_text import PlainTextField

Status = Booking.Status


@dataclass(frozen=True)
class Verb:
    """A change that needs nothing but one press."""

    label: str
    done: str
    call: Callable
    look: str = "quiet"


VERBS = {
    "confirm": Verb("Confirm", "Confirmed", answers.confirm, "primary"),
    "arrived": Verb("Arrived", "Arrived", visits.mark_arrived),
    "seen": Verb(
        "Seen",
        "Seen",
        lambda booking, *, by: visits.record_outcome(booking, outcome=Status.FULFILLED, by=by),
    ),
    "noshow": Verb(
        "Did not come",
        "Did not come",
        lambda booking, *, by: visits.record_outcome(booking, outcome=Status.NOSHOW, by=by),
    ),
    "undo": Verb("Undo", "Taken back", visits.undo),
    "tell": Verb("Tell the new time", "The time of now is what counts", contact.announce_new_time),
    "link": Verb("Send the link again", "A new link is on its way", contact.send_link),
}


def buttons(model_admin, request, booking, now):
    """List what this person may do with the booking now, as (label, address, look, is a form)."""
    if not model_admin.has_answer_permission(request):
        return []
    found = []
    for name in transitions.allowed(booking, now):
        if name == transitions.CORRECT.name:
            continue  # that is the page itself
        verb = VERBS.get(name)
        label = verb.label if verb else _page_label(name, booking)
        found.append(
            {
                "name": name,
                "label": label,
                "url": reverse(f"admin:bookings_booking_{name}", args=[booking.pk]),
                "look": verb.look if verb else {"cancel": "danger"}.get(name, "quiet"),
                "posts": verb is not None,
            }
        )
    return found


def _page_label(name, booking):
    waits = booking.status in Booking.WAITING
    if name == "offer":
        return "Offer times"
    if booking.status == Status.PROPOSED:
        return "Give back"
    if name == "move":
        return "Give a time" if booking.starts_at is None else "Move"
    return "Refuse" if waits else "Cancel"


def allowed_booking(model_admin, request, pk):
    """Return the booking, if this person sees it (404 else) and may answer (403 else)."""
    if not model_admin.has_answer_permission(request):
        raise PermissionDenied
    rows = model_admin.get_queryset(request).select_related(
        "practitioner", "condition", "location__clinic"
    )
    booking = rows.filter(pk=pk).first()
    if booking is None:
        raise Http404
    return booking


def _back(request, booking):
    """To where the button was: the board, or the booking's page."""
    target = request.POST.get("next", "")
    if target.startswith("/") and url_has_allowed_host_and_scheme(target, allowed_hosts=None):
        return redirect(target)
    return redirect("admin:bookings_booking_change", booking.pk)


def act(model_admin, request, pk, verb):
    """One press: confirm, arrived, seen, did not come, undo, send the link again."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    booking = allowed_booking(model_admin, request, pk)
    try:
        VERBS[verb].call(booking, by=request.user)
    except errors.SchedulingError as error:
        messages.error(request, f"{booking}: {error.message}")
    else:
        messages.success(request, f"{booking}: {VERBS[verb].done}")
    return _back(request, booking)


def mark_phoned(model_admin, request, pk):
    """Note that the patient was phoned about these failed messages, and none that failed since."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    booking = allowed_booking(model_admin, request, pk)
    keys = [key for key in request.POST.getlist("message")[:100] if key.isdecimal()]
    failed = booking.messages.to_patients().in_bulk([int(key) for key in keys if len(key) < 19])
    done = [queue.acknowledge(message, by=request.user) for message in failed.values()]
    if any(done):
        messages.success(request, f"{booking}: noted, told by phone")
    else:
        messages.info(request, f"{booking}: nothing was left to do")
    return _back(request, booking)


def booking_page(model_admin, request, template, booking, status=200, **context):
    context |= {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "booking": booking,
        "zone": timezone.get_current_timezone(),
    }
    return TemplateResponse(
        request, f"admin/bookings/booking/{template}.html", context, status=status
    )


class ReasonForm(forms.Form):
    reason = PlainTextField(
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="For the record. The patient is told that it is cancelled, not why.",
    )


def cancel(model_admin, request, pk):
    """Refuse or cancel: a page of its own, with room for a reason."""
    booking = allowed_booking(model_admin, request, pk)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            answers.cancel(
                booking,
                by=request.user,
                cancelled_by=Booking.CancelledBy.CLINIC,
                reason=form.cleaned_data["reason"],
            )
        except errors.SchedulingError as error:
            messages.error(request, f"{booking}: {error.message}")
        else:
            messages.success(request, f"{booking}: Cancelled")
        return redirect("admin:bookings_booking_change", booking.pk)
    title = f"{_page_label('cancel', booking)} {booking}"
    return booking_page(model_admin, request, "cancel", booking, title=title, form=form)


def move(model_admin, request, pk):
    """Choose another free time, or the first one of a call-back, with anybody or one person."""
    booking = allowed_booking(model_admin, request, pk)
    asked = request.POST if request.method == "POST" else request.GET
    people = list(Practitioner.objects.bookable(booking.visit_type))
    who = next((person for person in people if person.slug == asked.get("who")), None)
    if request.method == "POST":
        start = times.parse_start(request.POST.get("start"))
        try:
            if start is None:
                raise errors.NotAllowed("Choose a time first.")
            moved = answers.reschedule(booking, start=start, practitioner=who, by=request.user)
        except errors.SchedulingError as error:
            messages.error(request, f"{booking}: {error.message}")
        else:
            when = times.when(moved.starts_at, timezone.get_current_timezone(), "l j F Y")
            messages.success(request, f"{booking}: now {when} with {moved.practitioner}")
            return redirect("admin:bookings_booking_change", booking.pk)
    return _move_page(model_admin, request, booking, asked, people, who)


def _move_page(model_admin, request, booking, asked, people, who):
    search = SlotSearch.for_booking(booking, moving=booking, practitioner=who)
    shown = week.week_page(
        search, zone=search.zone, asked_day=asked.get("day"), default_at=booking.starts_at
    )
    return booking_page(
        model_admin,
        request,
        "move",
        booking,
        title=f"{_page_label('move', booking)}: {booking}",
        people=people,
        who=who,
        can_move="move" in transitions.allowed(booking, search.now),
        **shown,
    )
