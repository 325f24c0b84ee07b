"""What the desk has to see to: bookings outside opening hours, patients whom no mail reaches."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse

from bookings.models import Booking, Message
from clinic.models import AuditEvent
from clinic.staff import roles
from tests.bookings.admin.conftest import EARLIER, LATER, page, press, says, signed_in
from tests.factories import (
    make_booking,
    make_closure,
    make_hours,
    make_practitioner,
    queue_message,
)

pytestmark = pytest.mark.django_db


# --- outside opening hours ------------------------------------------------------------------------


def test_bookings_outside_opening_hours_are_listed_with_what_can_be_done(desk, doctor):
    booked = make_booking(practitioner=doctor, starts_at=LATER, name="Ana Booked")
    asked = make_booking(practitioner=doctor, status="pending", name="Pat Asked",
                         starts_at=LATER + timedelta(hours=1))  # fmt: skip
    make_booking(practitioner=doctor, starts_at=LATER + timedelta(days=1), name="Fine")
    address = page("booking_outside")
    assert "No booking is outside" in desk.get(address).content.decode()
    make_closure(doctor, first_day=LATER.date(), last_day=LATER.date())
    content = desk.get(address).content.decode()
    assert "Fine" not in content
    assert content.index("Ana Booked") < content.index("Pat Asked")
    for booking, names in ((booked, {"move", "cancel"}), (asked, {"move", "offer", "cancel"})):
        found = re.findall(rf"/admin/bookings/booking/{booking.pk}/(\w+)/\"", content)
        assert set(found) - {"change"} == names
    board = desk.get(page("desk")).content.decode()
    assert 'Outside opening hours <span class="count">2</span>' in board
    assert address in board


def test_a_practitioner_meets_their_own_outside_hours_and_answers_none(practitioner, doctor):
    mine = make_booking(practitioner=doctor, starts_at=LATER, name="Mine Yes")
    make_booking(practitioner=make_practitioner(), starts_at=LATER, name="Theirs No")
    make_closure(first_day=LATER.date(), last_day=LATER.date())
    content = practitioner.get(page("booking_outside")).content.decode()
    assert "Mine Yes" in content
    assert "Theirs" not in content
    assert page("booking_move", mine.pk) not in content
    board = practitioner.get(page("desk")).content.decode()
    assert 'Outside opening hours <span class="count">1</span>' in board


def test_whoever_takes_open_time_away_is_told_where_to_look(doctor):
    manager, look = signed_in(roles.MANAGER), page("booking_outside")
    days = {"first_day": "2027-01-06", "last_day": "2027-01-06"}
    hours = make_hours(doctor, weekday=3)
    picked = {"_selected_action": [doctor.pk], "action": "archive"}
    for address, data in (
        (reverse("admin:clinic_closure_add"), days | {"practitioner": doctor.pk}),
        (reverse("admin:clinic_openinghours_change", args=[hours.pk]),
         {"practitioner": doctor.pk, "weekday": 3, "opens": "09:00", "closes": "10:00"}),
        (reverse("admin:clinic_openinghours_delete", args=[hours.pk]), {"post": "yes"}),
        (reverse("admin:clinic_practitioner_changelist"), picked),
    ):  # fmt: skip
        response = manager.post(address, data, follow=True)
        assert sum(f'<a href="{look}">' in words for words in says(response)) == 1, address
    assert Booking.objects.count() == 0


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"bio": "New"}, 0), ({"archived": "on"}, 1),
     ({"closures-TOTAL_FORMS": 1, "closures-0-first_day": "2027-01-06",
       "closures-0-last_day": "2027-01-06"}, 1)],
)  # fmt: skip
def test_a_practitioners_page_tells_where_to_look_when_time_changes(doctor, changes, told):
    manager = signed_in(roles.MANAGER)
    address = reverse("admin:clinic_practitioner_change", args=[doctor.pk])
    form = manager.get(address).context["adminform"].form
    data = {name: form.initial.get(name) or "" for name in form.fields}
    data = {name: value for name, value in data.items() if value is not False}
    prefixes = [
        rows.formset.prefix for rows in manager.get(address).context["inline_admin_formsets"]
    ]
    for prefix in prefixes:
        data |= {f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}
    closures = next(prefix for prefix in prefixes if "clos" in prefix)
    data |= {name.replace("closures", closures): value for name, value in changes.items()}
    response = manager.post(address, data, follow=True)
    assert response.redirect_chain, response.context["errors"]
    assert sum(page("booking_outside") in words for words in says(response)) == told


# --- patients whom no e-mail reaches --------------------------------------------------------------


def unreached(booking, *kinds, error="SMTP 550 for the recipient"):
    for kind in kinds:
        message = queue_message(booking, kind)
        Message.objects.filter(pk=message.pk).update(state="failed", error=error, tries=1)
    return list(Message.objects.filter(booking=booking, state="failed"))


def test_whom_no_mail_reached_is_phoned_and_that_is_recorded(desk, doctor):
    booking = make_booking(practitioner=doctor, starts_at=LATER, name="Ana Nowhere")
    unreached(booking, Message.Kind.RECEIVED, Message.Kind.CONFIRMED, Message.Kind.DESK_NEW)
    content = " ".join(desk.get(page("desk")).content.decode().split())
    for words in ("Could not be reached by e-mail <span class=\"count\">1</span>", "Ana Nowhere",
                  booking.spoken_reference, 'href="tel:+13235550100"', "Please phone them",
                  "confirmed, request received"):  # fmt: skip
        assert words in content, words
    panel = content[content.index('id="unreachable"') :]
    shown = re.findall(r'name="message"\s+value="(\d+)"', panel)
    assert len(shown) == 2
    unreached(booking, Message.Kind.CHANGED)
    meanwhile = booking.messages.get(kind=Message.Kind.CHANGED)
    response = press(desk, booking, "told", message=shown, next=page("desk"))
    assert response.redirect_chain == [(page("desk"), 302)]
    assert "told by phone" in says(response)[0]
    states = dict(booking.messages.values_list("kind", "state"))
    assert states == {"received": "dropped", "confirmed": "dropped", "changed": "failed",
                      "desk_new": "failed"}  # fmt: skip
    panel = response.content.decode().split('id="unreachable"')[1]
    assert re.findall(r'name="message"\s+value="(\d+)"', panel) == [str(meanwhile.pk)]
    events = AuditEvent.objects.filter(action="booking.unreachable_handled")
    assert {event.details["kind"] for event in events} == {"received", "confirmed"}
    assert {event.actor for event in events} == {desk.user}
    assert "nothing was left" in says(press(desk, booking, "told", message=shown))[0]
    assert "Told by phone" in desk.get(page("booking_change", booking.pk)).content.decode()


@pytest.mark.parametrize("values", [[], ["x"], ["²"], ["9" * 30], ["-1"]])
def test_strange_messages_are_no_error(desk, doctor, values):
    booking = make_booking(practitioner=doctor, starts_at=LATER)
    other = unreached(make_booking(practitioner=doctor, status="fulfilled", starts_at=EARLIER),
                      Message.Kind.CONFIRMED)[0]  # fmt: skip
    press(desk, booking, "told", message=[*values, other.pk])
    other.refresh_from_db()
    assert other.state == "failed"


def test_the_errors_that_are_shown_name_no_patient(desk, doctor):
    booking = make_booking(practitioner=doctor, starts_at=LATER, email="")
    assert not Message.objects.filter(state="failed").exists()
    assert "Everybody was reached" in desk.get(page("desk")).content.decode()
    unreached(booking, Message.Kind.DESK_NEW)
    assert "Everybody was reached" in desk.get(page("desk")).content.decode()


def test_a_practitioner_has_no_such_task(practitioner, doctor):
    unreached(make_booking(practitioner=doctor, starts_at=LATER), Message.Kind.CONFIRMED)
    assert "Could not be reached" not in practitioner.get(page("desk")).content.decode()
