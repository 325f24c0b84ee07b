"""Booking for somebody who calls, in two pages."""

import re
import uuid

import pytest

from bookings.models import Booking, Message
from clinic.models import AuditEvent
from tests.bookings.admin.conftest import EARLIER, LATER, NOW, page, says
from tests.factories import (
    asked_of,
    make_booking,
    make_concern,
)

pytestmark = pytest.mark.django_db


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
