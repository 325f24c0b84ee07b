"""Practitioners, their hours and their time off. Nothing here ever touches a booking."""

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.html import format_html

from clinic.models import Closure, Location, OpeningHours, Practitioner, VisitType
from clinic.staff import access, roles
from clinic.staff.access import OwnRows

from .audit import RecordsChanges


def _tell_to_look(request):
    """Whoever takes open time away is told where the bookings are listed that are now outside it."""
    if request.user.has_perm("bookings.view_booking"):
        words = (
            "Bookings already made stay as they are. "
            '<a href="{}">See which are now outside opening hours</a>.'
        )
        messages.info(request, format_html(words, reverse("admin:bookings_booking_outside")))


def _tell_who_signs_in(request, practitioner, ended=None):
    """Say what archiving or bringing back did to the sign-in, and where to change that."""
    user = practitioner.user
    if user is None:
        return
    if ended:
        words = "The account {} can no longer sign in and was signed out everywhere. {}"
    elif practitioner.archived and user.is_active:
        words = "The account {} can still sign in, but reads no patients as a practitioner. {}"
    elif not user.is_active:
        words = "The account {} stays inactive: it cannot sign in. {}"
    else:
        return
    link = format_html(
        '<a href="{}">Open the account</a>', reverse("admin:clinic_user_change", args=[user.pk])
    )
    messages.warning(request, format_html(words, user, link))


class TimeForm(forms.ModelForm):
    """Hours and closures are those of the one place, which no page asks for."""

    def clean(self):
        if self.instance.location_id is None:
            self.instance.location = Location.objects.current()
        return super().clean()


class ClosureForm(TimeForm):
    def clean(self):
        cleaned = super().clean()
        # The database takes half a pair, because a comparison with NULL is not false.
        if (cleaned.get("from_time") is None) != (cleaned.get("until_time") is None):
            raise ValidationError("Give both times, or neither for whole days.")
        return cleaned


class OpeningHoursInline(admin.TabularInline):
    model = OpeningHours
    form = TimeForm
    fields = ["weekday", "opens", "closes", "valid_from", "valid_until"]
    extra = 0


class ClosureInline(admin.TabularInline):
    model = Closure
    form = ClosureForm
    fields = ["first_day", "last_day", "from_time", "until_time", "reason", "public_note"]
    extra = 0


class PractitionerForm(forms.ModelForm):
    visit_types = forms.MultipleChoiceField(
        label="ways to meet",
        choices=VisitType.choices,
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )


@admin.register(Practitioner)
class PractitionerAdmin(OwnRows, RecordsChanges, admin.ModelAdmin):
    form = PractitionerForm
    owner = "user"
    list_display = ["name", "role", "accepts_bookings", "archived", "user", "position"]
    list_filter = ["archived", "accepts_bookings"]
    list_select_related = ["user"]
    search_fields = ["name"]
    prepopulated_fields = {"slug": ["name"]}
    autocomplete_fields = ["user"]
    inlines = [OpeningHoursInline, ClosureInline]
    actions = ["archive", "bring_back"]
    readonly_fields = ["ways_to_meet"]
    READ = ["ways_to_meet", "accepts_bookings", "archived"]
    fieldsets = [
        (None, {"fields": ["name", "slug", "credentials", "role", "bio", "languages", "position"]}),
        (
            "Consultations",
            {"fields": ["visit_types", "accepts_bookings", "archived"]},
        ),
        ("Sign-in and license", {"fields": ["user", "license_number", "license_checked_on"]}),
    ]

    def _writes(self, request, obj):
        return self.has_change_permission(request, obj) if obj else True

    def get_prepopulated_fields(self, request, obj=None):
        # A page that may only be read has no field to fill.
        return self.prepopulated_fields if self._writes(request, obj) else {}

    def get_fieldsets(self, request, obj=None):
        if self._writes(request, obj):
            return self.fieldsets
        # Django shows a list that may only be read as JSON.
        first, (title, _options), last = self.fieldsets
        return [first, (title, {"fields": self.READ}), last]

    @admin.display(description="ways to meet")
    def ways_to_meet(self, practitioner):
        return ", ".join(str(way.short) for way in practitioner.ways)

    def has_delete_permission(self, request, obj=None):
        return False

    def save_model(self, request, obj, form, change):
        super().save_model(request, obj, form, change)
        if "archived" in form.changed_data:
            ended = access.archive(obj, by=request.user) if obj.archived else None
            _tell_who_signs_in(request, obj, ended)

    def save_related(self, request, form, formsets, change):
        super().save_related(request, form, formsets, change)
        times = [rows for rows in formsets if rows.model in (OpeningHours, Closure)]
        if "archived" in form.changed_data or any(rows.has_changed() for rows in times):
            _tell_to_look(request)

    @admin.action(
        description="Archive: off the site, sign-in ends, bookings stay", permissions=["change"]
    )
    def archive(self, request, queryset):
        self._each(request, queryset.filter(archived=False), access.archive)

    @admin.action(description="Bring back: the sign-in stays as it is", permissions=["change"])
    def bring_back(self, request, queryset):
        self._each(request, queryset.filter(archived=True), access.bring_back)

    def _each(self, request, queryset, verb):
        for practitioner in queryset:
            _tell_who_signs_in(request, practitioner, verb(practitioner, by=request.user))
            self.log_change(request, practitioner, [{"changed": {"fields": ["archived"]}}])
        messages.success(request, "Done.")
        _tell_to_look(request)


class TimeAdmin(OwnRows, RecordsChanges, admin.ModelAdmin):
    """Hours and closures: rows of one practitioner, or of the whole clinic."""

    list_select_related = ["practitioner"]
    list_per_page = 50

    def save_model(self, request, obj, form, change):
        super().save_model(request, obj, form, change)
        _tell_to_look(request)

    def formfield_for_foreignkey(self, db_field, request, **kwargs):
        if roles.sees_every_practitioner(request.user):
            return super().formfield_for_foreignkey(db_field, request, **kwargs)
        own = Practitioner.objects.filter(user=request.user)
        field = super().formfield_for_foreignkey(db_field, request, queryset=own, **kwargs)
        field.required = True  # empty would be the whole clinic
        field.empty_label = None
        return field

    @admin.display(description="Who", ordering="practitioner__name")
    def who(self, row):
        return row.practitioner or "Whole clinic"


@admin.register(OpeningHours)
class OpeningHoursAdmin(TimeAdmin):
    form = TimeForm
    list_display = ["who", "weekday", "opens", "closes", "valid_from", "valid_until"]
    list_filter = ["weekday", "practitioner"]

    def log_deletions(self, request, queryset):
        _tell_to_look(request)
        return super().log_deletions(request, queryset)


@admin.register(Closure)
class ClosureAdmin(TimeAdmin):
    form = ClosureForm
    list_display = [
        "who",
        "first_day",
        "last_day",
        "from_time",
        "until_time",
        "reason",
        "public_note",
    ]
    list_filter = ["practitioner"]
    ordering = ["-first_day", "from_time"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "practitioner",
                    ("first_day", "last_day"),
                    ("from_time", "until_time"),
                    "reason",
                    "public_note",
                ],
                "description": "Bookings already made in this time stay; move or cancel them.",
            },
        )
    ]
