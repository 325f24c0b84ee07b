"""The e-mail of a message, written when it is sent: nothing rendered is stored.

No subject names a concern, and no text repeats what the patient wrote.
"""

import re
import unicodedata
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from bookings import manage_links, times
from bookings.messaging.relevance import open_offers
from bookings.models import Booking, Message
from clinic import languages, mail_addresses

from . import calendars, channels

Kind = Message.Kind
Status = Booking.Status

_WITH_LINK = (
    Kind.RECEIVED, Kind.CONFIRMED, Kind.CHANGED, Kind.CALLBACK, Kind.LINK, Kind.REMINDER,
    Kind.OFFERED, Kind.VERIFY,
)  # fmt: skip


def _breaks(character: str) -> bool:
    """Return whether it is a control, format or space character, but for the two that join letters."""
    joins = character in "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"
    return unicodedata.category(character)[0] in "CZ" and not joins


def _greeting_name(name: str) -> str:
    """Return the name for the greeting, or "" when it could carry a link or an instruction of its own."""
    plain = "".join(" " if _breaks(c) else c for c in name)
    plain = " ".join(plain.split())[:80]
    suspicious = re.search(r"\d{3}|[:/\\@<>{}\[\]|=&%#;]|\w{2}\.\w{2}", plain)
    return "" if suspicious else plain


def render_words(name: str, context: dict[str, Any]) -> str:
    text = render_to_string(f"bookings/messages/{name}", context)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _spoken(moment: datetime, zone: ZoneInfo) -> str:
    """Tuesday 24 November 2026, 10:30, Los Angeles time (UTC−8)."""
    words = {"city": times.zone_name(zone), "offset": times.zone_offset(zone, moment)}
    return f"{times.when(moment, zone, 'l j F Y')}, {_('%(city)s time (%(offset)s)') % words}"


def _patient_zone(booking: Booking, starts_at: datetime) -> ZoneInfo | None:
    """Return the patient's zone where its clock shows another time at the start."""
    ours = booking.location.zone
    zone = times.known_zone(booking.time_zone, ours)
    here, there = (starts_at.astimezone(place) for place in (ours, zone))
    return None if here.utcoffset() == there.utcoffset() else zone


def _consultation(booking: Booking, starts_at: datetime) -> dict[str, str]:
    """Say date, time, place and person of one booking, in words; how to get there, if it takes place."""
    zone, who, location = _patient_zone(booking, starts_at), booking.practitioner, booking.location
    way, takes_place = booking.way, booking.status != Status.CANCELLED
    return {
        "when": _spoken(starts_at, location.zone),
        "when_there": _spoken(starts_at, zone) if zone else "",
        "practitioner": calendars.one_line(who.name) if who else "",
        "place": calendars.place(booking),
        "access_note": location.access_note if takes_place and way.at_clinic else "",
        "join": way.how_to_join(location.clinic) if takes_place else "",
    }


def _change_until(booking: Booking, now: datetime) -> str:
    deadline = booking.change_deadline
    return _spoken(deadline, booking.location.zone) if deadline > now else ""


def context_of(message: Message, booking: Booking, now: datetime) -> dict[str, Any]:
    """Collect all a template may know: not the booking itself, which holds what nobody may mail."""
    location = booking.location
    context: dict[str, Any] = {
        "clinic": location.clinic,
        "location": location,
        "reference": booking.spoken_reference,
        "name": _greeting_name(booking.name),
        "book_url": settings.SITE_URL + reverse("bookings:start"),
        "by_clinic": booking.cancelled_by == Booking.CancelledBy.CLINIC,
        "language": languages.active(),
    }
    link_until = None
    if booking.starts_at:
        at, zone = booking.starts_at, location.zone
        context["visit"] = _consultation(booking, at)
        context["when_short"] = f"{times.when(at, zone)} ({times.zone_name(zone)})"
        context["change_until"] = _change_until(booking, now)
    if message.kind == Kind.OFFERED:
        offers = open_offers(booking, now)
        ends = [offer.hold_until for offer in offers if offer.hold_until] or [now]
        context["offers"] = [
            _consultation(offer, offer.starts_at) for offer in offers if offer.starts_at
        ]
        context["hold_until"] = _spoken(min(ends), location.zone)
        link_until = max(ends)
    if message.kind == Kind.VERIFY:
        if booking.hold_until is None:
            raise ValueError("Nothing waits to be verified.")
        context["hold_until"] = _spoken(booking.hold_until, location.zone)
    if message.kind in _WITH_LINK:
        secret = manage_links.issue(booking, now, at_least=link_until)
        path = reverse("bookings:open_link", args=[secret])
        context["manage_url"] = settings.SITE_URL + path
    if message.to_desk:
        path = reverse("admin:bookings_booking_change", args=[booking.pk])
        context["desk_url"] = settings.SITE_URL + path
    return context


def _calendar_method(message: Message, booking: Booking) -> str | None:
    """Return which iCalendar message goes along, if any."""
    if booking.starts_at is None or message.to_desk:
        return None
    if message.kind in (Kind.CONFIRMED, Kind.CHANGED):
        return "REQUEST"
    if message.kind == Kind.CANCELLED:
        return "CANCEL"
    # A confirmed visit that its patient moved waits again; their calendar still has the old time.
    invited = Message.objects.filter(
        booking=booking, kind__in=(Kind.CONFIRMED, Kind.CHANGED), state=Message.State.SENT
    )
    return "REQUEST" if message.kind == Kind.RECEIVED and invited.exists() else None


def compose(message: Message, booking: Booking, now: datetime) -> EmailMultiAlternatives:
    """Write the e-mail of this message as it reads now, with a fresh manage link. It is not sent.

    Raises whatever a broken template raises; the worker treats it as one message's trouble.
    """
    language = languages.default() if message.to_desk else languages.spoken(booking.language)
    with translation.override(language):
        context = context_of(message, booking, now)
        subject = render_words(f"{message.kind}.subject.txt", context)
        text = render_words(f"{message.kind}.txt", context)
        html = render_words(f"{message.kind}.html", context)
    headers = {
        "Message-ID": message.message_id,
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }
    if message.kind == Kind.REMINDER:  # RFC 2369; a page with a button, so no List-Unsubscribe-Post
        headers["List-Unsubscribe"] = f"<{context['manage_url']}>"
    clinic = booking.location.clinic
    mail = EmailMultiAlternatives(
        subject=calendars.one_line(subject),
        body=text,
        from_email=clinic.sender,
        to=[mail_addresses.normal(channels.recipient(message, booking))],
        reply_to=[clinic.email] if clinic.email else None,
        headers=headers,
    )
    mail.attach_alternative(html, "text/html")
    method = _calendar_method(message, booking)
    if method:
        calendar = calendars.booking_calendar(booking, method, now).decode()
        mail.attach("appointment.ics", calendar, f"text/calendar; method={method}")
    return mail
