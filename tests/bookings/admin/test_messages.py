"""What was mailed, as the desk reads and repeats it."""

import pytest

from bookings.models import ManageLink, Message
from clinic.models import AuditEvent
from clinic.staff import roles
from tests.bookings.admin.conftest import LATER, page, says, signed_in
from tests.factories import (
    make_booking,
    queue_message,
)

pytestmark = pytest.mark.django_db


def test_messages_are_listed_and_read(desk, doctor):
    booking = make_booking(practitioner=doctor, starts_at=LATER)
    message = queue_message(booking, Message.Kind.CONFIRMED)
    content = desk.get(page("message_changelist")).content.decode()
    for words in ("Confirmed", "Patient", booking.spoken_reference, "Tue 5 Jan 2027, 12:10"):
        assert words in content
    shown = desk.get(page("message_change", message.pk))
    assert shown.context["preview"]["subject"]
    assert booking.spoken_reference in shown.content.decode()
    assert not ManageLink.objects.exists()  # the one in the preview was never kept
    assert desk.post(page("message_change", message.pk), {"state": "sent"}).status_code == 403


def test_a_preview_that_cannot_be_written_is_no_error(desk):
    booking = make_booking(status="waitlist")
    message = queue_message(booking, Message.Kind.VERIFY)  # needs a hold, and there is none
    response = desk.get(page("message_change", message.pk))
    assert response.context["preview"] is None
    assert "cannot be written" in response.content.decode()


def test_failed_messages_are_sent_again(desk, doctor):
    booking = make_booking(practitioner=doctor, starts_at=LATER)
    failed, sent = (
        queue_message(booking, kind) for kind in (Message.Kind.CONFIRMED, Message.Kind.CHANGED)
    )
    Message.objects.filter(pk=failed.pk).update(state="failed", tries=8, error="SMTP 550")
    Message.objects.filter(pk=sent.pk).update(state="sent", tries=1)
    data = {"action": "send_again", "_selected_action": [failed.pk, sent.pk]}
    response = desk.post(page("message_changelist"), data, follow=True)
    assert "sent again: 1" in says(response)[0]
    failed.refresh_from_db()
    assert (failed.state, failed.tries, failed.error) == ("queued", 0, "")
    assert Message.objects.get(pk=sent.pk).state == "sent"
    assert AuditEvent.objects.get(action="booking.message_requeued").actor == desk.user


def test_the_editor_sees_no_message():
    assert signed_in(roles.EDITOR).get(page("message_changelist")).status_code == 403
