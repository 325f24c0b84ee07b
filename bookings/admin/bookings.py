"""Bookings: the list, the page of one booking, and the addresses of everything staff do with them.

Staff type into contact fields only. Status, time and practitioner change through the verbs of
bookings.lifecycle, which the buttons and list actions call.

One file: the list, the page and their addresses are one class of the admin.
"""

from functools import partial

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget
from django.core.exceptions import ValidationError
from django.urls import path
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from bookings import times
from bookings import times as bookings_times
from bookings.desk import booking as desk_booking
from bookings.desk import callers, inbox
from bookings.lifecycle import contact, errors, transitions
from bookings.models import Booking
from clinic.admin.lookups import OfferedLookups
from clinic.admin.paginator import BoundedPaginator
from clinic.plain_text import PlainTextField
from clinic.staff import roles
from clinic.staff.access import OwnRows
from conditions.models import Page

from . import actions, board, export, offers, personal, phone, search
from .filters import DayFilter

MOST_AT_ONCE = 100


def _day_and_time(at):
    """In the clinic's time, or a dash where there is none."""
    return times.when(at, timezone.get_current_timezone(), "D j M Y") if at else "-"


class ContactForm(forms.ModelForm):
    """What staff may correct by hand."""

    name = PlainTextField(label="Name", max_length=80, widget=AdminTextInputWidget)
    spoken_language = PlainTextField(
        label="Language for the consultation",
        max_length=30,
        required=False,
        widget=AdminTextInputWidget,
    )
    call_when = PlainTextField(
        label="Good times to call", max_length=200, required=False, widget=AdminTextInputWidget
    )
    staff_note = PlainTextField(
        label="Staff note",
        max_length=1000,
        required=False,
        lines=True,
        widget=AdminTextareaWidget,
        help_text="For staff only. The patient never sees it.",
    )

    def clean(self):
        cleaned = super().clean()
        if not (cleaned.get("email") or cleaned.get("phone") or self.errors):
            raise ValidationError("Keep an e-mail address or a phone number.")
        return cleaned


@admin.register(Booking)
class BookingAdmin(OfferedLookups, OwnRows, admin.ModelAdmin):
    form = ContactForm
    list_display = [
        "spoken", "when", "patient", "practitioner", "concern", "visit_type", "state", "asked",
    ]  # fmt: skip
    list_display_links = ["spoken"]
    list_select_related = ["practitioner", "condition", "location__clinic"]
    sortable_by = ["when", "asked"]
    list_per_page = 50
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    search_fields = ["reference"]  # shows the box; search.search() does it
    search_help_text = search.HELP
    actions = ["confirm_several", "arrived_several", "seen_several", "noshow_several"]
    fieldsets = [
        (
            "Consultation",
            {
                "fields": [
                    "state",
                    "when",
                    "patients_time",
                    "practitioner",
                    "concern",
                    "visit_type",
                    "held_until",
                ]
            },
        ),
        (
            "Patient",
            {
                "fields": [
                    "name",
                    "email",
                    "phone",
                    "spoken_language",
                    "call_when",
                    "message",
                    "staff_note",
                ]
            },
        ),
        (
            "Record",
            {
                "fields": [
                    "spoken",
                    "source",
                    "created",
                    "confirmed",
                    "cancellation",
                    "consent",
                    "danger_signs",
                ]
            },
        ),
    ]
    EDITABLE = frozenset(ContactForm.declared_fields) | {"email", "phone"}

    # --- who sees and does what -------------------------------------------------------------------

    def get_readonly_fields(self, request, obj=None):
        fields = [name for _title, options in self.fieldsets for name in options["fields"]]
        return [name for name in fields if name not in self.EDITABLE]

    def has_change_permission(self, request, obj=None):
        now, by = timezone.now(), request.user
        if obj is not None and not transitions.CORRECT.allows(obj, now=now, by=by):
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request, obj=None):
        return False

    def has_answer_permission(self, request):
        return request.user.has_perm("bookings.answer_booking")

    # --- addresses --------------------------------------------------------------------------------

    def get_urls(self):
        def page(route, view, name, **options):
            view = self.admin_site.admin_view(partial(view, self))
            return path(route, view, options, name=name)

        verbs = [
            page(f"<int:pk>/{verb}/", actions.act, f"bookings_booking_{verb}", verb=verb)
            for verb in actions.VERBS
        ]
        return [
            page("desk/", board.board, "desk"),
            page("outside/", board.conflicts, "bookings_booking_outside", kind="outside"),
            page("shifted/", board.conflicts, "bookings_booking_shifted", kind="shifted"),
            page("export/", export.export, "bookings_booking_export"),
            page("<int:pk>/cancel/", actions.cancel, "bookings_booking_cancel"),
            page("<int:pk>/move/", actions.move, "bookings_booking_move"),
            page("<int:pk>/offer/", offers.offer, "bookings_booking_offer"),
            page("<int:pk>/erase/", personal.erase, "bookings_booking_erase"),
            page("<int:pk>/person/", personal.person, "bookings_booking_person"),
            page("<int:pk>/told/", actions.mark_phoned, "bookings_booking_told"),
            *verbs,
            *super().get_urls(),
        ]

    def add_view(self, request, form_url="", extra_context=None):
        """Add a booking by phone: the default form could not find it a free time."""
        return phone.book(self, request)

    def changelist_view(self, request, extra_context=None):
        city = times.zone_name(timezone.get_current_timezone())
        context = {
            "title": "Bookings",
            "subtitle": f"All times are {city} time",
            "is_nav_sidebar_enabled": False,  # the list is wide
        }
        return super().changelist_view(request, context | (extra_context or {}))

    # --- the list ---------------------------------------------------------------------------------

    def get_list_filter(self, request):
        who = ["practitioner"] if roles.sees_every_practitioner(request.user) else []
        return [DayFilter, "status", *who, "visit_type"]

    def get_ordering(self, request):
        return DayFilter.ORDER.get(
            request.GET.get(DayFilter.parameter_name), ["-created_at", "-pk"]
        )

    def get_search_results(self, request, queryset, search_term):
        if request.GET.get("status__exact") != Booking.Status.PROPOSED:
            queryset = queryset.asked_for()
        return search.search(queryset, search_term), False

    @admin.display(description="reference")
    def spoken(self, booking):
        return booking.spoken_reference

    @admin.display(description="when", ordering="starts_at", empty_value="To be called")
    def when(self, booking):
        return booking.starts_at and _day_and_time(booking.starts_at)

    @admin.display(description="patient")
    def patient(self, booking):
        if booking.offered_for_id:
            return "Held as an offer"
        return format_html("<bdi>{}</bdi>", booking.name) if booking.name else "Erased"

    @admin.display(description="concern")
    def concern(self, booking):
        return booking.concern

    @admin.display(description="status")
    def state(self, booking):
        if booking.lacks_outcome():
            return f"{booking.get_status_display()}, needs an outcome"
        return "Time limit passed" if booking.hold_is_over() else booking.get_status_display()

    @admin.display(description="asked", ordering="created_at")
    def asked(self, booking):
        if booking.is_waiting():
            age = timezone.now() - booking.created_at
            state = inbox.urgency(age, booking.location.clinic.answer_within_hours)
            late = ", late" if state == "late" else ""
            words = f"{bookings_times.age_words(age)}{late}"
            return format_html('<b class="waits waits-{}">waits {}</b>', state or "new", words)
        return times.when(booking.created_at, timezone.get_current_timezone())

    # --- the page of one booking ------------------------------------------------------------------

    def render_change_form(self, request, context, add=False, change=False, form_url="", obj=None):
        zone, now = timezone.get_current_timezone(), timezone.now()
        context |= {
            "title": f"Booking {obj}",
            "subtitle": f"All times are {times.zone_name(zone)} time",
            "show_save_and_add_another": False,
            "buttons": actions.buttons(self, request, obj, now),
            "offers": desk_booking.offers_of(obj, zone, now),
            "timeline": desk_booking.timeline(obj, zone),
            "others": callers.others_ahead(self.get_queryset(request), obj, now),
            "sent": obj.messages.order_by("due_at", "pk"),
            "zone": zone,
            "personal": personal.box(request, obj),
            "sees_all": roles.sees_every_practitioner(request.user),
        }
        return super().render_change_form(request, context, add, change, form_url, obj)

    def save_model(self, request, obj, form, change):
        # Only what was typed: a verb may have changed the rest since this form was opened.
        changes = {field: form.cleaned_data[field] for field in form.changed_data}
        if not changes:
            return
        try:
            corrected = contact.correct(obj, changes=changes, by=request.user)
        except errors.SchedulingError as error:  # it was erased since this form was opened
            messages.error(request, f"{obj}: nothing was changed. {error.message}")
            return
        if {"email", "phone"}.intersection(changes):
            new = (
                " A new link is on its way."
                if "link" in transitions.allowed(corrected, timezone.now())
                else ""
            )
            messages.info(request, f"Earlier links of this booking have stopped working.{new}")

    @admin.display(description="patient's own time")
    def patients_time(self, booking):
        if not booking.starts_at:
            return "No time yet"
        clinic_zone = timezone.get_current_timezone()
        zone = times.known_zone(booking.time_zone, clinic_zone)
        at = booking.starts_at
        if at.astimezone(zone).utcoffset() == at.astimezone(clinic_zone).utcoffset():
            return "The same as the clinic's"
        there = bookings_times.there_now(booking, clinic_zone, timezone.now())
        name = f"{times.zone_name(zone)} time ({times.zone_offset(zone, at)})"
        return f"{times.when(at, zone, 'D j M Y')}, {name}. {there.capitalize()}."

    @admin.display(description="held until")
    def held_until(self, booking):
        return _day_and_time(booking.hold_until)

    @admin.display(description="danger signs")
    def danger_signs(self, booking):
        """Which signs were asked before it was made, and in whose signed words."""
        if booking.asked_red_flags is None:
            return "Not recorded"
        if not booking.asked_red_flags:
            return "Danger signs not asked here: it was agreed elsewhere"
        asked = booking.asked_edition
        words = f"Asked, from {asked}"
        if booking.condition_id and asked.kind == Page.Kind.GUIDE:
            words += ". The concern had no signed signs on the site, so these are the general ones"
        signs = format_html_join("", "<br>• {}", ((sign,) for sign in booking.asked_red_flags))
        return format_html("{}:{}", words, signs)

    @admin.display(description="asked")
    def created(self, booking):
        return _day_and_time(booking.created_at)

    @admin.display(description="confirmed")
    def confirmed(self, booking):
        return _day_and_time(booking.confirmed_at)

    @admin.display(description="cancelled")
    def cancellation(self, booking):
        words = _day_and_time(booking.cancelled_at)
        if booking.status == Booking.Status.CANCELLED:
            words += f", by: {booking.get_cancelled_by_display()}"
        return words + (f". Reason: {booking.cancel_reason}" if booking.cancel_reason else "")

    @admin.display(description="consent")
    def consent(self, booking):
        words = _day_and_time(booking.consent_at)
        return words + (f", text of {booking.consent_version}" if booking.consent_version else "")

    # --- several at once --------------------------------------------------------------------------

    @admin.action(description="Confirm", permissions=["answer"])
    def confirm_several(self, request, queryset):
        self._several(request, queryset, "confirm")

    @admin.action(description="Arrived", permissions=["answer"])
    def arrived_several(self, request, queryset):
        self._several(request, queryset, "arrived")

    @admin.action(description="Seen", permissions=["answer"])
    def seen_several(self, request, queryset):
        self._several(request, queryset, "seen")

    @admin.action(description="Did not come", permissions=["answer"])
    def noshow_several(self, request, queryset):
        self._several(request, queryset, "noshow")

    def _several(self, request, queryset, name):
        """Each row by itself: one that is refused does not stop the others."""
        rows = list(queryset[: MOST_AT_ONCE + 1])
        if len(rows) > MOST_AT_ONCE:
            messages.error(request, f"Choose {MOST_AT_ONCE} bookings at most. Nothing was changed.")
            return
        verb, done = actions.VERBS[name], []
        for booking in rows:
            try:
                verb.call(booking, by=request.user)
            except errors.SchedulingError as error:
                messages.error(request, f"{booking}: {error.message}")
            else:
                done.append(str(booking))
        if done:
            messages.success(request, f"{verb.done}: {', '.join(done)}")
