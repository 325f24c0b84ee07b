"""A visit: one browser, one booking, half an hour, and an end that anybody can bring about."""

import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings import manage_links
from bookings.lifecycle import contact
from bookings.models import Booking, ManageLink
from clinic.models import Clinic
from tests.bookings.conftest import FormClient
from tests.factories import (
    make_booking,
    make_clinic,
    make_concern,
    make_gate,
    make_hours,
    make_practitioner,
)

pytestmark = pytest.mark.django_db

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)
PERSON = {
    "name": "Zelda Quill", "email": "zelda@example.org", "phone": "+1 323 555 0177",
    "language": "English", "message": "", "consent": "on", "call_when": "Mornings",
}  # fmt: skip
PAGES = (
    "/book/done/", "/booking/", "/booking/cancel/", "/booking/reschedule/", "/booking/calendar.ics",
)  # fmt: skip


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def doctor(db):
    make_clinic(languages_spoken="English")
    make_hours()
    make_gate()
    condition = make_concern(slug="jaw-pain", name="Jaw pain")
    condition.practitioners.add(make_practitioner(slug="doctor"))
    return condition.practitioners.get()


def up_to_check(browser, start="2027-01-04T17:00:00Z"):
    browser.post("/book/", {"condition": "jaw-pain", "visit_type": "in_person"})
    browser.post("/book/signs/", {"signs": "none"})
    browser.post("/book/time/", {"start": start})
    browser.post("/book/details/", PERSON)
    page = browser.get("/book/check/").content.decode()
    return re.search(r'name="key"\s+value="([^"]+)"', page).group(1)


@pytest.fixture
def made():
    """A browser that has just booked, with the key of its form."""
    browser = FormClient()
    browser.key = up_to_check(browser)
    assert browser.post("/book/check/", {"key": browser.key}).url == "/book/done/"
    return browser


def is_shown(browser):
    return "Zelda Quill" in browser.get("/booking/").content.decode()


def is_shut(browser):
    assert browser.get("/book/done/").url == "/booking/lost/"
    for path in PAGES[1:]:
        assert browser.get(path).status_code == 404
    for path in ("/booking/cancel/", "/booking/reschedule/", "/booking/reminders/"):
        assert browser.post(path, {"reason": "", "start": "x", "wanted": "no"}).status_code == 404
    assert Booking.objects.get().status == "pending"
    return True


# --- the key of the form --------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/book/check/", "/book/call/"])
@pytest.mark.parametrize("on_its_way", [False, True])
def test_the_key_opens_nothing_in_another_browser(made, path, on_its_way):
    """Not the one that was posted, and not the one that is stored."""
    other = FormClient()
    if on_its_way:
        up_to_check(other, start="2027-01-05T17:00:00Z")
    for key in (made.key, str(Booking.objects.get().idempotency_key)):
        answer = FormClient().post(path, {"key": key})
        assert answer.url == "/book/"
        if path == "/book/call/":
            other.post(path, {"key": key})
        assert other.get("/book/done/").url == "/booking/lost/"
        assert other.get("/booking/").status_code == 404
    assert Booking.objects.count() == 1


def test_the_key_is_not_stored(made):
    stored = str(list(Booking.objects.values())) + str(list(ManageLink.objects.values()))
    assert made.key not in stored
    assert Booking.objects.made_with(uuid.UUID(made.key)).get() == Booking.objects.get()
    assert not Booking.objects.made_with(Booking.objects.get().idempotency_key).exists()


def test_the_second_press_is_answered_in_its_own_browser(made):
    for _ in range(3):
        made.cookies.pop("manage")  # it was lost with the first answer
        assert made.post("/book/check/", {"key": made.key}).url == "/book/done/"
        assert is_shown(made)
    assert Booking.objects.count() == 1


def test_asking_for_a_call_twice_is_answered_too():
    browser = FormClient()
    browser.post("/book/", {"condition": "jaw-pain", "visit_type": "phone"})
    browser.post("/book/signs/", {"signs": "none"})
    page = browser.get("/book/call/").content.decode()
    key = re.search(r'name="key"\s+value="([^"]+)"', page).group(1)
    for _ in range(2):
        assert browser.post("/book/call/", PERSON | {"key": key}).url == "/book/done/"
        assert "We will call you" in browser.get("/book/done/").content.decode()
    assert Booking.objects.count() == 1


# --- one browser ----------------------------------------------------------------------------------


def test_a_copied_cookie_opens_nothing_elsewhere(made):
    thief = FormClient()
    thief.cookies["manage"] = made.cookies["manage"].value
    assert is_shut(thief)
    up_to_check(thief, start="2027-01-05T17:00:00Z")  # with a session of its own
    assert is_shut(thief)
    assert is_shown(made)


def test_a_visit_by_second_fact_is_bound_too():
    booking = make_booking(**{k: PERSON[k] for k in ("name", "email")}, phone="+13235550177")
    reader, thief = FormClient(), FormClient()
    reader.get(f"/booking/{manage_links.issue(booking)}/")
    assert not is_shown(reader)
    reader.post("/booking/", {"fact": "0177"})
    assert is_shown(reader)
    thief.cookies["manage"] = reader.cookies["manage"].value
    assert thief.get("/booking/").status_code == 404


def test_a_visit_is_no_link(made):
    assert ManageLink.objects.count() == 1
    value = made.cookies["manage"].value
    for part in (value, value.split(":")[0], ManageLink.objects.get().digest):
        assert FormClient().get(f"/booking/{part}/").status_code == 404


def test_no_secret_of_a_visit_is_stored(made):
    secret = made.cookies["manage"].value.split(":")[0]
    assert len(secret) >= 43
    assert secret not in str(list(ManageLink.objects.values()))
    assert made.session["browser"] not in str(list(ManageLink.objects.values()))


# --- its end --------------------------------------------------------------------------------------


def revoke_links(booking):
    manage_links.revoke_all_links(Clinic.objects.current(), by="system")


def send_again(booking):
    contact.send_link(booking, by="system")


@pytest.mark.parametrize("end", [manage_links.revoke_links_of, revoke_links, send_again])
def test_whatever_ends_the_links_ends_the_visit_at_once(made, end):
    """The confirmation page included, and for the key and a second press too."""
    assert is_shown(made)
    end(Booking.objects.get())
    assert is_shut(made)
    assert made.post("/book/check/", {"key": made.key}).url == "/booking/lost/"
    assert is_shut(made)


def test_it_ends_after_half_an_hour(made, clock):
    clock.shift(timedelta(minutes=29))
    assert is_shown(made)
    made.get("/book/done/")
    clock.shift(timedelta(minutes=1))
    assert is_shut(made), "looking at it does not make it longer"
    assert made.post("/book/check/", {"key": made.key}).url == "/booking/lost/"


@pytest.mark.parametrize("path", ["/book/done/", "/booking/"])
def test_signing_out_is_one_press(made, path):
    assert 'action="/booking/sign-out/"' in made.get(path).content.decode()
    other = FormClient()
    other.get(f"/booking/{manage_links.issue(Booking.objects.get())}/")
    cookies = {name: made.cookies[name].value for name in ("manage", "session")}
    answer = made.post("/booking/sign-out/")
    assert "You are signed out" in answer.content.decode()
    assert is_shut(made)
    for name, value in cookies.items():
        made.cookies[name] = value
    assert is_shut(made), "nor with the old cookies"
    made.post("/book/check/", {"key": made.key})
    assert is_shut(made)
    assert other.get("/booking/").status_code == 200, "the mailbox goes on working"


def test_signing_out_forgets_the_answers_and_every_booking_of_the_browser(made):
    first = made.cookies["manage"].value
    key = up_to_check(made, start="2027-01-05T17:00:00Z")
    made.post("/book/check/", {"key": key})
    up_to_check(made, start="2027-01-06T17:00:00Z")
    made.post("/booking/sign-out/")
    assert made.get("/book/details/").url == "/book/"
    assert not ManageLink.objects.valid().exists()
    made.cookies["manage"] = first
    assert made.get("/booking/").status_code == 404


def test_signing_out_takes_a_press_and_a_token(made):
    for method in (made.get, made.head):
        assert method("/booking/sign-out/").status_code == 405
    strict = FormClient(enforce_csrf_checks=True)
    assert strict.post("/booking/sign-out/").status_code == 403
    assert is_shown(made)
    assert "signed out" in FormClient().post("/booking/sign-out/").content.decode()


# --- looking --------------------------------------------------------------------------------------


def test_looking_writes_nothing(made):
    """Of the one who booked, of one who opened the link, and of one who gave the second fact."""
    secret = manage_links.issue(Booking.objects.get())
    opened, identified = FormClient(), FormClient()
    for browser in (opened, identified):
        browser.get(f"/booking/{secret}/")
    identified.post("/booking/", {"fact": "0177"})
    for browser in (made, opened, identified):
        for path in (*PAGES, f"/booking/{secret}/"):
            with CaptureQueriesContext(connection) as captured:
                browser.get(path)
            assert [q["sql"][:60] for q in captured if not q["sql"].startswith("SELECT")] == []
