"""The desk in the admin: who sees and does what, every button, search, and booking by phone."""

import json
import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.core.cache import caches
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bookings.admin import search
from bookings.lifecycle import answers as lifecycle_answers
from bookings.lifecycle import offers
from bookings.models import Booking, ManageLink, Message
from clinic.admin.paginator import BoundedPaginator
from clinic.models import AuditEvent
from clinic.staff import roles
from clinic.staff.adapters import DEMO_GROUP
from tests.factories import (
    asked_of,
    make_booking,
    make_clinic,
    make_closure,
    make_concern,
    make_condition,
    make_hours,
    make_practitioner,
    make_user,
    queue_message,
)

pytestmark = pytest.mark.django_db

NOW = datetime(2027, 1, 5, 20, 10, tzinfo=UTC)  # Tuesday 12:10 in Los Angeles
LATER = datetime(2027, 1, 6, 17, tzinfo=UTC)  # Wednesday 09:00 there
EARLIER = datetime(2027, 1, 5, 17, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\u202egnp.exe"


@pytest.fixture(autouse=True)
def _clinic():
    caches["memory"].clear()
    roles.apply_roles()
    make_clinic()
    make_hours()
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def doctor():
    return make_practitioner(name="Dr. One", slug="one")


def signed_in(role):
    client, user = Client(), make_user(role)
    user.groups.add(Group.objects.get_or_create(name=DEMO_GROUP)[0])
    client.force_login(user)
    client.user = user
    return client


@pytest.fixture
def desk():
    return signed_in(roles.FRONT_DESK)


def page(name, *args):
    """The address of an admin page of bookings; the board has a short name of its own."""
    return reverse("admin:desk" if name == "desk" else f"admin:bookings_{name}", args=args)


def says(response):
    """The messages of the page that the browser is sent to."""
    return [str(message) for message in response.context["messages"]]


def press(client, booking, name, **data):
    return client.post(page(f"booking_{name}", booking.pk), data, follow=True)


# --- who sees what --------------------------------------------------------------------------------

PAGES = ["desk", "booking_changelist", "booking_outside"]


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


@pytest.fixture
def practitioner(doctor):
    client = signed_in(roles.PRACTITIONER)
    doctor.user = client.user
    doctor.save()
    return client


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


# --- the page of one booking ----------------------------------------------------------------------


def test_the_page_tells_everything_about_a_booking(desk, doctor):
    booking = make_booking(
        practitioner=doctor, starts_at=LATER, time_zone="Europe/Istanbul", name="Ayla Yılmaz",
        condition=make_condition(name="Jaw pain"),
    )  # fmt: skip
    moved = lifecycle_answers.reschedule(booking, start=LATER + timedelta(hours=1), by=desk.user)
    content = desk.get(page("booking_change", moved.pk)).content.decode()
    for words in (
        booking.spoken_reference, "Wed 6 Jan 2027, 10:00", "Ayla Yılmaz", "Jaw pain", "Dr. One",
        "Wed 6 Jan 2027, 21:00, Istanbul time (UTC+3). 23:10 there now.",
        "Moved", "Wed 6 Jan 2027, 09:00 to Wed 6 Jan 2027, 10:00", desk.user.username,
        "Time changed", "Los Angeles time",
    ):  # fmt: skip
        assert words in content, words
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=", content)


def posted(booking, **changes):
    return {
        "name": booking.name,
        "email": booking.email,
        "phone": str(booking.phone),
        "spoken_language": "",
        "call_when": "",
        "staff_note": "",
    } | changes


def test_contact_fields_are_edited_and_the_record_names_no_value(desk, doctor):
    booking = make_booking(practitioner=doctor, starts_at=LATER)
    response = desk.post(
        page("booking_change", booking.pk),
        posted(
            booking, name="Ana Núñez", email="Ana@BÜCHER.example", staff_note="Prefers\nmornings"
        ),
        follow=True,
    )
    booking.refresh_from_db()
    assert (booking.name, booking.email) == ("Ana Núñez", "Ana@xn--bcher-kva.example")
    assert booking.staff_note == "Prefers\nmornings"
    assert any("A new link is on its way" in words for words in says(response))
    assert booking.messages.filter(kind="link").count() == 1
    event = AuditEvent.objects.get(object_key=booking.reference, action="booking.changed")
    record = f"{event.details} {LogEntry.objects.get().change_message}"
    assert event.actor == desk.user
    assert "Name" in record
    for value in ("Ana", "example", "morning", "Pat"):
        assert value not in record


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": ""}, "This field is required"),
        ({"name": "Pat \u202e Example"}, "cannot use"),
        ({"email": "pat"}, "like name@example.com"),
        ({"email": "", "phone": ""}, "Keep an e-mail address or a phone number"),
        ({"phone": "12"}, "valid phone number"),
    ],
)
def test_wrong_contact_details_are_refused(desk, doctor, changes, words):
    booking = make_booking(practitioner=doctor, starts_at=LATER)
    response = desk.post(page("booking_change", booking.pk), posted(booking, **changes))
    assert words in response.content.decode()
    assert Booking.objects.get(pk=booking.pk).name == booking.name


def test_a_tampered_form_changes_neither_status_nor_time_nor_person(desk, doctor):
    booking = make_booking(practitioner=doctor, status="pending", starts_at=LATER)
    before = Booking.objects.filter(pk=booking.pk).values().get()
    other = make_practitioner()
    forged = {
        "status": "booked", "state": "booked", "practitioner": other.pk, "visit_type": "video",
        "starts_at_0": "2027-02-01", "starts_at_1": "10:00", "starts_at": "2027-02-01 10:00",
        "ends_at": "2027-02-01 11:00", "busy_from": "", "hold_until": "2027-02-01",
        "reference": "AAAAAAAA", "message": "Other", "consent_at": "", "sequence": 9,
        "condition": "", "cancelled_by": "clinic", "source": "desk", "time_zone": "UTC",
        "staff_note": "Seen",
    }  # fmt: skip
    desk.post(page("booking_change", booking.pk), posted(booking, **forged))
    after = Booking.objects.filter(pk=booking.pk).values().get()
    assert {name for name in after if after[name] != before[name]} == {"staff_note"}


def test_saving_contact_details_never_takes_back_a_verb(desk, doctor, monkeypatch):
    """The verb runs between the reading and the saving of the form."""
    from bookings.admin.bookings import BookingAdmin

    booking = make_booking(practitioner=doctor, status="pending", starts_at=LATER)
    save_model = BookingAdmin.save_model

    def confirm_first(self, request, obj, form, change):
        lifecycle_answers.confirm(booking, by=request.user)
        save_model(self, request, obj, form, change)

    monkeypatch.setattr(BookingAdmin, "save_model", confirm_first)
    desk.post(page("booking_change", booking.pk), posted(booking, staff_note="Called"))
    booking.refresh_from_db()
    assert (booking.status, booking.staff_note) == ("booked", "Called")


def test_an_erased_booking_is_only_read(desk, doctor):
    booking = make_booking(practitioner=doctor, status="fulfilled", starts_at=EARLIER, name="",
                           email="", phone="", erased_at=NOW)  # fmt: skip
    content = desk.get(page("booking_change", booking.pk)).content.decode()
    assert 'name="staff_note"' not in content
    assert "actions-bar" not in content
    assert desk.post(page("booking_change", booking.pk), {"name": "X"}).status_code == 403
    for address in (page("booking_changelist"), page("desk")):
        assert "Erased" in desk.get(address).content.decode()


@pytest.mark.parametrize("name", ["desk", "booking_changelist", "booking_outside", "booking_change",
                                  "booking_cancel", "booking_move", "booking_offer"])  # fmt: skip
def test_hostile_names_are_inert(desk, doctor, name):
    starts = NOW + timedelta(minutes=50)
    booking = make_booking(practitioner=doctor, starts_at=starts, name=HOSTILE,
                           message=HOSTILE, staff_note=HOSTILE, call_when=HOSTILE)  # fmt: skip
    make_booking(status="waitlist", name=HOSTILE, call_when=HOSTILE, created_at=NOW)
    make_closure(first_day=NOW.date(), last_day=NOW.date())
    message = queue_message(booking, Message.Kind.CONFIRMED)
    Message.objects.filter(pk=message.pk).update(state="failed")
    args = [] if name in PAGES else [booking.pk]
    content = desk.get(page(name, *args)).content.decode()
    assert "<script>alert" not in content
    assert "&lt;script&gt;alert" in content
    if name != "booking_change":
        assert f"<bdi>{HOSTILE.replace('<', '&lt;').replace('>', '&gt;')}</bdi>" in content


def test_hostile_reasons_and_errors_are_inert(desk, doctor):
    booking = make_booking(practitioner=doctor, starts_at=LATER)
    press(desk, booking, "cancel", reason="<script>alert(1)</script>")
    Message.objects.update(error="<script>alert(2)</script>")
    content = desk.get(page("booking_change", booking.pk)).content.decode()
    assert "<script>alert" not in content
    assert content.count("&lt;script&gt;alert") >= 2


# --- the buttons ----------------------------------------------------------------------------------

BUTTONS = {
    # status, starts before now: buttons
    ("pending", False): {"confirm", "move", "offer", "link", "cancel"},
    ("booked", False): {"move", "link", "cancel"},
    ("booked", True): {"arrived", "seen", "noshow", "move", "cancel"},
    ("arrived", True): {"seen", "undo"},
    ("fulfilled", True): {"undo"},
    ("noshow", True): {"undo"},
    ("cancelled", False): set(),
    ("waitlist", None): {"move", "offer", "link", "cancel"},
}


def booking_in(status, past, doctor, **values):
    if status == "waitlist":
        return make_booking(status=status, created_at=NOW, **values)
    if status == "cancelled":
        values |= {"cancelled_by": "clinic", "cancelled_at": NOW}
    starts_at = EARLIER if past else LATER
    return make_booking(status=status, practitioner=doctor, starts_at=starts_at, **values)


@pytest.mark.parametrize(("status", "past"), BUTTONS)
def test_only_legal_buttons_are_shown(desk, doctor, status, past):
    booking = booking_in(status, past, doctor)
    content = desk.get(page("booking_change", booking.pk)).content.decode()
    shown = set(re.findall(rf"/admin/bookings/booking/{booking.pk}/(\w+)/\"", content))
    assert shown - {"history", "change"} == BUTTONS[status, past]


@pytest.mark.parametrize("name", ["confirm", "arrived", "seen", "noshow", "undo", "link", "cancel",
                                  "move", "offer"])  # fmt: skip
@pytest.mark.parametrize(("status", "past"), BUTTONS)
def test_illegal_presses_are_refused_in_words(desk, doctor, status, past, name):
    if name in BUTTONS[status, past]:
        return
    booking = booking_in(status, past, doctor)
    start = "2027-01-07T18:00:00Z"
    response = press(desk, booking, name, start=start, reason="", step="offer", times=f"{start} ")
    assert response.status_code == 200
    assert len(says(response)) == 1
    assert str(booking) in says(response)[0]
    after = Booking.objects.get(pk=booking.pk)
    assert (after.status, after.starts_at) == (booking.status, booking.starts_at)
    assert not AuditEvent.objects.filter(object_key=booking.reference).exists()


@pytest.mark.parametrize(
    ("name", "status", "past", "result", "action"),
    [
        ("confirm", "pending", False, "booked", "booking.confirmed"),
        ("arrived", "booked", True, "arrived", "booking.arrived"),
        ("seen", "arrived", True, "fulfilled", "booking.fulfilled"),
        ("noshow", "booked", True, "noshow", "booking.noshow"),
        ("undo", "noshow", True, "booked", "booking.undone"),
        ("cancel", "pending", False, "cancelled", "booking.cancelled"),
        ("cancel", "waitlist", None, "cancelled", "booking.cancelled"),
    ],
)
def test_each_button_calls_its_verb(desk, doctor, name, status, past, result, action):
    booking = booking_in(status, past, doctor)
    response = press(desk, booking, name, reason="Doctor is ill")
    assert response.redirect_chain == [(page("booking_change", booking.pk), 302)]
    booking.refresh_from_db()
    assert booking.status == result
    event = AuditEvent.objects.get(object_key=booking.reference)
    assert (event.action, event.actor) == (action, desk.user)
    if result == "cancelled":
        assert (booking.cancelled_by, booking.cancel_reason) == ("clinic", "Doctor is ill")


def test_buttons_take_posts_only_with_a_token(doctor):
    booking = make_booking(practitioner=doctor, status="pending", starts_at=LATER)
    desk = signed_in(roles.FRONT_DESK)
    for name in ("confirm", "arrived", "seen", "noshow", "undo", "link", "told"):
        assert desk.get(page(f"booking_{name}", booking.pk)).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(desk.user)
    for name in ("confirm", "cancel", "move", "offer", "told"):
        assert strict.post(page(f"booking_{name}", booking.pk)).status_code == 403
    assert desk.get(page("booking_cancel", booking.pk)).status_code == 200
    assert Booking.objects.get(pk=booking.pk).status == "pending"


def test_the_link_is_sent_again(desk, doctor):
    booking = make_booking(practitioner=doctor, starts_at=LATER)
    assert "A new link is on its way" in says(press(desk, booking, "link"))[0]
    assert booking.messages.get().kind == Message.Kind.LINK
    event = AuditEvent.objects.get(action="booking.link_sent")
    assert (event.actor, event.object_key) == (desk.user, booking.reference)
    without = make_booking(practitioner=doctor, starts_at=LATER + timedelta(hours=1), email="")
    assert "no address" in says(press(desk, without, "link"))[0]


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:x", ""])
def test_a_button_goes_back_to_this_site_only(desk, doctor, target):
    booking = make_booking(practitioner=doctor, status="pending", starts_at=LATER)
    response = desk.post(page("booking_confirm", booking.pk), {"next": target})
    assert response["Location"] == page("booking_change", booking.pk)


def test_the_board_records_an_outcome_and_comes_back(desk, doctor):
    booking = make_booking(practitioner=doctor, starts_at=EARLIER)
    address = page("desk") + "?day=2027-01-05"
    content = desk.get(address).content.decode()
    assert page("booking_seen", booking.pk) in content
    assert page("booking_noshow", booking.pk) in content
    response = press(desk, booking, "seen", next=address)
    assert response.redirect_chain == [(address, 302)]
    assert page("booking_seen", booking.pk) not in response.content.decode()


# --- moving ---------------------------------------------------------------------------------------


def test_a_booking_is_moved_to_a_listed_time(desk, doctor):
    other = make_practitioner(name="Dr. Two", slug="two")
    booking = make_booking(practitioner=doctor, status="pending", starts_at=LATER)
    make_booking(practitioner=other, starts_at=LATER + timedelta(hours=1))
    shown = desk.get(page("booking_move", booking.pk), {"who": "two", "day": "2027-01-06"})
    starts = re.findall(r'name="start"\s+value="([^"]+)"', shown.content.decode())
    assert "2027-01-06T17:00:00Z" in starts
    assert "2027-01-06T18:00:00Z" not in starts
    assert "Los Angeles time" in shown.content.decode()
    response = press(desk, booking, "move", start=starts[1], who="two")
    assert "Dr. Two" in says(response)[0]
    booking.refresh_from_db()
    assert (booking.practitioner, booking.status) == (other, "booked")
    assert booking.starts_at == datetime(2027, 1, 6, 17, 30, tzinfo=UTC)
    assert AuditEvent.objects.get(action="booking.rescheduled").actor == desk.user


def test_a_call_back_gets_its_first_time(desk, doctor):
    booking = make_booking(status="waitlist", visit_type="phone", created_at=NOW)
    assert "Give a time" in desk.get(page("booking_change", booking.pk)).content.decode()
    press(desk, booking, "move", start="2027-01-06T17:00:00Z")
    booking.refresh_from_db()
    assert (booking.status, booking.practitioner) == ("booked", doctor)


@pytest.mark.parametrize(
    "start", ["", "soon", "2027-01-06T17:00:00", "2027-01-06T18:00:00Z", "2027-01-06T03:00:00Z",
              "2020-01-06T18:00:00Z", "9999-99-99T99:99Z"]
)  # fmt: skip
def test_an_impossible_time_moves_nothing(desk, doctor, start):
    booking = make_booking(practitioner=doctor, starts_at=LATER)
    make_booking(practitioner=doctor, starts_at=LATER + timedelta(hours=1))
    response = press(desk, booking, "move", start=start, who="one")
    assert response.status_code == 200
    assert len(says(response)) == 1
    assert Booking.objects.get(pk=booking.pk).starts_at == LATER


def test_what_cannot_be_moved_lists_no_times(desk, doctor):
    booking = make_booking(practitioner=doctor, status="fulfilled", starts_at=EARLIER)
    content = desk.get(page("booking_move", booking.pk)).content.decode()
    assert "cannot be moved" in content
    assert 'name="start"' not in content


# --- offering other times -------------------------------------------------------------------------


def offered(booking, practitioner, starts_at, **values):
    """A time held as an offer, as the verb writes it."""
    values = {"name": "", "email": "", "phone": "", "hold_until": NOW + timedelta(hours=1)} | values
    return make_booking(status="proposed", offered_for=booking, practitioner=practitioner,
                        starts_at=starts_at, **values)  # fmt: skip


def ticks(response, checked=False):
    """The values of the page's boxes for times, or of those that are ticked."""
    pattern = r'type="checkbox" name="times" value="([^"]*)"'
    return re.findall(pattern + (" checked" if checked else ""), response.content.decode())


def test_times_are_offered_over_several_days(desk, doctor):
    make_practitioner(name="Dr. Two", slug="two")
    booking = make_booking(status="waitlist", visit_type="phone", created_at=NOW)
    address = page("booking_offer", booking.pk)
    assert address in desk.get(page("booking_change", booking.pk)).content.decode()
    first = desk.get(address, {"day": "2027-01-06"})
    assert "2027-01-06T17:00:00Z " in ticks(first)
    assert ticks(first, checked=True) == []
    second = desk.post(
        address, {"day": ["2027-01-06", "2027-01-07"], "who": "two", "times": ticks(first)[0]}
    )
    assert ticks(second, checked=True) == ["2027-01-06T17:00:00Z "]
    assert "2027-01-07T17:00:00Z two" in ticks(second)
    chosen = [*ticks(second, checked=True), "2027-01-07T17:00:00Z two", "2027-01-08T18:30:00Z one"]
    back = desk.post(address, {"day": "2027-01-07", "who": "two", "times": chosen})
    assert set(ticks(back, checked=True)) == set(chosen)
    assert not Booking.objects.filter(status="proposed").exists()
    done = press(desk, booking, "offer", times=chosen, who="two", day="2027-01-07", step="offer")
    assert done.redirect_chain == [(page("booking_change", booking.pk), 302)]
    assert "offered and held" in says(done)[0]
    rows = booking.offers.order_by("starts_at").values_list("practitioner__slug", "status")
    assert list(rows) == [("one", "proposed"), ("two", "proposed"), ("one", "proposed")]
    assert AuditEvent.objects.get(action="booking.offered").actor == desk.user
    assert booking.messages.filter(kind=Message.Kind.OFFERED).exists()


def test_the_booking_says_what_became_of_its_offers(desk, doctor):
    booking = make_booking(status="waitlist", visit_type="in_person", created_at=NOW)
    times = [(LATER + timedelta(hours=hours), doctor) for hours in (0, 1)]
    offers.offer(booking, times=times, by=desk.user)
    address = page("booking_change", booking.pk)
    content = desk.get(address).content.decode()
    assert content.count("Held until Wed 6 Jan 2027, 09:00") == 1
    assert content.count("Held until Wed 6 Jan 2027, 10:00") == 1
    assert "The patient chooses one on the manage page" in content
    offers.choose(booking, offered=booking.offers.order_by("starts_at")[1])
    content = desk.get(address).content.decode()
    assert content.count("Ended, the time was given back") == 1
    assert content.count("<small>Taken</small>") == 1
    assert "The patient chooses one" not in content


def test_an_offer_whose_hold_ran_out_has_ended(desk, doctor):
    booking = make_booking(status="waitlist", created_at=NOW)
    offered(booking, doctor, LATER, hold_until=NOW - timedelta(minutes=1))
    content = desk.get(page("booking_change", booking.pk)).content.decode()
    assert "Ended, the time was given back" in content
    assert "Offered</b>" not in desk.get(page("desk") + "?day=2027-01-06").content.decode()


def test_a_time_that_somebody_else_took_is_named_and_the_others_kept(desk, doctor):
    booking = make_booking(status="waitlist", visit_type="in_person", created_at=NOW)
    make_booking(practitioner=doctor, starts_at=LATER)
    chosen = ["2027-01-06T17:00:00Z one", "2027-01-06T18:00:00Z one"]
    response = press(
        desk, booking, "offer", times=chosen, who="one", day="2027-01-06", step="offer"
    )
    assert "just been taken" in says(response)[0]
    assert set(ticks(response, checked=True)) == set(chosen)
    assert response.content.decode().count("No longer free") == 1
    assert not Booking.objects.filter(status="proposed").exists()


def test_offered_times_are_ticked_when_more_are_offered(desk, doctor):
    booking = make_booking(status="waitlist", visit_type="in_person", created_at=NOW)
    offers.offer(booking, times=[(LATER, doctor)], by=desk.user)
    kept = ticks(desk.get(page("booking_offer", booking.pk)), checked=True)
    assert kept == ["2027-01-06T17:00:00Z one"]
    press(desk, booking, "offer", times=[*kept, "2027-01-06T18:00:00Z "], step="offer")
    assert booking.offers.filter(status="proposed").count() == 2


@pytest.mark.parametrize(
    "times",
    [[], ["soon one"], ["2027-01-06T17:00:00Z nobody"], ["2027-01-06T03:00:00Z one"],
     [f"2027-01-06T{hour}:00:00Z " for hour in (17, 18, 19, 20)],
     ["2027-01-06T17:00:00Z one", "2027-01-06T17:00:00Z "], ["2020-01-06T18:00:00Z one"],
     ["9999-99-99T99:99Z one"], [f"2027-01-06T17:00:{n:02}Z " for n in range(60)]],
)  # fmt: skip
def test_impossible_choices_offer_nothing(desk, doctor, times):
    booking = make_booking(status="waitlist", visit_type="in_person", created_at=NOW)
    response = press(desk, booking, "offer", times=times, step="offer")
    assert response.status_code == 200
    assert len(says(response)) == 1
    assert not Booking.objects.filter(status="proposed").exists()


def test_the_first_day_shown_has_something_to_offer(desk, doctor):
    make_closure(first_day="2027-01-05", last_day="2027-01-13")
    call = make_booking(status="waitlist", visit_type="phone", created_at=NOW)
    assert "2027-01-14T17:00:00Z " in ticks(desk.get(page("booking_offer", call.pk)))
    asked = make_booking(practitioner=doctor, status="pending",
                         starts_at=LATER + timedelta(days=9, hours=1))  # fmt: skip
    assert "2027-01-15T17:00:00Z " in ticks(desk.get(page("booking_offer", asked.pk)))


def test_without_an_address_nothing_is_offered(desk, doctor):
    booking = make_booking(status="waitlist", visit_type="phone", email="", created_at=NOW)
    address = page("booking_offer", booking.pk)
    assert address not in desk.get(page("booking_change", booking.pk)).content.decode()
    assert "no e-mail address" in desk.get(address).content.decode()
    response = press(desk, booking, "offer", times=["2027-01-06T17:00:00Z one"], step="offer")
    assert "no e-mail address" in says(response)[0]
    assert not Booking.objects.filter(status="proposed").exists()


def test_offered_times_are_no_requests_of_their_own(desk, doctor):
    booking = make_booking(status="waitlist", name="Ana Waits", created_at=NOW)
    row = offered(booking, doctor, LATER)
    assert listed(desk) == [booking]
    assert listed(desk, day="week") == []
    assert listed(desk, q=row.reference) == []
    assert listed(desk, status__exact="proposed") == [row]
    content = desk.get(page("desk") + "?day=2027-01-06").content.decode()
    assert re.search(r'class="ap ap-offer"\s+href="([^"]+)"', content)[1] == page(
        "booking_change", booking.pk
    )
    assert "<b>Offered</b><span><bdi>Ana Waits</bdi></span>" in content
    of_row = " ".join(desk.get(page("booking_change", row.pk)).content.decode().split())
    assert f'offer for <a href="{page("booking_change", booking.pk)}">{booking}</a>' in of_row
    assert 'name="staff_note"' not in of_row


def test_a_practitioner_sees_that_time_is_held_but_not_for_whom(practitioner, doctor):
    booking = make_booking(status="waitlist", name="Ana Waits", created_at=NOW)
    row = offered(booking, doctor, LATER)
    board = practitioner.get(page("desk") + "?day=2027-01-06").content.decode()
    of_row = practitioner.get(page("booking_change", row.pk)).content.decode()
    assert page("booking_change", row.pk) in board
    for content in (board, of_row):
        assert "Ana Waits" not in content
        assert str(booking) not in content


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
    assert 'Outside opening hours <span class="cnt">2</span>' in board
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
    assert 'Outside opening hours <span class="cnt">1</span>' in board


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
    for words in ("Could not be reached by e-mail <span class=\"cnt\">1</span>", "Ana Nowhere",
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


# --- the list -------------------------------------------------------------------------------------


def listed(client, **query):
    return list(client.get(page("booking_changelist"), query).context["cl"].result_list)


def test_the_list_shows_each_booking_in_clinic_time(desk, doctor):
    booking = make_booking(
        practitioner=doctor, starts_at=LATER, condition=make_condition(name="Jaw")
    )
    make_booking(status="waitlist", created_at=NOW - timedelta(hours=7))
    content = desk.get(page("booking_changelist")).content.decode()
    for words in (booking.spoken_reference, "Wed 6 Jan 2027, 09:00", "Dr. One", "Jaw", "Confirmed",
                  "To be called", "waits 7 h", "All times are Los Angeles time"):  # fmt: skip
        assert words in content, words
    assert "result(s)" not in content


@pytest.mark.parametrize(
    ("hours", "look", "words"),
    [(0, "new", "0 min"), (4, "soon", "4 h"), (24, "soon", "1 d"), (25, "late", "1 d 1 h, late")],
)
def test_how_long_somebody_waits_is_red_only_when_it_is_too_long(desk, hours, look, words):
    make_booking(status="waitlist", created_at=NOW - timedelta(hours=hours))
    content = desk.get(page("booking_changelist")).content.decode()
    assert f'<b class="waits waits-{look}">waits {words}</b>' in content


def test_filters_by_day(desk, doctor):
    tomorrow = make_booking(practitioner=doctor, starts_at=LATER)
    over = make_booking(practitioner=doctor, starts_at=EARLIER)
    sunday = make_booking(practitioner=doctor, status="fulfilled",
                          starts_at=datetime(2027, 1, 4, 7, tzinfo=UTC))  # fmt: skip
    old = make_booking(status="waitlist", created_at=NOW - timedelta(days=2))
    new = make_booking(practitioner=doctor, status="pending", created_at=NOW,
                       starts_at=LATER + timedelta(days=7))  # fmt: skip
    assert listed(desk, day="today") == [over]
    assert listed(desk, day="week") == [over, tomorrow]
    assert listed(desk, day="outcome") == [over]
    assert listed(desk, day="waiting") == [old, new]
    assert len(listed(desk, day="nonsense")) == 5
    assert listed(desk, status__exact="fulfilled") == [sunday]
    assert set(listed(desk, practitioner__id__exact=doctor.pk)) == {tomorrow, over, sunday, new}
    assert listed(desk, visit_type__exact="video") == []
    assert listed(desk, day="week", o="-2") == [tomorrow, over]


@pytest.mark.parametrize(
    "query",
    [
        "KX74-MPQR", "kx74mpqr", "KX74 mpqr", "kx74", " Kx74-m ", "ana@example.org",
        "ANA@example.org", "núñez", "NÚÑEZ", "ana nú", "núñez ana", "+1 (323) 555-0177",
        "3235550177", "0177", "555-0177",
    ],
)  # fmt: skip
def test_search_finds(desk, query):
    booking = make_booking(reference="KX74MPQR", name="Ana Núñez", email="ana@example.org",
                           phone="+13235550177")  # fmt: skip
    make_booking(reference="KZ74MPQR", name="Pat Example", email="pat@example.org",
                 phone="+13235550178")  # fmt: skip
    assert listed(desk, q=query) == [booking]


@pytest.mark.parametrize(
    "query",
    ["KX75", "nobody", "017", "%", "_", "'", "\\", "a@b", "🙂", "x" * 500, "-", "()", "٣٢٣"],
)
def test_search_for_nothing_finds_nothing(desk, query):
    make_booking(reference="KX74MPQR", name="Ana Núñez", phone="+13235550177")
    assert listed(desk, q=query) == []


def test_a_name_that_could_be_a_reference_finds_both(desk):
    named = make_booking(name="Ayda Mete", reference="ZZZZZZZZ")
    other = make_booking(name="Pat", reference="AYDA2222")
    assert set(listed(desk, q="ayda")) == {named, other}
    assert listed(desk, q="AYDA2222") == [other]


def test_names_are_looked_for_among_the_newest(desk, monkeypatch):
    monkeypatch.setattr(BoundedPaginator, "LIMIT", 2)
    old, middle, new = (
        make_booking(name="Ana", created_at=NOW - timedelta(days=days)) for days in (3, 2, 1)
    )
    assert set(listed(desk, q="ana")) == {middle, new}
    assert listed(desk, q=old.reference) == [old]


def test_search_stays_within_the_filters(desk, doctor):
    booking = make_booking(practitioner=doctor, starts_at=LATER, name="Ana")
    make_booking(practitioner=doctor, status="fulfilled", starts_at=EARLIER, name="Ana")
    assert listed(desk, q="ana", status__exact="booked") == [booking]
    assert "nothing" not in search.HELP


# --- several at once ------------------------------------------------------------------------------


def several(client, action, *bookings):
    data = {"action": f"{action}_several", "_selected_action": [b.pk for b in bookings]}
    return client.post(page("booking_changelist"), data, follow=True)


def test_several_are_answered_and_the_refused_named(desk, doctor):
    wait = [
        make_booking(
            practitioner=doctor, status="pending", starts_at=LATER + n * timedelta(hours=1)
        )
        for n in range(2)
    ]
    seen = make_booking(practitioner=doctor, status="fulfilled", starts_at=EARLIER)
    response = several(desk, "confirm", seen, *wait)
    found = says(response)
    assert len(found) == 2
    assert str(seen) in found[0]
    assert "cannot be confirmed" in found[0]
    assert all(str(booking) in found[1] for booking in wait)
    assert set(Booking.objects.filter(status="booked")) == set(wait)
    assert {event.actor for event in AuditEvent.objects.filter(action="booking.confirmed")} == {
        desk.user
    }


@pytest.mark.parametrize(
    ("action", "result"), [("arrived", "arrived"), ("seen", "fulfilled"), ("noshow", "noshow")]
)
def test_several_outcomes(desk, doctor, action, result):
    booking = make_booking(practitioner=doctor, starts_at=EARLIER)
    several(desk, action, booking)
    assert Booking.objects.get().status == result


def test_too_many_at_once_are_refused(desk, doctor, monkeypatch):
    from bookings.admin import bookings

    monkeypatch.setattr(bookings, "MOST_AT_ONCE", 1)
    made = [
        make_booking(
            practitioner=doctor, status="pending", starts_at=LATER + n * timedelta(hours=1)
        )
        for n in range(2)
    ]
    assert "Nothing was changed" in says(several(desk, "confirm", *made))[0]
    assert Booking.objects.filter(status="pending").count() == 2


# --- messages -------------------------------------------------------------------------------------


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
    message = queue_message(booking, Message.Kind.PROVE)  # needs a hold, and there is none
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


# --- by phone -------------------------------------------------------------------------------------

CALLER = {
    "name": "Ana Núñez",
    "email": "ana@example.org",
    "phone": "(323) 555-0177",
    "language": "English",
    "message": "Jaw locks",
    "consent": "on",
    "signs": "none",
}


def hidden(response):
    return dict(
        re.findall(r'type="hidden"\s+name="(\w+)"\s+value="([^"]*)"', response.content.decode())
    )


def answers(response):
    return {k: v for k, v in hidden(response).items() if k != "csrfmiddlewaretoken"}


def test_a_caller_is_booked_in_two_pages(desk, doctor):
    condition = make_concern(slug="bruxism", name="Bruxism", signs=["No air"])
    address = page("booking_add")
    first = desk.get(address)
    chosen = answers(first) | {"condition": "bruxism", "visit_type": "video", "practitioner": ""}
    times = desk.post(address, chosen | {"step": "times", "day": "2027-01-06"})
    starts = re.findall(r'name="start"\s+value="([^"]+)"', times.content.decode())
    assert starts[0] == "2027-01-06T17:00:00Z"
    details = desk.post(address, chosen | answers(times) | {"step": "details", "start": starts[0]})
    content = details.content.decode()
    for words in ("Bruxism, video call", "Wednesday 6 January 2027, 09:00, Los Angeles time",
                  "No air", "call 911"):  # fmt: skip
        assert words in content, words
    done = desk.post(address, answers(details) | CALLER | {"step": "book"}, follow=True)
    booking = Booking.objects.get()
    assert done.redirect_chain == [(page("booking_change", booking.pk), 302)]
    assert "Booked, Wednesday 6 January 2027, 09:00 (Los Angeles time)" in says(done)[0]
    assert (booking.status, booking.source, booking.visit_type) == ("booked", "desk", "video")
    assert (booking.condition, booking.practitioner) == (condition, doctor)
    assert (booking.name, booking.phone.as_e164) == ("Ana Núñez", "+13235550177")
    assert (booking.spoken_language, booking.message) == ("English", "Jaw locks")
    assert booking.consent_at == NOW
    actors = AuditEvent.objects.filter(object_key=booking.reference).values_list("actor", flat=True)
    assert set(actors) == {desk.user.pk}
    assert booking.messages.filter(kind=Message.Kind.CONFIRMED).exists()


def ready(**changes):
    values = {"condition": "", "visit_type": "in_person", "practitioner": "",
              "start": "2027-01-06T17:00:00Z", "key": str(uuid.uuid4()), "step": "book",
              "edition": str(asked_of().edition.pk)}  # fmt: skip
    return values | CALLER | changes


def test_the_same_press_twice_books_once(desk, doctor):
    data = ready()
    for _ in range(2):
        assert desk.post(page("booking_add"), data).status_code == 302
    assert Booking.objects.count() == 1


def test_a_taken_time_keeps_what_was_typed(desk, doctor):
    make_booking(practitioner=doctor, starts_at=LATER)
    response = desk.post(page("booking_add"), ready())
    assert "just been taken" in says(response)[0]
    assert hidden(response)["email"] == "ana@example.org"
    again = desk.post(
        page("booking_add"),
        answers(response) | {"visit_type": "in_person", "step": "details",
                             "start": "2027-01-06T18:00:00Z"},
    )  # fmt: skip
    assert 'value="Ana Núñez"' in again.content.decode()
    assert Booking.objects.count() == 1


def test_wrong_details_say_what_is_wrong(desk, doctor):
    response = desk.post(page("booking_add"), ready(name="", phone="1", consent=""))
    assert response.status_code == 422
    for words in ("Enter your name", "Enter a phone number", "Tick the box"):
        assert words in response.content.decode()
    assert not Booking.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [{"start": ""}, {"start": "soon"}, {"visit_type": "fax"}, {"practitioner": "nobody"},
     {"condition": "nothing"}, {"step": ""}, {"step": "other"},
     {"start": "2027-01-06T03:00:00Z"}, {"start": "2020-01-06T18:00:00Z"}],
)  # fmt: skip
def test_tampered_answers_book_nothing(desk, doctor, changes):
    assert desk.post(page("booking_add"), ready(**changes)).status_code == 200
    assert not Booking.objects.exists()


def test_a_strange_key_is_no_error(desk, doctor):
    assert desk.post(page("booking_add"), ready(key="x" * 50)).status_code == 302


def test_a_caller_without_mail_is_told_the_reference(desk, doctor):
    response = desk.post(page("booking_add"), ready(email=""), follow=True)
    assert "tell the patient the reference" in says(response)[0]


def test_a_call_back_is_noted(desk):
    asked_of()
    data = {"visit_type": "phone", "condition": "", "practitioner": "", "key": str(uuid.uuid4())}
    second = desk.post(page("booking_add"), data | {"step": "call"})
    assert "To be called" in second.content.decode()
    data = answers(second) | CALLER | {"call_when": "After five", "step": "book_call"}
    response = desk.post(page("booking_add"), data, follow=True)
    booking = Booking.objects.get()
    assert "to be called" in says(response)[0]
    assert (booking.status, booking.call_when, booking.source) == ("waitlist", "After five", "desk")
    assert AuditEvent.objects.get(action="booking.callback_requested").actor == desk.user


def test_a_missed_patient_gets_a_new_booking_with_the_old_details(desk, doctor):
    missed = make_booking(practitioner=doctor, status="noshow", starts_at=EARLIER,
                          visit_type="video", name="Ana & Co")  # fmt: skip
    assert f"?again={missed.pk}" in desk.get(page("desk")).content.decode()
    response = desk.get(page("booking_add"), {"again": missed.pk})
    assert hidden(response)["name"] == "Ana &amp; Co"
    assert hidden(response)["email"] == missed.email
    assert '<option value="video" selected>' in response.content.decode()
    for again in ("", "x", "99999", "9" * 30, "²"):
        assert "name" not in hidden(desk.get(page("booking_add"), {"again": again}))


# --- how many queries -----------------------------------------------------------------------------


def fill(doctor, condition, count):
    for number in range(count):
        make_booking(practitioner=make_practitioner(), starts_at=EARLIER, condition=condition)
        make_booking(
            status="waitlist", created_at=NOW - timedelta(hours=number), condition=condition
        )
        make_booking(practitioner=doctor, status="noshow", condition=condition,
                     starts_at=EARLIER - timedelta(hours=1 + number))  # fmt: skip
        make_booking(practitioner=make_practitioner(), starts_at=LATER, condition=condition)
        waiting = make_booking(
            practitioner=make_practitioner(), status="pending", starts_at=EARLIER
        )
        offered(waiting, make_practitioner(), NOW + timedelta(hours=1))
        queue_message(waiting, Message.Kind.RECEIVED)
        Message.objects.update(state="failed")


def queries(client, address):
    """As for the second reader in five minutes: the numbers per condition are kept that long."""
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return [query["sql"] for query in captured]


@pytest.mark.parametrize(
    "address",
    ["desk", "outside", "list", "list?q=ana", "list?q=KX74", "list?q=a@example.org", "list?day=waiting",
     "list?day=outcome", "booking", "messages"],
)  # fmt: skip
def test_queries_do_not_grow_with_bookings(desk, doctor, address):
    condition = make_condition()
    booking = make_booking(practitioner=doctor, starts_at=EARLIER, condition=condition, name="Ana")
    queue_message(booking, Message.Kind.CONFIRMED)
    Message.objects.update(state="failed")
    make_closure(first_day=LATER.date(), last_day=LATER.date())
    make_booking(practitioner=doctor, starts_at=LATER, condition=condition)
    offered(make_booking(status="waitlist"), doctor, LATER + timedelta(days=1))
    name, _mark, query = address.partition("?")
    pages = {
        "desk": page("desk"),
        "outside": page("booking_outside"),
        "list": page("booking_changelist"),
        "booking": page("booking_change", booking.pk),
        "messages": page("message_changelist"),
    }
    path = f"{pages[name]}?{query}"
    desk.get(path)
    few = queries(desk, path)
    fill(doctor, condition, 15)
    for kind in (Message.Kind.CHANGED, Message.Kind.CANCELLED, Message.Kind.REMINDER):
        queue_message(booking, kind)
    many = queries(desk, path)
    assert len(many) == len(few), many
    assert len(many) <= 15, many


def test_the_list_never_counts_everything(desk, doctor):
    make_booking(practitioner=doctor)
    for sql in queries(desk, page("booking_changelist")):
        if "COUNT(" in sql:
            assert "LIMIT 5000" in sql
