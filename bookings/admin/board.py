"""The day board: one day of all practitioners, and beside it what waits for the desk."""

from django.core.exceptions import PermissionDenied
from django.template.response import TemplateResponse
from django.utils import timezone

from bookings import desk
from clinic import roles
from clinic.models import Clinic, Practitioner


def board(model_admin, request):
    """``?day=2027-01-05`` chooses the day; a practitioner sees their own column and patients."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    clinic, now = Clinic.objects.current(), timezone.now()
    practitioners, reader = Practitioner.objects.all(), ""
    if not roles.sees_every_practitioner(request.user):
        practitioners, reader = practitioners.filter(user=request.user), request.user.pk
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
        "may_answer": model_admin.has_answer_permission(request),
        "may_book": model_admin.has_add_permission(request),
    }
    return TemplateResponse(request, "admin/bookings/booking/desk.html", context)
