"""The day board: one day of all practitioners, and beside it what waits for the desk."""

from django.core.exceptions import PermissionDenied
from django.template.response import TemplateResponse
from django.utils import timezone

from bookings.desk import conflicts as desk_conflicts
from bookings.desk import day_board
from bookings.lifecycle import clock_changes
from clinic.models import WAYS, Practitioner
from clinic.staff import roles

from . import actions


def _reader(request):
    """Tell apart readers who see different rows: "" for all of them, else the user's key."""
    return "" if roles.sees_every_practitioner(request.user) else request.user.pk


def board(model_admin, request):
    """``?day=2027-01-05`` chooses the day; a practitioner sees their own column and patients."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    location, now = request.location, timezone.now()
    practitioners, reader = Practitioner.objects.all(), _reader(request)
    if reader:
        practitioners = practitioners.filter(user=request.user)
    day = day_board.shown_day(request.GET.get("day"), location.zone, now)
    context = {
        **model_admin.admin_site.each_context(request),
        **day_board.board(
            model_admin.get_queryset(request),
            practitioners,
            day=day,
            location=location,
            now=now,
            reader=reader,
        ),
        "title": "Desk",
        "opts": model_admin.opts,
        "ways": WAYS.values(),
        "is_nav_sidebar_enabled": False,
        "sees_all": not reader,
        "may_answer": model_admin.has_answer_permission(request),
        "may_book": model_admin.has_add_permission(request),
    }
    return TemplateResponse(request, "admin/bookings/booking/desk.html", context)


def conflicts(model_admin, request, kind):
    """Coming bookings that no longer fit: "outside" opening hours, or "shifted" on the clock."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    location, now, bookings = request.location, timezone.now(), model_admin.get_queryset(request)
    keys = getattr(desk_conflicts.conflicts(bookings, location, now, _reader(request)), kind)
    rows = [
        {
            "booking": booking,
            "buttons": _answers(model_admin, request, booking, now),
            "shifts": clock_changes.shifts(
                booking.promised_times, booking.starts_at, location.zone
            ),
        }
        for booking in desk_conflicts.listed(bookings, keys)
    ]
    context = {
        **model_admin.admin_site.each_context(request),
        "title": {"outside": "Outside opening hours", "shifted": "Another clock time"}[kind],
        "opts": model_admin.opts,
        "zone": location.zone,
        "rows": rows,
        "number": len(keys),
    }
    return TemplateResponse(request, f"admin/bookings/booking/{kind}.html", context)


def _answers(model_admin, request, booking, now):
    found = actions.buttons(model_admin, request, booking, now)
    return [button for button in found if button["name"] in ("tell", "move", "offer", "cancel")]
