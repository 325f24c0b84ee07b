"""What the server, Python and Django can do at best, and the search for free times alone."""

from datetime import timedelta

from django.http import HttpResponse
from django.urls import path
from django.utils import timezone

from bookings import availability


def ok(request):
    return HttpResponse("ok")


def free(request):
    """The free times of one week with anybody: next week, which is neither empty nor full."""
    first = timezone.localdate() + timedelta(days=7)
    slots = availability.free_slots(
        first_day=first, last_day=first + timedelta(days=6), visit_type="in_person"
    )
    return HttpResponse(str(len(slots)))


urlpatterns = [path("ok", ok), path("free", free)]
