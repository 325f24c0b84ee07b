"""T-02, T-03: the page, the mail, the calendar file and the desk show one and the same instant.

Around the clock changes of four zones, for patients in two others. What each shows is compared
with zoneinfo itself, not with our own formatting.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone
from icalendar import Calendar

from bookings import manage_links
from bookings.messaging import email as mails
from bookings.models import Message
from clinic.staff.adapters import DEMO_GROUP
from tests.factories import make_booking, make_clinic, make_practitioner, make_user, queue_message

pytestmark = pytest.mark.django_db

# Each clock change as a UTC instant: forward, back; Lord Howe by half an hour.
CHANGES = {
    "America/Los_Angeles": ["2027-03-14T10:00", "2027-11-07T09:00"],
    "Europe/Berlin": ["2027-03-28T01:00", "2027-10-31T01:00"],
    "Australia/Lord_Howe": ["2027-04-03T15:00", "2027-10-02T15:30"],
    "America/Vancouver": ["2026-11-01T09:00", "2027-03-14T10:00"],
}
OFFSETS = [-72, -24, -2, -1, -0.5, 0, 0.5, 1, 24, 72]  # hours around the change
PATIENTS = ["UTC", "Asia/Kolkata"]


def shown(at, zone):
    """The clock of a zone, with its letters where the same clock time comes twice that day."""
    local = at.astimezone(ZoneInfo(zone))
    again = [
        other
        for minutes in (-120, -60, -30, 30, 60, 120)
        if (other := (at + timedelta(minutes=minutes)).astimezone(ZoneInfo(zone))).replace(
            tzinfo=None, fold=0
        )
        == local.replace(tzinfo=None, fold=0)
    ]
    return f"{local:%H:%M} {local.tzname()}" if again else f"{local:%H:%M}"


@pytest.mark.parametrize("patient", PATIENTS)
@pytest.mark.parametrize("zone", CHANGES)
def test_round_trip(client, zone, patient):
    make_clinic(time_zone=zone, email="hello@lindenvale.example")
    doctor, staff = make_practitioner(), make_user("superuser")
    staff.groups.create(name=DEMO_GROUP)  # signs in on loopback without a second factor
    for change in CHANGES[zone]:
        middle = datetime.fromisoformat(change).replace(tzinfo=UTC)
        with time_machine.travel(middle - timedelta(days=10), tick=False):
            for hours in OFFSETS:
                at = middle + timedelta(hours=hours)
                booking = make_booking(
                    practitioner=doctor,
                    starts_at=at,
                    minutes=20,
                    time_zone=patient,
                    status="booked",
                )
                here, there = shown(at, zone), shown(at, patient)
                day_there = f"{at.astimezone(ZoneInfo(patient)):%A} "

                client.get(f"/booking/{manage_links.issue(booking)}/")
                page = client.get("/booking/").content.decode()
                assert there in page
                assert here in page
                assert day_there in page

                now = timezone.now()
                message = queue_message(booking, Message.Kind.CONFIRMED)
                mail = mails.compose(message, booking, now)
                assert here in mail.body
                assert there in mail.body

                attached = next(part for part in mail.attachments if part[0].endswith(".ics"))
                event = Calendar.from_ical(attached[1]).walk("VEVENT")[0]
                assert event.decoded("DTSTART").astimezone(UTC) == at

                client.force_login(staff)
                booking.refresh_from_db()
                desk = client.get(
                    reverse("admin:bookings_booking_change", args=[booking.pk]), follow=True
                )
                assert here in desk.content.decode()
                client.logout()
                booking.status, booking.cancelled_by, booking.cancelled_at = (
                    "cancelled",
                    "clinic",
                    now,
                )
                booking.save()
