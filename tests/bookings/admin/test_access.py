"""Who sees and does what at the desk."""

import json
from datetime import timedelta

import pytest
from django.urls import reverse

from bookings.models import Booking, ManageLink, Message
from clinic.models import AuditEvent
from clinic.staff import roles
from tests.bookings.admin.conftest import EARLIER, LATER, NOW, PAGES, page, press, signed_in
from tests.factories import (
    make_booking,
    make_condition,
    make_practitioner,
    queue_message,
)

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("role", "status"),
    [(roles.MANAGER, 200), (roles.FRONT_DESK, 200), (roles.PRACTITIONER, 200), ("superuser", 200),
     (roles.EDITOR, 403), (roles.REVIEWER, 403)],
)  # fmt: skip
def test_who_opens_the_desk(role, status, doctor):
    booking = make_booking(practitioner=doctor, starts_at=LATER)
    client = signed_in(role)
    for name in PAGES:
        assert client.get(page(name)).status_code == status
    if role in (roles.EDITOR, roles.REVIEWER):
        assert client.get(page("booking_change", booking.pk)).status_code == 403
        assert client.get(page("booking_add")).status_code == 403


def test_strangers_are_sent_to_the_sign_in_page(client, doctor):
    booking = make_booking(practitioner=doctor)
    for name, args in [("desk", []), ("booking_add", []), ("booking_move", [booking.pk]),
                       ("booking_confirm", [booking.pk])]:  # fmt: skip
        assert client.post(page(name, *args)).status_code == 302


def test_nobody_deletes_a_booking_or_a_message(doctor):
    client = signed_in("superuser")
    booking = make_booking(practitioner=doctor)
    message = queue_message(booking, Message.Kind.CONFIRMED)
    assert client.post(page("booking_delete", booking.pk), {"post": "yes"}).status_code == 403
    assert client.post(page("message_delete", message.pk), {"post": "yes"}).status_code == 403
    assert client.get(page("message_add")).status_code == 403
    for name, row in (("booking", booking), ("message", message)):
        client.post(
            page(f"{name}_changelist"),
            {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"},
        )
    assert Booking.objects.exists()
    assert Message.objects.exists()


def test_manage_links_have_no_page():
    from django.contrib import admin

    assert ManageLink not in admin.site._registry


def test_a_practitioner_sees_their_own_bookings_only(practitioner, doctor):
    other = make_practitioner()
    mine = make_booking(practitioner=doctor, starts_at=NOW + timedelta(hours=1), name="Mine Yes")
    theirs = make_booking(practitioner=other, starts_at=NOW + timedelta(hours=1), name="Theirs No")
    over = make_booking(practitioner=other, starts_at=EARLIER, name="Theirs Over")
    missed = make_booking(practitioner=other, status="noshow", name="Theirs Missed",
                          starts_at=EARLIER - timedelta(days=1))  # fmt: skip
    call = make_booking(status="waitlist", name="Theirs Call", created_at=NOW)
    for address in (
        page("desk"),
        page("booking_changelist"),
        page("booking_changelist") + "?q=yes",
    ):
        content = practitioner.get(address).content.decode()
        assert "Mine Yes" in content
        assert "Theirs" not in content
    for query in (theirs.reference, theirs.email, "theirs", "3235550100"):
        content = practitioner.get(page("booking_changelist"), {"q": query}).content.decode()
        assert "Theirs" not in content
        assert str(theirs) not in content
    for query in ("day=outcome", "day=waiting", f"practitioner__id__exact={other.pk}"):
        content = practitioner.get(f"{page('booking_changelist')}?{query}").content.decode()
        assert "Theirs" not in content
    assert practitioner.get(page("booking_change", mine.pk)).status_code == 200
    for booking in (theirs, over, missed, call):
        for name in ("change", "history"):
            response = practitioner.get(page(f"booking_{name}", booking.pk))
            assert response.status_code == 302
        assert practitioner.get(page("booking_move", booking.pk)).status_code == 403


def test_a_practitioners_numbers_are_not_those_of_the_desk(practitioner, doctor, desk):
    condition = make_condition(name="Rare thing")
    make_booking(practitioner=make_practitioner(), condition=condition, created_at=NOW)
    assert "Rare thing" in desk.get(page("desk")).content.decode()
    assert "Rare thing" not in practitioner.get(page("desk")).content.decode()


def test_autocomplete_offers_only_what_the_reader_sees(practitioner, desk, doctor):
    theirs = make_booking(practitioner=make_practitioner())
    query = {"app_label": "bookings", "model_name": "message", "field_name": "booking",
             "term": theirs.reference}  # fmt: skip
    for client, found in ((desk, 1), (practitioner, 0)):
        answer = client.get(reverse("admin:autocomplete"), query)
        assert len(json.loads(answer.content)["results"]) == found


def test_a_practitioner_reads_and_changes_nothing(practitioner, doctor):
    booking = make_booking(practitioner=doctor, status="pending", starts_at=LATER)
    content = practitioner.get(page("booking_change", booking.pk)).content.decode()
    assert "actions-bar" not in content
    assert 'name="staff_note"' not in content
    for name in ("confirm", "arrived", "seen", "noshow", "undo", "link", "cancel", "move",
                 "offer", "told"):  # fmt: skip
        assert practitioner.post(page(f"booking_{name}", booking.pk)).status_code == 403
    assert practitioner.post(page("booking_change", booking.pk), {"name": "X"}).status_code == 403
    assert practitioner.get(page("booking_add")).status_code == 403
    for action in ("confirm_several", "arrived_several"):
        practitioner.post(
            page("booking_changelist"), {"action": action, "_selected_action": [booking.pk]}
        )
    booking.refresh_from_db()
    assert booking.status == "pending"
    assert not AuditEvent.objects.filter(object_key=booking.reference).exists()


def test_whoever_may_answer_but_is_no_desk_answers_their_own_only(practitioner, doctor):
    from django.contrib.auth.models import Permission

    practitioner.user.user_permissions.add(Permission.objects.get(codename="answer_booking"))
    mine = make_booking(practitioner=doctor, status="pending", starts_at=LATER)
    theirs = make_booking(practitioner=make_practitioner(), status="pending", starts_at=LATER)
    assert practitioner.post(page("booking_confirm", theirs.pk)).status_code == 404
    press(practitioner, mine, "confirm")
    assert Booking.objects.get(pk=mine.pk).status == "booked"
    assert Booking.objects.get(pk=theirs.pk).status == "pending"
