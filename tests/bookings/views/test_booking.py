"""The booking steps over HTTP: order, kept answers, refusals, one booking a key."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from bookings.desk import exports
from bookings.lifecycle import answers
from bookings.messaging import email as mails
from bookings.models import Booking, Message
from clinic.models import Practitioner
from clinic.plain_text import clean_text
from tests.bookings.guest import NINE, PERSON, answer, key_of
from tests.factories import (
    here,
    make_booking,
    make_clinic,
    make_concern,
    make_gate,
    make_hours,
    make_practitioner,
    slot_search,
)

pytestmark = pytest.mark.django_db

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)  # Monday 04:00 in Los Angeles


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def concern():
    make_clinic(languages_spoken="English, Turkish")
    make_hours()
    make_gate()
    condition = make_concern(slug="jaw-pain", name="Jaw pain")
    condition.practitioners.add(make_practitioner(slug="doctor"))
    return condition


def book(client, **steps):
    return client.post("/book/check/", {"key": key_of(answer(client, **steps))})


# --- the way through ------------------------------------------------------------------------------


def test_the_whole_way(client, concern):
    response = book(client)
    assert response.url == "/book/done/"
    booking = Booking.objects.get()
    assert (booking.status, booking.condition, booking.name) == ("pending", concern, "Ayşe Demir")
    assert booking.starts_at == datetime(2027, 1, 4, 17, tzinfo=UTC)
    assert (booking.phone, booking.spoken_language) == ("+13235550119", "English")
    assert (booking.consent_at, booking.consent_version) == (NOW, "2026-11")
    page = client.get("/book/done/").content.decode()
    assert "We are holding your time" in page
    assert booking.spoken_reference in page
    assert "Los Angeles time" in page
    assert set(Message.objects.values_list("kind", flat=True)) == {"received", "desk_new"}
    calendar = client.get("/booking/calendar.ics")
    assert calendar["Content-Type"].startswith("text/calendar")
    assert b"BEGIN:VEVENT" in calendar.content
    assert b"Jaw" not in calendar.content


def test_a_link_from_a_page_chooses_the_concern(client, concern):
    page = client.get("/book/?condition=jaw-pain").content.decode()
    assert re.search(r'value="jaw-pain"[^>]*checked', page)
    unknown = client.get("/book/?condition=nothing-like-it")
    assert unknown.status_code == 200
    assert "checked" not in unknown.content.decode()


def test_not_sure_is_an_answer(client, concern):
    book(client, condition="other")
    assert Booking.objects.get().condition is None


@pytest.mark.parametrize("step", ["signs", "time", "details", "check", "call"])
def test_steps_cannot_be_skipped(client, concern, step):
    assert client.get(f"/book/{step}/").url == "/book/"
    client.post("/book/", {"condition": "jaw-pain", "visit_type": "in_person"})
    if step != "signs":
        assert client.get(f"/book/{step}/").url == "/book/signs/"
        assert client.post(f"/book/{step}/", {"start": NINE}).url == "/book/signs/"


def test_an_emergency_ends_without_a_calendar(client, concern):
    client.post("/book/", {"condition": "jaw-pain", "visit_type": "in_person"})
    response = client.post("/book/signs/", {"signs": "yes"})
    assert response.url == "/book/urgent/"
    page = client.get("/book/urgent/").content.decode()
    assert "Call 911" in page
    assert "<form" not in page
    assert client.get("/book/time/").url == "/book/", "nothing is kept"


def test_the_signs_are_asked_again_for_another_concern(client, concern):
    make_concern(slug="neck-pain")
    answer(client, until="time")
    client.post("/book/", {"condition": "neck-pain", "visit_type": "in_person"})
    assert client.get("/book/time/").url == "/book/signs/"


def test_answers_are_kept_between_steps(client, concern):
    answer(client)
    assert "Ayşe Demir" in client.get("/book/details/").content.decode()
    assert re.search(rf'value="{NINE}"[^>]*checked', client.get("/book/time/").content.decode())


def test_call_me_needs_no_time(client, concern):
    answer(client, until="time")
    response = client.post("/book/call/", PERSON | {"call_when": "Mornings", "email": ""})
    assert response.url == "/book/done/"
    booking = Booking.objects.get()
    assert (booking.status, booking.call_when) == ("waitlist", "Mornings")
    assert "We will call you" in client.get("/book/done/").content.decode()


def test_a_booking_keeps_the_language_in_which_it_was_made(client, concern, settings):
    settings.LANGUAGES = [("en", "English"), ("de", "Deutsch")]
    answer(client, until="time")
    response = client.post("/de/book/call/", PERSON | {"call_when": "Mornings"})
    assert response.url == "/de/book/done/"
    assert Booking.objects.get().language == "de"
    answer(client)
    client.post("/de/book/check/", {"key": key_of(client.get("/de/book/check/"))})
    assert Booking.objects.latest("pk").language == "de"


def test_a_policy_switch_books_at_once(client, concern):
    make_clinic(confirm_at_once=True)
    book(client)
    assert "Your consultation is booked" in client.get("/book/done/").content.decode()


# --- times ----------------------------------------------------------------------------------------


def test_times_are_shown_in_the_chosen_zone_and_the_clinics(client, concern):
    answer(client, until="time")
    page = client.get("/book/time/?zone=Europe/Istanbul").content.decode()
    assert "20:00" in page, "09:00 in Los Angeles"
    assert "09:00 in Los Angeles" in page
    assert "Istanbul" in client.get("/book/time/").content.decode(), "the choice is remembered"


def test_the_same_instants_are_offered_in_every_zone(client, concern):
    answer(client, until="time")
    found = []
    for zone in ("America/Los_Angeles", "Asia/Kolkata", "Pacific/Kiritimati", "Europe/Istanbul"):
        instants = set()
        for day in range(2, 12):
            page = client.get(f"/book/time/?zone={zone}&day=2027-01-{day:02}").content.decode()
            instants |= set(re.findall(r'name="start"\s+value="([^"]+)"', page))
        found.append({at for at in instants if "2027-01-05" < at < "2027-01-09"})
    assert len(found[0]) > 40
    assert all(instants == found[0] for instants in found)


@pytest.mark.parametrize("day", ["2027-02-30", "x", "1-1-1", "9999-12-31", "0001-01-01", ""])
@pytest.mark.parametrize("zone", ["Mars/Base", "", "../../etc", "Europe/Istanbul"])
def test_odd_days_and_zones_still_show_times(client, concern, day, zone):
    answer(client, until="time")
    assert client.get("/book/time/", {"day": day, "zone": zone}).status_code == 200


@pytest.mark.parametrize(
    "start",
    ["", "x", "2027-01-04", "2027-01-04T17:00:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00Z"],
)
def test_a_tampered_time_asks_again(client, concern, start):
    answer(client, until="time")
    response = client.post("/book/time/", {"start": start})
    assert response.status_code == 422
    assert "Choose a time" in response.content.decode()


def test_a_past_time_is_gone_and_others_are_offered(client, concern):
    answer(client, until="time")
    response = client.post("/book/time/", {"start": "2027-01-03T17:00:00Z"})
    assert response.status_code == 409
    assert response.content.decode().count('class="earliest"') == 3


def test_a_time_that_goes_while_one_types(client, concern):
    """The page names the three nearest, keeps what was typed, and the new choice books."""
    key = key_of(answer(client))
    make_booking(
        practitioner=concern.practitioners.get(), starts_at=datetime(2027, 1, 4, 17, tzinfo=UTC)
    )
    response = client.post("/book/check/", {"key": key})
    page = response.content.decode()
    assert response.status_code == 409
    assert "That time has just gone" in page
    nearest = re.findall(r'name="start"\s+value="([^"]+)"', page)
    assert nearest == ["2027-01-04T17:30:00Z", "2027-01-04T18:00:00Z", "2027-01-04T18:30:00Z"]
    assert client.post("/book/time/", {"start": nearest[0]}).url == "/book/check/"
    client.post("/book/check/", {"key": key_of(client.get("/book/check/"))})
    assert Booking.objects.get(name="Ayşe Demir").starts_at.minute == 30


def test_nothing_free_offers_a_call(client, concern):
    make_clinic(minimum_notice=60 * 24 * 365)
    answer(client, until="time")
    page = client.get("/book/time/").content.decode()
    assert "Ask us to call me" in page
    assert "no free time" in page


@pytest.mark.parametrize("named", [[], ["doctor"], ["doctor", "other"]])
def test_the_chooser_lists_whoever_the_search_finds(client, concern, named):
    for slug in ("other", "third"):
        make_practitioner(slug=slug)
    make_practitioner(slug="by-phone", visit_types=["video", "phone"])
    concern.practitioners.set(Practitioner.objects.filter(slug__in=named))
    page = answer(client, until="time").content.decode()
    offered = re.findall(r'<option value="([a-z-]+)"', page.partition('name="with"')[2])
    day = NOW.date()
    found = slot_search(condition=concern, visit_type="in_person").free(day, day)
    who = {slot.practitioner.slug for slot in found}
    assert who == set(named or ["doctor", "other", "third"])
    assert set(offered) == (who if len(who) > 1 else set()), "one doctor needs no chooser"


# --- pressing twice -------------------------------------------------------------------------------


def test_pressing_twice_makes_one_booking(client, concern):
    """R-01, R-03: the second press, with the answers gone, shows the same confirmation."""
    key = key_of(answer(client))
    first = client.post("/book/check/", {"key": key})
    again = client.post("/book/check/", {"key": key})
    assert first.url == again.url == "/book/done/"
    assert Booking.objects.count() == 1
    assert Message.objects.filter(kind="received").count() == 1


def test_a_lost_answer_is_found_again(client, concern):
    """R-03: stored, but the browser never read the answer; its session still has the answers."""
    page = answer(client)
    session = dict(client.session)
    client.post("/book/check/", {"key": key_of(page)})
    stale = client.session
    stale["booking"] = session["booking"]
    stale.save()
    assert client.post("/book/check/", {"key": key_of(page)}).url == "/book/done/"
    assert Booking.objects.count() == 1


def test_a_reused_key_with_other_answers_is_refused(client, concern):
    """R-02"""
    page = answer(client)
    before = client.session["booking"]
    client.post("/book/check/", {"key": key_of(page)})
    stale = client.session
    said = before["said"]["details"] | {"name": "Somebody Else"}
    stale["booking"] = before | {"said": {"details": said}}
    stale.save()
    response = client.post("/book/check/", {"key": key_of(page)})
    assert response.status_code == 409
    assert Booking.objects.count() == 1


def test_back_and_refresh(client, concern):
    """R-04: after the booking every old step leads to the start, none to an error."""
    book(client)
    for step in ("signs", "time", "details", "check", "call"):
        assert client.get(f"/book/{step}/").url == "/book/"
    assert client.get("/book/done/").status_code == 200
    assert Booking.objects.count() == 1


def test_done_without_a_booking_leads_to_the_lost_link(client, concern):
    assert client.get("/book/done/").url == reverse("bookings:lost_link")


# --- what people type -----------------------------------------------------------------------------

HOSTILE = {
    "a NUL byte": "Pat\x00Example",
    "a right-to-left override": "Pat \u202eelpmaxE",
    "an isolate": "Pat \u2066Example",
    "a line break": "Pat\nBcc: all@example.org",
    "a line separator": "Pat\u2028Example",
    "an escape": "Pat\x1b[31m",
    "only invisible": "\u200b\u200b\u2060",
    "a tower of marks": "P" + "\u0301" * 500,
    "10,000 characters": "x" * 10_000,
    "nothing": "",
}
WELCOME = [
    "Ş",
    "O'Brien",
    "İsmail Işık",
    "محمد علي",
    "משה כהן",
    "李小龍",
    "नेहा",
    "نیک\u200cزاد",  # with the non-joiner that Persian spelling needs
    "Zoë 👩‍⚕️ Faye",
    "x" * 80,
]


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_a_name_we_cannot_use_is_an_error_beside_the_field(client, concern, value):
    """U-01"""
    answer(client, until="details")
    response = client.post("/book/details/", PERSON | {"name": value})
    page = response.content.decode()
    assert response.status_code == 422
    assert "There is a problem" in page
    assert 'id="id_name_error"' in page
    assert "ayse@example.org" in page, "the rest is kept"
    assert "<title>Error: " in page


@pytest.mark.parametrize("value", WELCOME)
def test_every_real_name_goes_through_unchanged(client, concern, value):
    """U-01: through form, database, page, mail and exported file, in one Unicode form (NFC)."""
    decomposed = unicodedata.normalize("NFD", value)
    book(client, person=PERSON | {"name": decomposed, "message": value})
    booking = Booking.objects.get()
    assert (booking.name, booking.message) == (value, value)
    client.get("/book/done/")
    assert value.replace("'", "&#x27;") in client.get("/booking/").content.decode()
    received = Message.objects.get(kind="received")
    received.message_id = "<x@clinic.example>"
    mail = mails.compose(received, booking, NOW)
    assert f"Hello {value}," in mail.body
    [_header, row] = exports.rows([booking], here().zone)
    assert value in row


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "ayse@example"),
        ("email", "a@b.c\nBcc: x@y.z"),
        ("email", "ayşe@örnek"),
        ("email", "x" * 10_000 + "@example.org"),
        ("phone", "12345"),
        ("phone", "<script>"),
        ("language", "Klingon"),
        ("message", "x" * 1001),
        ("message", "\x00"),
        ("consent", ""),
    ],
)
def test_other_fields_say_how_to_put_it_right(client, concern, field, value):
    answer(client, until="details")
    response = client.post("/book/details/", PERSON | {field: value})
    assert response.status_code == 422
    assert "Ayşe Demir" in response.content.decode()


def test_limits_in_characters(client, concern):
    """U-04: the form and the database agree at the limit and one beyond."""
    answer(client, until="details")
    ok = client.post("/book/details/", PERSON | {"message": "ş" * 1000})
    assert ok.url == "/book/check/"
    client.post("/book/check/", {"key": key_of(client.get("/book/check/"))})
    assert len(Booking.objects.get().message) == 1000


def test_lone_surrogates_are_refused():
    with pytest.raises(ValidationError):
        clean_text("Pat \ud800")


def test_an_international_domain_is_stored_in_ascii(client, concern):
    """U-03"""
    book(client, person=PERSON | {"email": "pat@bücher.example"})
    assert Booking.objects.get().email == "pat@xn--bcher-kva.example"


def test_extra_fields_change_nothing(client, concern):
    """P-03: only what the form has is read."""
    extra = {
        "status": "booked", "id": "1", "practitioner_id": "9", "created_at": "2000-01-01",
        "consent_at": "2000-01-01", "reference": "AAAAAAAA", "confirmed_at": "2000-01-01",
        "is_staff": "1", "source": "desk",
    }  # fmt: skip
    page = answer(client, person=PERSON | extra)
    client.post("/book/check/", {"key": key_of(page)} | extra)
    booking = Booking.objects.get()
    assert (booking.status, booking.source, booking.confirmed_at) == ("pending", "web", None)
    assert booking.reference != "AAAAAAAA"
    assert booking.created_at == NOW


@pytest.mark.parametrize("condition", ["unknown", "", "\x00", "x" * 5000, "jaw-pain'--"])
def test_an_unknown_concern_is_an_error(client, concern, condition):
    response = client.post("/book/", {"condition": condition, "visit_type": "in_person"})
    assert response.status_code == 422
    assert client.get("/book/signs/").url == "/book/"


def test_a_concern_that_is_closed_meanwhile(client, concern):
    page = answer(client)
    concern.accepts_bookings = False
    concern.save()
    assert client.post("/book/check/", {"key": key_of(page)}).status_code in (302, 409)


def test_tampered_session_data_starts_again(client, concern):
    answer(client)
    for broken in ({"condition": "jaw-pain", "evil": 1}, ["x"], "x", None):
        session = client.session
        session["booking"] = broken
        session.save()
        assert client.get("/book/check/").url == "/book/"


def test_files_and_big_bodies_are_refused(client, concern):
    upload = {"file": SimpleUploadedFile("x.txt", b"x" * 10)}
    assert Client().post("/book/", upload).status_code == 415
    body = "name=" + "x" * 100_000
    form = "application/x-www-form-urlencoded"
    assert client.post("/book/", body, content_type=form).status_code == 413


@pytest.mark.parametrize(
    "path", ["/book/%00/", "/booking/%00/", "/conditions/%00/", "/?q=%00", "/%1b"]
)
def test_control_characters_in_addresses(client, concern, path):
    assert client.get(path).status_code in (400, 404)


def test_confirmed_while_the_desk_acts(client, concern):
    """The confirmation page reads the row again."""
    book(client)
    answers.confirm(Booking.objects.get(), by="system", now=NOW + timedelta(minutes=1))
    assert "Your consultation is booked" in client.get("/book/done/").content.decode()
