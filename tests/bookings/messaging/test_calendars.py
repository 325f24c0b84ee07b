"""The calendar file: valid, neutral, and the same event every time. M-06, H-05, X-08."""

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from icalendar import Calendar

from bookings.messaging.calendars import booking_calendar
from tests.factories import make_booking, make_clinic, make_condition, make_practitioner

pytestmark = pytest.mark.django_db

HOSTILE = (
    "Line\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nSUMMARY:two",
    "BEGIN:VEVENT",
    'semi;colon, comma \\ "quote": x',
    "next\x85line \u2028 separator \u2029 and \x07 bell",
    "😀" * 60,
    "Zoë-Jiří Ἀλέξανδρος " * 5,
)


@pytest.fixture
def clinic(db):
    return make_clinic()


def events(content):
    calendar = Calendar.from_ical(content)
    assert not calendar.errors
    found = list(calendar.walk("VEVENT"))
    assert not any(event.errors for event in found)
    return found


def assert_well_formed(content):
    """RFC 5545: CRLF line ends, at most 75 octets a line, no control characters, one event."""
    assert content.endswith(b"\r\n")
    lines = content[:-2].split(b"\r\n")
    assert max(len(line) for line in lines) <= 75
    assert not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", b"".join(lines))
    assert b"\r\n ".join(lines).decode()
    assert len(events(content)) == 1


def test_one_event_in_the_clinics_zone(clinic):
    booking = make_booking()
    content = booking_calendar(booking)
    assert_well_formed(content)
    [event] = events(content)
    assert event["DTSTART"].dt == booking.starts_at
    assert event["DTSTART"].params["TZID"] == "America/Los_Angeles"
    assert event["DTEND"].dt == booking.ends_at
    assert event["UID"] == f"{booking.uid}@127.0.0.1"
    assert event["SUMMARY"] == "Consultation, Linden & Vale"
    assert (
        event["LOCATION"] == "Linden & Vale Clinic, 48 Linden Walk, Suite 2, Los Angeles, CA 90026"
    )
    assert event["CLASS"] == "PRIVATE"
    assert "ATTENDEE" not in event
    assert "METHOD" not in Calendar.from_ical(content)


@pytest.mark.parametrize(
    ("zone", "offset"),
    [
        ("America/Los_Angeles", "-0800"),
        ("America/Vancouver", "-0700"),  # all year since 2026; a stale zone database says -0800
        ("Asia/Kolkata", "+0530"),
        ("Australia/Lord_Howe", "+1100"),
    ],
)
def test_the_zone_rules_travel_with_the_event(zone, offset):
    make_clinic(time_zone=zone)
    booking = make_booking()
    content = booking_calendar(booking)
    [rules] = Calendar.from_ical(content).walk("VTIMEZONE")
    assert rules["TZID"] == zone
    assert f"TZOFFSETTO:{offset}" in content.decode()
    assert content.count(b"BEGIN:STANDARD") + content.count(b"BEGIN:DAYLIGHT") <= 2
    local = booking.starts_at.astimezone(ZoneInfo(zone))
    assert f"DTSTART;TZID={zone}:{local:%Y%m%dT%H%M%S}" in content.decode()


def test_the_second_of_two_equal_hours_is_written_in_utc(clinic):
    # 1 November 2026: 01:30 happens at 08:30 UTC and again at 09:30 UTC.
    first = booking_calendar(make_booking(starts_at=datetime(2026, 11, 1, 8, 0, tzinfo=UTC)))
    second = booking_calendar(make_booking(starts_at=datetime(2026, 11, 1, 9, 30, tzinfo=UTC)))
    assert "DTSTART;TZID=America/Los_Angeles:20261101T010000" in first.decode()
    assert "DTSTART:20261101T093000Z" in second.decode()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("pending", "TENTATIVE"),
        ("proposed", "TENTATIVE"),
        ("booked", "CONFIRMED"),
        ("fulfilled", "CONFIRMED"),
        ("cancelled", "CANCELLED"),
    ],
)
def test_status(clinic, status, expected):
    cancelled = {"cancelled_at": datetime(2026, 12, 1, tzinfo=UTC), "cancelled_by": "patient"}
    booking = make_booking(status=status, **cancelled if status == "cancelled" else {})
    [event] = events(booking_calendar(booking))
    assert event["STATUS"] == expected


def test_an_invitation_names_sender_and_guest_by_address_only(clinic):
    booking = make_booking(name="Very Private Name")
    content = booking_calendar(booking, method="REQUEST")
    assert_well_formed(content)
    [event] = events(content)
    assert Calendar.from_ical(content)["METHOD"] == "REQUEST"
    assert event["ORGANIZER"] == "mailto:hello@lindenvale.example"
    assert event["ATTENDEE"] == f"mailto:{booking.email}"
    assert b"Private Name" not in content


def test_the_same_event_with_a_higher_sequence_after_a_change(clinic):
    booking = make_booking()
    [before] = events(booking_calendar(booking, method="REQUEST"))
    booking.sequence += 1
    [after] = events(booking_calendar(booking, method="CANCEL"))
    assert before["UID"] == after["UID"]
    assert (before["SEQUENCE"], after["SEQUENCE"]) == (0, 1)


def test_a_call_back_has_no_calendar(clinic):
    with pytest.raises(ValueError, match="without a time"):
        booking_calendar(make_booking(status="waitlist"))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_stays_text(hostile):
    make_clinic(name=hostile[:120], short_name=hostile[:60], street=hostile[:120])
    booking = make_booking(
        name=hostile[:80], message=hostile, practitioner=make_practitioner(name=hostile[:120])
    )
    for method in (None, "REQUEST", "CANCEL"):
        content = booking_calendar(booking, method=method)
        assert_well_formed(content)
        [event] = events(content)
        short = " ".join(
            "".join(c if c.isprintable() and c != '"' else " " for c in hostile[:60]).split()
        )
        assert event["SUMMARY"] == f"Consultation, {short}"


@pytest.mark.parametrize("visit_type", ["video", "phone"])
def test_no_address_where_nobody_travels(clinic, visit_type):
    [event] = events(booking_calendar(make_booking(visit_type=visit_type)))
    assert event["LOCATION"].startswith("By ")
    assert "Walk" not in event["LOCATION"]


def test_nothing_says_what_the_visit_is_about(clinic):
    condition = make_condition(name="Hemizorp", medical_name="Zorpitis", synonyms="zorp; glims")
    booking = make_booking(
        condition=condition,
        message="My zorp hurts",
        staff_note="zorp again",
        practitioner=make_practitioner(role="Zorpologist", credentials="ZORP"),
    )
    assert b"zorp" not in booking_calendar(booking, method="REQUEST").lower()


# --- a real client --------------------------------------------------------------------------------

KHAL = """
[calendars]
[[visits]]
path = {folder}/visits
[sqlite]
path = {folder}/khal.db
[locale]
local_timezone = America/Los_Angeles
default_timezone = America/Los_Angeles
timeformat = %H:%M
dateformat = %Y-%m-%d
longdateformat = %Y-%m-%d
datetimeformat = %Y-%m-%d %H:%M
longdatetimeformat = %Y-%m-%d %H:%M
"""


def khal(folder, *arguments):
    """Run the calendar program khal on a calendar of its own; returns what it prints."""
    config = folder / "khal.conf"
    if not config.exists():
        (folder / "visits").mkdir()
        config.write_text(KHAL.format(folder=folder))
    program = Path(sys.executable).with_name("khal")
    done = subprocess.run(
        [program, "-c", config, *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_calendar_program_takes_the_visit_and_moves_it(clinic, tmp_path):
    """The same UID with a higher SEQUENCE moves the entry instead of adding a second one."""
    booking = make_booking(status="booked", starts_at=datetime(2027, 1, 4, 18, 30, tzinfo=UTC))
    first, second = tmp_path / "first.ics", tmp_path / "second.ics"
    first.write_bytes(booking_calendar(booking, "REQUEST"))
    khal(tmp_path, "import", "--batch", str(first))
    shown = khal(tmp_path, "list", "2027-01-01", "2027-01-31")
    assert "2027-01-04" in shown
    assert "10:30-11:00 Consultation, Linden & Vale" in shown
    day = timedelta(days=1)
    booking.starts_at += day
    booking.ends_at += day
    booking.sequence += 1
    second.write_bytes(booking_calendar(booking, "REQUEST"))
    khal(tmp_path, "import", "--batch", str(second))
    shown = khal(tmp_path, "list", "2027-01-01", "2027-01-31")
    assert "2027-01-04" not in shown
    assert shown.count("Consultation") == 1
    assert "2027-01-05" in shown
