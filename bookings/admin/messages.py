"""The outbox, for reading: what was or will be sent, and why something was not."""

from django.contrib import admin, messages
from django.db import transaction
from django.utils import timezone

from bookings import times
from bookings.messaging import channels, queue
from bookings.models import Message
from clinic.admin.lookups import OfferedLookups
from clinic.admin.paginator import BoundedPaginator
from clinic.staff.access import OwnRows, ReadOnly

MOST_AT_ONCE = 100


@admin.register(Message)
class MessageAdmin(ReadOnly, OfferedLookups, OwnRows, admin.ModelAdmin):
    owner = "booking__practitioner__user"
    list_display = ["kind", "to", "reference", "due", "sent", "state", "tries", "error"]
    list_filter = ["state", "kind"]
    list_select_related = ["booking"]
    list_per_page = 50
    sortable_by = ["due"]
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = ["send_again"]
    fields = ["kind", "to", "reference", "state", "due", "sent", "tries", "error"]

    def get_queryset(self, request):
        return super().get_queryset(request).select_related("booking")

    def has_answer_permission(self, request):
        return request.user.has_perm("bookings.answer_booking")

    def get_readonly_fields(self, request, obj=None):
        return self.fields

    @admin.display(description="to")
    def to(self, message):
        return "Desk" if message.to_desk else "Patient"

    @admin.display(description="booking")
    def reference(self, message):
        return message.booking.spoken_reference

    @admin.display(description="due", ordering="due_at")
    def due(self, message):
        return times.when(message.due_at, timezone.get_current_timezone(), "D j M Y")

    @admin.display(description="sent")
    def sent(self, message):
        zone = timezone.get_current_timezone()
        return message.sent_at and times.when(message.sent_at, zone, "D j M Y")

    def changelist_view(self, request, extra_context=None):
        city = times.zone_name(timezone.get_current_timezone())
        context = {
            "title": "Messages",
            "subtitle": f"All times are {city} time",
            "is_nav_sidebar_enabled": False,  # the list is wide
        }
        return super().changelist_view(request, context | (extra_context or {}))

    @admin.action(description="Send again (failed messages)", permissions=["answer"])
    def send_again(self, request, queryset):
        rows = queryset.failed()[:MOST_AT_ONCE]
        again = [queue.requeue(message, by=request.user) for message in rows]
        messages.success(request, f"Waiting to be sent again: {sum(again)}. Others are left alone.")

    def render_change_form(self, request, context, add=False, change=False, form_url="", obj=None):
        context |= {
            "title": obj.get_kind_display(),
            "subtitle": None,
            "preview": _preview(obj),
            "zone": timezone.get_current_timezone(),
        }
        return super().render_change_form(request, context, add, change, form_url, obj)


def _preview(message):
    """Write the message as it would read now: (subject, text), or None when it cannot be.

    Writing it makes a manage link; that is rolled back, so the link in the preview opens nothing.
    """
    booking = message.booking
    if booking.erased_at:
        return None
    try:
        with transaction.atomic():
            mail = channels.installed()[message.channel].compose(message, booking, timezone.now())
            transaction.set_rollback(True)
    except Exception:
        return None
    return {"subject": mail.subject, "text": mail.body}
