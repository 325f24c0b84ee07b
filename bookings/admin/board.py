"""The day board: one day of all practitioners, and beside it what waits for the desk."""

from django.core.exceptions import PermissionDenied
from django.template.response import TemplateResponse
from django.utils import timezone

from bookings import desk
from clinic import roles
from clinic.models import Clinic, Practitioner

from . import answering


def _reader(request):
    """What tells apart readers who see different rows: "" for all of them, else the user's key."""
    return "" if roles.sees_every_practitioner(request.user) else request.user.pk


def board(model_admin, request):
    """``?day=2027-01-05`` chooses the day; a practitioner sees their own column and patients."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    clinic, now = Clinic.objects.current(), timezone.now()
    practitioners, reader = Practitioner.objects.all(), _reader(request)
    if reader:
        practitioners = practitioners.filter(user=request.user)
    day = desk.shown_day(request.GET.get("day"), clinic.zone, now)
    context = {
        **model_admin.admin_site.each_context(request),
        **desk.board(
            model_admin.get_queryset(request),
            practitioners,
            day=day,
            clinic=clinic,
            now=now,
            reader=reader,
        ),
        "title": "Desk",
        "opts": model_admin.opts,
        "clinic": clinic,
        "is_nav_sidebar_enabled": False,
        "sees_all": not reader,
        "may_answer": model_admin.has_answer_permission(request),
        "may_book": model_admin.has_add_permission(request),
    }
    return TemplateResponse(request, "admin/bookings/booking/desk.html", context)


def outside(model_admin, request):
    """Coming bookings that opening hours, a closure or an archived practitioner leave outside."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    clinic, now = Clinic.objects.current(), timezone.now()
    bookings, number = desk.outside(
        model_admin.get_queryset(request), clinic, now, _reader(request)
    )
    rows = [
        {"booking": booking, "buttons": _answers(model_admin, request, booking, now)}
        for booking in bookings
    ]
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Outside opening hours",
        "opts": model_admin.opts,
        "zone": clinic.zone,
        "rows": rows,
        "number": number,
    }
    return TemplateResponse(request, "admin/bookings/booking/outside.html", context)


def _answers(model_admin, request, booking, now):
    found = answering.buttons(model_admin, request, booking, now)
    return [button for button in found if button["name"] in ("move", "offer", "cancel")]
