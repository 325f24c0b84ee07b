"""The day of a booking, as a filter of the list: each choice is a range of an index."""

from datetime import timedelta

from django.contrib import admin
from django.utils import timezone

from bookings import times
from clinic.hours import day_start

SOONEST = ["starts_at", "pk"]


class DayFilter(admin.SimpleListFilter):
    title = "day"
    parameter_name = "day"
    ORDER = {
        "waiting": ["created_at", "pk"],
        "outcome": SOONEST,
        "today": SOONEST,
        "week": SOONEST,
    }

    def lookups(self, request, model_admin):
        return [
            ("waiting", "Waiting for an answer"),
            ("outcome", "Needs an outcome"),
            ("today", "Today"),
            ("week", "This week"),
        ]

    def queryset(self, request, queryset):
        if self.value() == "waiting":
            return queryset.waiting()
        if self.value() == "outcome":
            return queryset.needs_outcome()
        if self.value() not in ("today", "week"):
            return queryset
        zone = timezone.get_current_timezone()
        day, days = timezone.localdate(), 1
        if self.value() == "week":
            day, days = times.monday_of(day), 7
        end = day_start(day + timedelta(days=days), zone)
        return queryset.filter(starts_at__gte=day_start(day, zone), starts_at__lt=end)
