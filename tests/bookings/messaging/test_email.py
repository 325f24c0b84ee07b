"""What we write, and whether it is still true: M-06, M-07, M-08, M-10, H-04, H-05, T-06, X-04."""

import re
import tomllib
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ValidationError
from django.urls import resolve
from icalendar import Calendar

from bookings import manage_links
from bookings.lifecycle import contact
from bookings.messaging import email as mails
from bookings.messaging import queue, relevance
from bookings.models import Booking, ManageLink, Message
from clinic.models import parse_reminders
from tests.factories import (
    MONDAY,
    make_booking,
    make_clinic,
    make_condition,
    make_location,
    make_practitioner,
    queue_message,
)

pytestmark = pytest.mark.django_db

START = MONDAY + timedelta(hours=18, minutes=30)  # 10:30 in Los Angeles
BEFORE = START - timedelta(days=3)
Kind = Message.Kind
CANCELLED = {"status": "cancelled", "cancelled_by": "patient", "cancelled_at": BEFORE}
FITTING = {
    Kind.RECEIVED: {"status": "pending"},
    Kind.CONFIRMED: {"status": "booked"},
    Kind.CHANGED: {"status": "booked"},
    Kind.CANCELLED: CANCELLED,
    Kind.CALLBACK: {"status": "waitlist"},
    Kind.OFFERED: {"status": "pending"},
    Kind.LINK: {"status": "booked"},
    Kind.REMINDER: {"status": "booked"},
    Kind.FOLLOW_UP: {"status": "noshow"},
    Kind.VERIFY: {"status": "pending", "hold_until": BEFORE + timedelta(minutes=15)},
    Kind.DESK_NEW: {"status": "pending"},
    Kind.DESK_CHANGED: {"status": "pending"},
    Kind.DESK_CANCELLED: CANCELLED,
    Kind.DESK_OUTCOME: {"status": "booked"},
}
AFTER_VISIT = (Kind.FOLLOW_UP, Kind.DESK_OUTCOME)
WITH_LINK = {
    Kind.RECEIVED, Kind.CONFIRMED, Kind.CHANGED, Kind.CALLBACK, Kind.OFFERED, Kind.LINK,
    Kind.REMINDER, Kind.VERIFY,
}  # fmt: skip
HEALTH_WORDS = re.compile(
    r"\b(botulin\w*|toxins?|botox|inject\w*|treat\w*|therap\w*|symptom\w*|diagnos\w*|disease\w*"
    r"|disorder\w*|condition\w*|medic\w*|health\w*|doctors?|patients?|pain\w*|migraine\w*"
    r"|headache\w*|sleep\w*|bladder\w*|spastic\w*|dystoni\w*|bruxism|teeth|jaw|neurolog\w*"
    r"|specialt\w*|specialist\w*|ill(ness)?|sick\w*|drug\w*)\b",
    re.IGNORECASE,
)
HOSTILE_NAMES = (
    "Pat\r\nBcc: victim@example.net",
    "Pat\nSubject: You have won",
    "Pat\x85\u2028\u2029Bcc: victim@example.net",
    "BEGIN:VEVENT",
    "Click https://evil.example/now",
    "Visit evil.example and win",
    "<script>alert(1)</script>",
    "{{ clinic.phone }} {% now 'Y' %}",
    "%(city)s %s %d",
    "\u202eevil\u202c \x07 bell",
    "Call 0900 123456",
    'Quote " comma, semi; <x@example.net>',
    "😀" * 80,
    "",
)


@pytest.fixture(autouse=True)
def clinic(db):
    return make_clinic()


def moment_for(kind, booking):
    return booking.ends_at + timedelta(hours=1) if kind in AFTER_VISIT else BEFORE


def message_for(kind, **values):
    """A booking in which ``kind`` makes sense, and its message."""
    start = None if kind == Kind.CALLBACK else START
    usual = {"starts_at": start, "name": "Pat Example"}
    booking = make_booking(**usual | FITTING[kind] | values)
    if kind == Kind.OFFERED:
        make_booking(
            starts_at=START + timedelta(hours=2), status="proposed", offered_for=booking,
            hold_until=BEFORE + timedelta(days=1), visit_type=booking.visit_type,
        )  # fmt: skip
    occasion = ""
    if kind == Kind.REMINDER:
        occasion = queue.reminder_occasion("2-day", START)
    if kind == Kind.DESK_OUTCOME:
        occasion = queue.outcome_occasion(booking.starts_at)
    message = queue_message(booking, kind, occasion=occasion)
    message.message_id = f"<{message.pk}@clinic.example>"
    return message


def written(message, now=None):
    """The mail as a reader's program parses it, after a round trip through bytes."""
    booking = Booking.objects.get(pk=message.booking_id)
    now = now or moment_for(message.kind, booking)
    mail = mails.compose(message, booking, now)
    return message_from_bytes(mail.message().as_bytes(), policy=policy.default)


def parts(mail):
    """Subject, plain text, HTML and calendar; the calendar is "" when there is none."""
    calendar = list(mail.iter_attachments())
    return (
        mail["Subject"],
        mail.get_body(("plain",)).get_content(),
        mail.get_body(("html",)).get_content(),
        calendar[0].get_content() if calendar else "",
    )


def everything(mail):
    return "\n".join([*(f"{name}: {value}" for name, value in mail.items()), *parts(mail)])


# --- what a mail holds ----------------------------------------------------------------------------


def test_every_kind_is_covered():
    assert set(FITTING) == set(Kind)


@pytest.mark.parametrize("kind", list(Kind))
def test_every_mail_is_complete(kind):
    message = message_for(kind)
    mail = written(message)
    subject, text, html, _calendar = parts(mail)
    assert mail["From"] == "Linden & Vale Clinic <hello@lindenvale.example>"
    assert mail["Reply-To"] == "hello@lindenvale.example"
    to_desk = kind.startswith("desk_")
    assert mail["To"] == ("desk@lindenvale.example" if to_desk else message.booking.email)
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-Auto-Response-Suppress"] == "All"
    assert mail["Message-ID"] == message.message_id
    assert mail["Date"]
    assert message.booking.spoken_reference in text
    assert message.booking.spoken_reference in html
    assert not re.search(r"<(img|script|link|iframe|form)\b|url\(|@import|style=", html)
    html = re.sub(r"<style>.*?</style>", "", html, count=1, flags=re.DOTALL)
    assert "<style" not in html
    assert "\n\n\n" not in text
    assert "{" not in subject + text + html
    if not to_desk:
        for body in (text, html):
            assert f"Hello {message.booking.name}," in body
            assert "+1 323-555-0142" in body
            assert "911" in body
            assert "If you did not ask for this" in body


SUBJECTS = {
    Kind.RECEIVED: "Your appointment request: Mon 4 Jan, 10:30 (Los Angeles)",
    Kind.CONFIRMED: "Your appointment is confirmed: Mon 4 Jan, 10:30 (Los Angeles)",
    Kind.CHANGED: "Your appointment has a new time: Mon 4 Jan, 10:30 (Los Angeles)",
    Kind.CANCELLED: "Your appointment is cancelled: Mon 4 Jan, 10:30 (Los Angeles)",
    Kind.CALLBACK: "We will call you",
    Kind.OFFERED: "Times we can offer you",
    Kind.LINK: "Your new link",
    Kind.REMINDER: "Reminder: your appointment is on Mon 4 Jan, 10:30 (Los Angeles)",
    Kind.FOLLOW_UP: "We missed you",
    Kind.VERIFY: "Please confirm your address",
    Kind.DESK_NEW: "New request: {}",
    Kind.DESK_CHANGED: "Time changed online: {}",
    Kind.DESK_CANCELLED: "Cancelled online: {}",
    Kind.DESK_OUTCOME: "Outcome missing: {}",
}


@pytest.mark.parametrize("kind", list(Kind))
def test_subjects_are_those_on_the_list(kind):
    message = message_for(kind)
    assert written(message)["Subject"] == SUBJECTS[kind].format(message.booking.spoken_reference)


def health_words_of_the_starter():
    folder = django_settings.BASE_DIR / "conditions" / "starter" / "conditions"
    words = set()
    for path in folder.glob("*.toml"):
        content = tomllib.loads(path.read_text())
        record = content.get("condition", content)
        names = [
            record.get("name", ""),
            record.get("medical_name", ""),
            record.get("body_area", ""),
        ]
        synonyms = record.get("synonyms", "")
        names += synonyms if isinstance(synonyms, list) else synonyms.split(";")
        words |= {name.strip().lower() for name in names if len(name.strip()) > 2}
        words.add(path.stem)
    return words


@pytest.mark.parametrize("visit_type", ["in_person", "video", "phone"])
@pytest.mark.parametrize("kind", list(Kind))
def test_no_mail_says_what_the_visit_is_about(kind, visit_type):
    canary = "Hemizorp"
    message = message_for(
        kind,
        visit_type=visit_type,
        condition=make_condition(name=canary, medical_name=f"{canary}ia", synonyms=f"{canary}osis"),
        practitioner=make_practitioner(role=f"{canary}ologist", bio=canary, credentials=canary),
        message=f"My {canary} keeps me awake",
        call_when=f"after {canary}",
        staff_note=canary,
        cancel_reason=canary if kind == Kind.CANCELLED else "",
    )
    if kind == Kind.CALLBACK:
        Booking.objects.filter(pk=message.booking_id).update(practitioner=None)
    whole = re.sub(r"</?head>|(?<=/booking/)[\w-]+", "", everything(written(message))).lower()
    assert canary.lower() not in whole
    assert not HEALTH_WORDS.findall(whole)
    words = health_words_of_the_starter()
    assert len(words) > 30
    assert [word for word in words if re.search(rf"\b{re.escape(word)}\b", whole)] == []


@pytest.mark.parametrize("kind", list(Kind))
def test_every_link_is_ours_and_leads_somewhere(kind):
    message = message_for(kind)
    _subject, text, html, _calendar = parts(written(message))
    now = moment_for(kind, message.booking)
    in_text = set(re.findall(r"https?://[^\s<>\"]+", text))
    in_html = set(re.findall(r"https?://[^\s<>\"]+", html))
    assert in_text == in_html
    assert len(in_text) <= 1
    names = set()
    for address in in_text:
        path = address.removeprefix(django_settings.SITE_URL)
        assert path != address, "a link to another site"
        match = resolve(path)
        names.add(match.view_name)
        if match.view_name == "bookings:open_link":
            assert manage_links.look_up(match.kwargs["secret"], now).booking == message.booking
    if kind in WITH_LINK:
        assert names == {"bookings:open_link"}
    elif message.to_desk:
        assert names == {"admin:bookings_booking_change"}
    else:
        assert names == {"bookings:start"}


def test_each_writing_has_a_link_of_its_own_and_keeps_only_its_hash():
    message = message_for(Kind.CONFIRMED)
    found = [re.search(r"/booking/([\w-]+)/", parts(written(message))[1])[1] for _ in range(2)]
    assert found[0] != found[1]
    assert all(manage_links.look_up(secret, BEFORE) for secret in found)
    assert ManageLink.objects.count() == 2
    stored = str(list(Message.objects.values_list())) + str(list(ManageLink.objects.values_list()))
    assert not any(secret in stored for secret in found)


def test_the_time_is_given_in_the_clinics_zone_and_in_the_patients():
    here = parts(written(message_for(Kind.CONFIRMED)))
    there = parts(written(message_for(Kind.CONFIRMED, time_zone="Asia/Karachi")))
    same = parts(written(message_for(Kind.CONFIRMED, time_zone="America/Tijuana")))
    for body in (1, 2):
        assert "Monday 4 January 2027, 10:30, Los Angeles time (UTC−8)" in here[body]
        assert "Monday 4 January 2027, 10:30, Los Angeles time (UTC−8)" in there[body]
        assert "Monday 4 January 2027, 23:30, Karachi time (UTC+5)" in there[body]
        assert "On your clock" not in here[body]
        assert "On your clock" not in same[body]


def test_how_to_join_a_video_call_is_said():
    message = message_for(Kind.CONFIRMED, visit_type="video")
    assert "How to join: We e-mail you how to join before the visit." in parts(written(message))[1]
    make_clinic(video_note="Open https://video.lindenvale.example/room at your time.")
    _subject, text, html, _calendar = parts(written(message))
    assert "How to join: Open https://video.lindenvale.example/room at your time." in text
    assert 'href="https://video.lindenvale.example/room"' in html
    for visit_type in ("phone", "in_person"):
        other = message_for(Kind.CONFIRMED, visit_type=visit_type)
        assert "How to join" not in parts(written(other))[1]


def test_a_cancelled_visit_says_nothing_of_getting_there():
    make_clinic(access_note="Step-free entrance.")
    assert "Step-free" in parts(written(message_for(Kind.CONFIRMED, visit_type="in_person")))[1]
    assert "Step-free" not in parts(written(message_for(Kind.CANCELLED, visit_type="in_person")))[1]


def test_an_hour_that_happens_twice_is_told_apart():
    first = datetime(2026, 11, 1, 8, 30, tzinfo=UTC)
    subjects = [
        written(message_for(Kind.CONFIRMED, starts_at=start), first - timedelta(days=1))["Subject"]
        for start in (first, first + timedelta(hours=1))
    ]
    assert subjects == [
        "Your appointment is confirmed: Sun 1 Nov, 01:30 PDT (Los Angeles)",
        "Your appointment is confirmed: Sun 1 Nov, 01:30 PST (Los Angeles)",
    ]


def test_until_when_it_can_be_changed():
    message = message_for(Kind.CONFIRMED)
    before = parts(written(message))[1]
    assert "until Monday 4 January 2027, 06:30, Los Angeles time (UTC−8)" in before
    after = parts(written(message, START - timedelta(hours=3)))[1]
    assert "too late to move or cancel it online" in after
    assert "See it:" in after
    assert "See, move or cancel it:" not in after


def test_place_and_person():
    practitioner = make_practitioner(name="Dr. Elena Marlow", role="Neurologist")
    body = parts(written(message_for(Kind.CONFIRMED, practitioner=practitioner)))[1]
    assert "With: Dr. Elena Marlow\n" in body
    assert "48 Linden Walk, Suite 2, Los Angeles, CA 90026" in body
    assert "By video" in parts(written(message_for(Kind.CONFIRMED, visit_type="video")))[1]
    phone = parts(written(message_for(Kind.CONFIRMED, visit_type="phone")))[1]
    assert "By phone: we call you" in phone


def test_an_offer_lists_the_times_still_held():
    request = make_booking(status="waitlist")
    for hours in (1, 2):
        make_booking(
            starts_at=START + timedelta(hours=hours), status="proposed", offered_for=request,
            hold_until=BEFORE + timedelta(hours=hours),
        )  # fmt: skip
    message = queue_message(request, Kind.OFFERED)
    message.message_id = "<x@clinic.example>"
    body = parts(written(message, BEFORE))[1]
    assert "11:30" in body
    assert "12:30" in body
    assert "until Friday 1 January 2027, 11:30, Los Angeles time" in body, "the first that ends"
    body = parts(written(message, BEFORE + timedelta(minutes=90)))[1]
    assert "11:30" not in body
    assert not relevance.still_makes_sense(message, request, BEFORE + timedelta(hours=2))


def test_an_offer_outlives_the_time_that_was_asked_for():
    request, held_until = (
        make_booking(starts_at=START, status="pending"),
        START + timedelta(hours=40),
    )
    make_booking(
        starts_at=START + timedelta(hours=50), status="proposed", offered_for=request,
        hold_until=held_until,
    )  # fmt: skip
    message = queue_message(request, Kind.OFFERED)
    message.message_id = "<x@clinic.example>"
    assert relevance.still_makes_sense(message, message.booking, START + timedelta(minutes=30))
    written(message, START)
    assert ManageLink.objects.get(booking=message.booking).expires_at == held_until


# --- the calendar that goes along ----------------------------------------------------------------


@pytest.mark.parametrize("kind", list(Kind))
def test_which_mail_carries_which_calendar(kind):
    mail = written(message_for(kind))
    calendar = parts(mail)[3]
    expected = {Kind.CONFIRMED: "REQUEST", Kind.CHANGED: "REQUEST", Kind.CANCELLED: "CANCEL"}
    if kind not in expected:
        assert calendar == ""
        return
    [part] = mail.iter_attachments()
    assert part.get_content_type() == "text/calendar"
    assert part.get_param("method") == expected[kind]
    assert part.get_content_charset() == "utf-8"
    parsed = Calendar.from_ical(calendar)
    assert parsed["METHOD"] == expected[kind]
    assert len(list(parsed.walk("VEVENT"))) == 1
    assert max(len(line.encode()) for line in calendar.splitlines()) <= 75


def test_uid_stays_and_sequence_rises_from_mail_to_mail():
    booking = make_booking(starts_at=START, status="booked", sequence=1)
    seen = []
    for kind, status in (
        (Kind.CONFIRMED, "booked"),
        (Kind.CHANGED, "booked"),
        (Kind.CANCELLED, ""),
    ):
        message = queue_message(booking, kind)
        message.message_id = "<x@clinic.example>"
        [event] = Calendar.from_ical(parts(written(message))[3]).walk("VEVENT")
        seen.append((str(event["UID"]), event["SEQUENCE"]))
        booking.sequence += 1
        if status == "":
            break
        booking.save()
    assert [sequence for _uid, sequence in seen] == [1, 2, 3]
    assert len({uid for uid, _sequence in seen}) == 1


def test_a_confirmed_visit_that_its_patient_moved_is_moved_in_their_calendar():
    message = message_for(Kind.RECEIVED, sequence=2)
    Message.objects.create(
        booking=message.booking, kind=Kind.CONFIRMED, key="earlier", state="sent", due_at=BEFORE
    )
    parsed = Calendar.from_ical(parts(written(message))[3])
    assert parsed["METHOD"] == "REQUEST"
    assert parsed.walk("VEVENT")[0]["STATUS"] == "TENTATIVE"


# --- hostile and missing data ---------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize("kind", [Kind.RECEIVED, Kind.CONFIRMED, Kind.CANCELLED, Kind.DESK_NEW])
def test_a_hostile_name_does_nothing(kind, name):
    message = message_for(kind, name=name[:80])
    mail = written(message)
    subject, text, html, calendar = parts(mail)
    assert mail["Subject"] == SUBJECTS[kind].format(message.booking.spoken_reference)
    assert mail["To"].addresses[0].addr_spec in (message.booking.email, "desk@lindenvale.example")
    assert mail["Bcc"] is None
    assert len(mail.get_all("Subject")) == 1
    assert "evil" not in text.partition("\n\n")[2] + calendar
    assert not re.search(r"evil\.example|0900 123|victim@", everything(mail))
    assert "<script" not in html
    assert calendar.count("BEGIN:VEVENT") == (kind in (Kind.CONFIRMED, Kind.CANCELLED))
    first_line = text.split("\n")[0]
    assert kind == Kind.DESK_NEW or re.fullmatch(r"Hello[^\n\r\x00\u2028\u202e]*,", first_line)


@pytest.mark.parametrize(
    "name", ["Zoë Nuñez-Ó Briain", "J. R. O'Hara", "李小龍", "Ms. Ann (Annie) Lee"]
)
def test_an_ordinary_name_is_greeted(name):
    _subject, text, html, _calendar = parts(written(message_for(Kind.CONFIRMED, name=name)))
    assert f"Hello {name}," in text
    assert f"Hello {name.replace(chr(39), '&#x27;')}," in html


@pytest.mark.parametrize("kind", list(Kind))
def test_missing_data_is_no_exception(kind):
    make_clinic(
        name="", short_name="", phone="", email="", street="", city="", region="", postal_code="",
        emergency_number="",
    )  # fmt: skip
    message = message_for(kind, name="", phone="", time_zone="Mars/Olympus", language="xx-mars")
    mail = written(message)
    assert mail["From"].addresses[0].addr_spec == "no-reply@127.0.0.1"
    assert mail["Reply-To"] is None
    assert all(parts(mail)[:3])


def test_the_configured_sender_wins_over_the_clinics(settings):
    settings.DEFAULT_FROM_EMAIL = "Mailer <post@mailer.example>"
    mail = written(message_for(Kind.CONFIRMED))
    assert mail["From"] == "Linden & Vale Clinic <post@mailer.example>"
    assert mail["Reply-To"] == "hello@lindenvale.example"


def test_a_hostile_clinic_name_adds_no_header():
    make_clinic(name='Vale"\r\nBcc: x@example.net', short_name="V\nB")
    mail = written(message_for(Kind.CONFIRMED))
    assert mail["Bcc"] is None
    assert [address.addr_spec for address in mail["From"].addresses] == ["hello@lindenvale.example"]


# --- queueing -------------------------------------------------------------------------------------


def test_the_same_news_is_queued_once():
    booking = make_booking()
    first = queue_message(booking, Kind.CONFIRMED)
    assert queue_message(booking, Kind.CONFIRMED) == first
    booking.sequence += 1
    assert queue_message(booking, Kind.CONFIRMED) != first
    assert first.key == f"{booking.pk}:confirmed:0"


def links_waiting(booking):
    return booking.messages.waiting().filter(kind=Kind.LINK).count()


def test_staff_send_a_link_and_the_earlier_ones_die():
    """R-09"""
    booking = make_booking()
    first = manage_links.issue(booking, BEFORE)
    contact.send_link(booking, by="system", now=BEFORE)
    assert manage_links.look_up(first, BEFORE) is None
    assert links_waiting(booking) == 1
    contact.send_link(booking, by="system", now=BEFORE)
    assert links_waiting(booking) == 1, "the one that waits will do"
    Message.objects.update(state="sent")
    second = manage_links.issue(booking, BEFORE)
    contact.send_link(booking, by="system", now=BEFORE + timedelta(seconds=1))
    assert manage_links.look_up(second, BEFORE) is None
    assert links_waiting(booking) == 1


def test_a_corrected_address_gets_a_new_link_and_the_old_ones_die():
    """R-09"""
    booking = make_booking()
    secret = manage_links.issue(booking, BEFORE)
    contact.correct(booking, changes={"email": "new@example.org"}, by="system", now=BEFORE)
    assert manage_links.look_up(secret, BEFORE) is None
    assert links_waiting(booking) == 1


def test_a_corrected_address_gets_what_did_not_reach_the_old_one():
    booking = make_booking()
    failed = queue_message(booking, Kind.CONFIRMED)
    to_desk = queue_message(booking, Kind.DESK_NEW)
    Message.objects.update(state="failed", error="SMTP 550 for the recipient")
    contact.correct(booking, changes={"email": "new@example.org"}, by="system", now=BEFORE)
    failed.refresh_from_db()
    to_desk.refresh_from_db()
    assert (failed.state, failed.error) == ("queued", "")
    assert to_desk.state == "failed"
    assert links_waiting(booking) == 0, "what is sent again carries a link"


def test_without_an_address_nothing_is_queued():
    booking = make_booking(email="")
    secret = manage_links.issue(booking, BEFORE)
    queue_message(booking, Kind.CONFIRMED)
    Message.objects.update(state="failed")
    contact.correct(booking, changes={"phone": "+13235550178"}, by="system", now=BEFORE)
    assert manage_links.look_up(secret, BEFORE) is None
    assert not booking.messages.waiting().exists()


# --- reminders ------------------------------------------------------------------------------------


def reminders_of(booking):
    return {
        message.key.split(":")[2]: message.due_at
        for message in booking.messages.filter(kind=Kind.REMINDER)
    }


def test_reminders_a_week_two_days_and_two_hours_before():
    booking = make_booking(starts_at=START)
    for _ in range(2):
        queue.plan_reminders(booking, START - timedelta(days=20))
    assert reminders_of(booking) == {
        "7-day": START - timedelta(days=7),
        "2-day": START - timedelta(days=2),
        "2-hour": START - timedelta(hours=2),
    }


def test_no_reminder_whose_moment_has_passed():
    booking = make_booking(starts_at=START)
    queue.plan_reminders(booking, START - timedelta(days=2))
    assert set(reminders_of(booking)) == {"2-hour"}


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("America/Los_Angeles", date(2027, 3, 15)),  # the day after spring forward
        ("America/Los_Angeles", date(2026, 11, 2)),  # the day after fall back
        ("Europe/Berlin", date(2027, 3, 29)),
        ("Australia/Lord_Howe", date(2027, 4, 5)),  # half an hour
        ("Asia/Kolkata", date(2027, 1, 4)),
    ],
)
def test_days_before_means_the_same_time_on_the_clock(zone, day):
    location = make_location(time_zone=zone)
    local = datetime(day.year, day.month, day.day, 12, 0, tzinfo=ZoneInfo(zone))
    booking = make_booking(starts_at=local.astimezone(UTC))
    queue.plan_reminders(booking, booking.starts_at - timedelta(days=20))
    due = {name: at.astimezone(location.zone) for name, at in reminders_of(booking).items()}
    assert due["2-day"].date() == day - timedelta(days=2)
    assert due["7-day"].date() == day - timedelta(days=7)
    assert [due[name].strftime("%H:%M") for name in ("2-day", "7-day")] == ["12:00", "12:00"]
    assert booking.starts_at - reminders_of(booking)["2-hour"] == timedelta(hours=2)


def reminder(booking, name="2-day"):
    return queue_message(
        booking, Kind.REMINDER, occasion=queue.reminder_occasion(name, booking.starts_at)
    )


def test_a_reminder_of_another_start_is_dropped():
    booking = make_booking(starts_at=START)
    message = reminder(booking)
    assert relevance.still_makes_sense(message, booking, BEFORE)
    booking.starts_at += timedelta(hours=1)
    assert not relevance.still_makes_sense(message, booking, BEFORE)


def test_a_late_reminder_gives_way_to_the_next():
    booking = make_booking(starts_at=START)
    week, two_days = reminder(booking, "7-day"), reminder(booking)
    late = START - timedelta(days=2)
    assert relevance.still_makes_sense(week, booking, late - timedelta(seconds=1))
    assert not relevance.still_makes_sense(week, booking, late)
    assert relevance.still_makes_sense(two_days, booking, late)


# --- deciding at the moment of sending ------------------------------------------------------------


@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_makes_sense_in_its_place_and_never_after_erasure(kind):
    message = message_for(kind)
    now = moment_for(kind, message.booking)
    assert relevance.still_makes_sense(message, message.booking, now)
    message.booking.erased_at = now
    assert not relevance.still_makes_sense(message, message.booking, now)


@pytest.mark.parametrize("kind", sorted(set(Kind) - set(AFTER_VISIT) - {Kind.CALLBACK}))
def test_nothing_is_sent_once_the_visit_has_begun(kind):
    message = message_for(kind)
    assert not relevance.still_makes_sense(message, message.booking, START)


@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.CANCELLED, Kind.DESK_CANCELLED}))
def test_a_cancelled_booking_gets_only_the_news_of_it(kind):
    message = message_for(kind)
    for field, value in CANCELLED.items():
        setattr(message.booking, field, value)
    message.booking.save()
    now = moment_for(kind, message.booking)
    assert not relevance.still_makes_sense(message, message.booking, now)


def test_only_the_last_news_is_told():
    booking = make_booking(starts_at=START, status="booked")
    confirmed, changed = (queue_message(booking, kind) for kind in (Kind.CONFIRMED, Kind.CHANGED))
    assert not relevance.still_makes_sense(confirmed, booking, BEFORE)
    assert relevance.still_makes_sense(changed, booking, BEFORE)


def test_a_request_whose_hold_lapsed_hears_nothing_more():
    message = message_for(Kind.VERIFY)
    assert not relevance.still_makes_sense(message, message.booking, message.booking.hold_until)


# --- reminders as a setting -----------------------------------------------------------------------


def test_a_changed_setting_holds_for_bookings_already_made():
    booking = make_booking(status="booked", starts_at=START)
    before = START - timedelta(days=20)
    queue.plan_reminders(booking, before)
    old = Message.objects.get(key__contains=":reminder:7-day")
    make_clinic(reminders="3 days, 1 hour")
    booking = Booking.objects.get()
    assert queue.replan_reminders(before) == 1
    assert set(reminders_of(booking)) == {"7-day", "2-day", "2-hour", "3-day", "1-hour"}
    assert not relevance.still_makes_sense(old, booking, START - timedelta(days=7))
    new = Message.objects.get(key__contains=":reminder:3-day")
    assert relevance.still_makes_sense(new, booking, START - timedelta(days=3))


def test_no_reminders_is_a_setting_too():
    make_clinic(reminders="")
    booking = make_booking(status="booked", starts_at=START)
    queue.plan_reminders(booking, START - timedelta(days=20))
    assert not booking.messages.filter(kind=Kind.REMINDER).exists()


@pytest.mark.parametrize(
    "text", ["soon", "0 days", "7", "1 day,, x", "1 month", "9999 days", "1 day, " * 6]
)
def test_a_setting_that_is_not_understood_is_refused(text):
    with pytest.raises(ValidationError):
        parse_reminders(text)


def test_the_desk_is_asked_once_for_the_outcome():
    booking = make_booking(status="booked", starts_at=START)
    queue.plan_reminders(booking, START - timedelta(days=1))
    asked = Message.objects.get(kind=Kind.DESK_OUTCOME)
    assert asked.due_at == booking.ends_at + timedelta(hours=1)
    assert relevance.still_makes_sense(asked, booking, asked.due_at)
    booking.status = "fulfilled"
    assert not relevance.still_makes_sense(asked, booking, asked.due_at)


def test_the_desk_is_asked_once_after_a_move():
    booking = make_booking(starts_at=START, status="booked")
    queue.plan_reminders(booking, START - timedelta(days=1))
    booking.starts_at, booking.ends_at = START + timedelta(hours=2), START + timedelta(hours=3)
    booking.busy_from, booking.busy_until = booking.starts_at, booking.ends_at
    booking.save()
    queue.plan_reminders(booking, START - timedelta(days=1))
    later = START + timedelta(days=1)
    asked = [
        message
        for message in Message.objects.filter(kind=Kind.DESK_OUTCOME)
        if relevance.still_makes_sense(message, booking, later)
    ]
    assert len(asked) == 1
