"""The list of bookings and the page of one: search, filters, contact details, several at once."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings.admin import search
from bookings.lifecycle import answers as lifecycle_answers
from bookings.models import Booking, Message
from clinic.admin.paginator import BoundedPaginator
from clinic.models import AuditEvent
from tests.bookings.admin.conftest import (
    EARLIER,
    HOSTILE,
    LATER,
    NOW,
    PAGES,
    listed,
    offered,
    page,
    press,
    says,
)
from tests.factories import (
    make_booking,
    make_closure,
    make_condition,
    make_practitioner,
    queue_message,
)

pytestmark = pytest.mark.django_db


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


# --- the list -------------------------------------------------------------------------------------


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
