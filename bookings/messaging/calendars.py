"""A booking as an iCalendar file (RFC 5545): the same event in every mail and download.

Calendars are shared and synchronised, so nothing in it says what the visit is about.
"""

from datetime import UTC, date, datetime, timedelta
from email.utils import parseaddr
from functools import lru_cache

from django.conf import settings
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from icalendar import Calendar, Event, Timezone, vCalAddress, vText

from bookings.models import Booking
from clinic import languages

_STATUS: dict[str, str] = {
    Booking.Status.PROPOSED: "TENTATIVE",
    Booking.Status.PENDING: "TENTATIVE",
    Booking.Status.CANCELLED: "CANCELLED",
}


def one_line(text: str) -> str:
    """Return the text without line breaks, control characters and the quotes that end a parameter."""
    return " ".join("".join(c if c.isprintable() and c != '"' else " " for c in text).split())


def place(booking: Booking) -> str:
    """Say where the visit is, in the language that is active: the address, or how we meet."""
    if not booking.way.at_clinic:
        return str(booking.way.place)
    location = booking.location
    town = " ".join(part for part in (location.region, location.postal_code) if part)
    parts = [location.clinic.name, location.street, location.city, town]
    return ", ".join(one_line(part) for part in parts if part)


@lru_cache(maxsize=64)
def _time_zone(name: str, first_day: date, last_day: date) -> Timezone:
    return Timezone.from_tzid(name, first_date=first_day, last_date=last_day)


def _people(event: Event, booking: Booking) -> None:
    """Add sender and guest, by address alone: an invitation needs both, and neither says why."""
    clinic = booking.location.clinic
    sender = clinic.email or parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
    if not (sender and booking.email):
        return
    organizer = vCalAddress(f"mailto:{one_line(sender)}")
    organizer.params["CN"] = vText(one_line(clinic.name))
    event.add("organizer", organizer)
    guest = vCalAddress(f"mailto:{one_line(booking.email)}")
    guest.params["PARTSTAT"] = vText("ACCEPTED")
    guest.params["RSVP"] = vText("FALSE")
    event.add("attendee", guest)


def booking_calendar(
    booking: Booking, method: str | None = None, now: datetime | None = None
) -> bytes:
    """Write the booking as a calendar of one event, encoded.

    ``method`` is "REQUEST" or "CANCEL" for a mail, and None for a download. The UID never changes
    and SEQUENCE rises with each change, so that calendars move the event they have. Raises
    ValueError for a call-back, which has no time.
    """
    if booking.starts_at is None or booking.ends_at is None:
        raise ValueError("A booking without a time has no calendar entry.")
    location = booking.location
    starts_at = booking.starts_at.astimezone(location.zone)
    ends_at = booking.ends_at.astimezone(location.zone)
    # In an hour that happens twice, a local time means the first one; only UTC can say the second.
    if starts_at.fold or ends_at.fold:
        starts_at, ends_at = starts_at.astimezone(UTC), ends_at.astimezone(UTC)

    calendar = Calendar()
    calendar.add("prodid", f"-//{settings.SITE_HOST}//Bookings//EN")
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    if method:
        calendar.add("method", method)
    if starts_at.tzinfo is not UTC:
        day = timedelta(days=1)
        calendar.add_component(
            _time_zone(location.time_zone, starts_at.date() - day, ends_at.date() + 2 * day)
        )
    event = Event()
    event.add("uid", f"{booking.uid}@{settings.SITE_HOST}")
    event.add("dtstamp", now or timezone.now())
    event.add("sequence", booking.sequence)
    event.add("dtstart", starts_at)
    event.add("dtend", ends_at)
    event.add("status", _STATUS.get(booking.status, "CONFIRMED"))
    event.add("transp", "OPAQUE")
    event.add("class", "PRIVATE")
    with translation.override(languages.spoken(booking.language)):
        event.add("summary", _("Consultation, %s") % one_line(location.clinic.short_name))
        event.add("location", place(booking))
        event.add("description", _description(booking))
    if method:
        _people(event, booking)
    calendar.add_component(event)
    return calendar.to_ical()


def _description(booking: Booking) -> str:
    lines = [_("Reference: %s") % booking.spoken_reference]
    if booking.practitioner:
        lines.insert(0, _("With %s") % one_line(booking.practitioner.name))
    if phone := booking.location.phone:
        lines.append(_("Questions: %s") % phone.as_international)
    return "\n".join(lines)
