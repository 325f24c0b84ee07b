"""What the server, Python and Django can do at best, and the search for free times alone."""

from datetime import timedelta

from django.http import HttpResponse
from django.urls import path
from django.utils import timezone

from bookings.availability.search import SlotSearch
from bookings.models import Booking
from clinic.models import Location


def ok(request):
    return HttpResponse("ok")


def free(request):
    """The free times of one week with anybody: next week, which is neither empty nor full."""
    first = timezone.localdate() + timedelta(days=7)
    slots = SlotSearch(location=Location.objects.current(), visit_type="in_person").free(
        first, first + timedelta(days=6)
    )
    return HttpResponse(str(len(slots)))


def range_read(request):
    """The times of next week's bookings in one query, as a yardstick."""
    now = timezone.now()
    rows = (
        Booking.objects.filter(
            starts_at__gte=now + timedelta(days=7), starts_at__lt=now + timedelta(days=14)
        )
        .order_by()
        .values_list("busy_from", "busy_until")
    )
    return HttpResponse(str(len(rows)))


urlpatterns = [path("ok", ok), path("free", free), path("range", range_read)]
