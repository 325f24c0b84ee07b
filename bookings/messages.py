"""What we write to patients and to the desk: queue it, decide whether it is still true, write it.

A verb calls queue() in its own transaction, so a message exists exactly when its news does. The row
holds no text: bookings.outbox renders it from the booking as it is at that moment. Nothing written
here names a condition, a specialty, or anything that a patient typed but the name.
"""

import re
import unicodedata
from datetime import UTC, timedelta

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import Q
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from clinic import audit, mail_addresses
from clinic.models import Clinic, VisitType, parse_reminders

from . import calendars, links, times
from .models import Booking, Message

Kind = Message.Kind
Status = Booking.Status

WITHHELD = "Enough mails were sent to this mailbox today"
ASK_OUTCOME_AFTER = timedelta(hours=1)  # the desk is asked once, by mail, what became of a visit

_NEWS = (Kind.RECEIVED, Kind.CONFIRMED, Kind.CHANGED, Kind.CANCELLED)
_WITH_LINK = (
    Kind.RECEIVED, Kind.CONFIRMED, Kind.CHANGED, Kind.CALLBACK, Kind.LINK, Kind.REMINDER,
    Kind.OFFERED, Kind.PROVE,
)  # fmt: skip


# --- queueing -------------------------------------------------------------------------------------


def _key(booking, kind, occasion):
    return f"{booking.pk}:{kind}:{occasion}"


def queue(booking, kind, *, due_at=None, occasion=""):
    """Put one message into the outbox, in the caller's transaction; returns its key.

    The same booking, kind and occasion is queued once. The occasion is the booking's sequence
    unless given.
    """
    now = timezone.now()
    message = _row(booking, kind, occasion or booking.sequence, due_at or now, now)
    # One statement; a row that has this key already stays as it is.
    Message.objects.bulk_create([message], ignore_conflicts=True)
    return message.key


def _row(booking, kind, occasion, due_at, now):
    key = _key(booking, kind, occasion)
    return Message(key=key, booking=booking, kind=kind, created_at=now, due_at=due_at)


@transaction.atomic
def send_link(booking, *, by, now=None):
    """Staff mail the patient a new manage link; the earlier ones stop working at once."""
    now = now or timezone.now()
    links.revoke_all(booking, now=now)
    _queue_new_link(booking, now)
    audit.record("booking.link_sent", booking, by=by, at=now)


def _queue_new_link(booking, now):
    """A link for a patient whose earlier ones have just died; one that waits to be sent will do."""
    if not booking.messages.waiting().filter(kind=Kind.LINK).exists():
        queue(booking, Kind.LINK, occasion=f"{now:%Y%m%dT%H%M%S%f}")


@transaction.atomic
def contact_changed(booking, *, by, now=None):
    """Staff corrected the e-mail address or the phone number, which the caller has saved.

    Links that went to the old address die at once. The new one gets what did not reach the old, or
    else a new link, as far as there is anything left to manage.
    """
    now = now or timezone.now()
    links.revoke_all(booking, now=now)
    unsent = booking.messages.filter(state=Message.State.FAILED).exclude(kind__startswith="desk_")
    again = [requeue(message, by=by, now=now) for message in unsent if booking.email]
    if booking.email and not any(again):
        _queue_new_link(booking, now)


def may_remind(booking, now=None):
    """Whether there is a visit ahead that reminders could be mailed about."""
    ahead = booking.starts_at is not None and booking.starts_at > (now or timezone.now())
    return bool(booking.email) and ahead and booking.status in (Status.PENDING, Status.BOOKED)


@transaction.atomic
def set_reminders(booking, *, wanted, by, now=None):
    """Whether the patient wants reminders of this visit by e-mail; harmless when repeated."""
    changed = Booking.objects.filter(pk=booking.pk, wants_reminders=not wanted)
    if changed.update(wants_reminders=wanted):
        action = "booking.reminders_on" if wanted else "booking.reminders_off"
        audit.record(action, booking, by=by, at=now or timezone.now())


@transaction.atomic
def requeue(message, *, by, now=None):
    """Try a failed message again from the start; says whether it was a failed one.

    What no longer makes sense by then is dropped as ever.
    """
    failed = Message.objects.filter(pk=message.pk, state=Message.State.FAILED)
    again = failed.update(
        state=Message.State.QUEUED,
        tries=0,
        error="",
        due_at=now or timezone.now(),
        lease_until=None,
    )
    if again:
        audit.record(
            "booking.message_requeued", message.booking, by=by, details={"kind": message.kind}
        )
    return bool(again)


@transaction.atomic
def withhold(booking, *, after=0, now=None):
    """Do not send the patient what was queued after the message with the key ``after``.

    Strangers may have used up what is mailed to one mailbox in a day; the desk sees whom to phone.
    Until it has, what follows by itself is not mailed either, see still_makes_sense.
    What only asks for proof goes unsaid: without it the request ends by itself.
    """
    news = booking.messages.waiting().filter(pk__gt=after)
    news = news.exclude(Q(kind__startswith="desk_") | Q(kind=Kind.REMINDER))
    news.filter(kind=Kind.PROVE).update(state=Message.State.DROPPED)
    for message in news:
        Message.objects.filter(pk=message.pk).update(state=Message.State.FAILED, error=WITHHELD)
        details = {"kind": message.kind, "error": WITHHELD}
        audit.record("booking.message_failed", booking, by="system", details=details, at=now)


@transaction.atomic
def acknowledge(message, *, by):
    """Somebody told the patient what a failed message would have said; says whether it was failed.

    The row keeps its error, so that it still tells why the patient was phoned.
    """
    failed = Message.objects.filter(pk=message.pk, state=Message.State.FAILED)
    told = failed.update(state=Message.State.DROPPED, lease_until=None)
    if told:
        audit.record(
            "booking.unreachable_handled", message.booking, by=by, details={"kind": message.kind}
        )
    return bool(told)


def _reminder_occasion(name, starts_at):
    return f"{name}:{starts_at.astimezone(UTC):%Y%m%dT%H%MZ}"


def _outcome_occasion(booking):
    return f"{booking.starts_at.astimezone(UTC):%Y%m%dT%H%MZ}"


def _reminder_moment(starts_at, before, zone):
    """When a reminder is due (UTC): whole days before at the same wall-clock time, else elapsed."""
    if before % timedelta(days=1):
        return starts_at - before
    return (starts_at.astimezone(zone) - before).astimezone(UTC)


def plan_reminders(booking, now=None, clinic=None):
    """Queue the booking's reminders whose moment is still ahead; harmless when repeated.

    The start is part of their key: after a move the old ones no longer fit and are dropped.
    """
    clinic, now = clinic or Clinic.objects.current(), now or timezone.now()
    rows = [
        _row(booking, Kind.REMINDER, _reminder_occasion(name, booking.starts_at), moment, now)
        for name, before in parse_reminders(clinic.reminders)
        if (moment := _reminder_moment(booking.starts_at, before, clinic.zone)) > now
    ]
    ask_at = booking.ends_at + ASK_OUTCOME_AFTER
    rows.append(_row(booking, Kind.DESK_OUTCOME, _outcome_occasion(booking), ask_at, now))
    Message.objects.bulk_create(rows, ignore_conflicts=True)


def replan_reminders(now=None):
    """Plan for every coming confirmed booking again, so that a changed setting holds for all.

    Reminders that the setting no longer has are dropped when they are due. Returns how many
    bookings were looked at.
    """
    now, clinic, number = now or timezone.now(), Clinic.objects.current(), 0
    # Dropped before its moment: the clock was ahead for a while, and what it dropped is due again.
    Message.objects.filter(kind=Kind.REMINDER, state=Message.State.DROPPED, due_at__gt=now).update(
        state=Message.State.QUEUED
    )
    ahead = Booking.objects.filter(status=Status.BOOKED, starts_at__gt=now, is_demo=False)
    for booking in ahead.iterator():
        plan_reminders(booking, now, clinic)
        number += 1
    return number


# --- deciding -------------------------------------------------------------------------------------


def _reminder_fits(message, booking, now):
    """Whether it is for the present start, and no later reminder of that start is due by now."""
    clinic = Clinic.objects.current()
    reminders = parse_reminders(clinic.reminders)
    for position, (name, _before) in enumerate(reminders):
        occasion = _reminder_occasion(name, booking.starts_at)
        if message.key == _key(booking, Kind.REMINDER, occasion):
            later = (before for _name, before in reminders[position + 1 :])
            return all(
                _reminder_moment(booking.starts_at, before, clinic.zone) > now for before in later
            )
    return False


def _newest_news(message):
    """Whether nothing newer about the booking is queued or sent: the last word is enough."""
    return not Message.objects.filter(
        booking_id=message.booking_id, pk__gt=message.pk, kind__in=_NEWS
    ).exists()


def _is_withheld(booking):
    """Whether nobody of the mailbox has spoken yet, and the desk has not phoned them either."""
    return booking.proved_at is None and (
        booking.messages.filter(state=Message.State.FAILED, error=WITHHELD).exists()
    )


def _offers(booking, now):
    """The times that the clinic offers and still holds, soonest first."""
    return list(booking.offers.open_offers(now).select_related("practitioner"))


def still_makes_sense(message, booking, now):
    """Whether the message is still true and of use, with the booking as it is now."""
    if booking.erased_at:
        return False
    status, kind = booking.status, message.kind
    if kind in (Kind.REMINDER, Kind.CANCELLED, Kind.FOLLOW_UP) and _is_withheld(booking):
        return False
    if kind == Kind.OFFERED:  # also after the time that was asked for, which the offers replace
        return status in (Status.PENDING, Status.WAITLIST) and bool(_offers(booking, now))
    if booking.starts_at and booking.starts_at <= now:
        return (kind == Kind.FOLLOW_UP and status == Status.NOSHOW) or (
            message.key == _key(booking, Kind.DESK_OUTCOME, _outcome_occasion(booking))
            and status in (Status.BOOKED, Status.ARRIVED)
            and booking.ends_at <= now
        )
    if status in (Status.PENDING, Status.PROPOSED) and booking.hold_until:
        if booking.hold_until <= now:
            return False
    elif kind == Kind.PROVE:
        return False
    fits = {
        Kind.RECEIVED: (Status.PENDING,),
        Kind.CONFIRMED: (Status.BOOKED,),
        Kind.CHANGED: (Status.PENDING, Status.BOOKED),
        Kind.CANCELLED: (Status.CANCELLED,),
        Kind.CALLBACK: (Status.WAITLIST,),
        Kind.LINK: (Status.PENDING, Status.BOOKED, Status.WAITLIST),
        Kind.REMINDER: (Status.BOOKED,),
        Kind.PROVE: (Status.PENDING,),
        Kind.DESK_NEW: (Status.PENDING, Status.BOOKED, Status.WAITLIST),
        Kind.DESK_CHANGED: (Status.PENDING, Status.BOOKED),
        Kind.DESK_CANCELLED: (Status.CANCELLED,),
    }
    if status not in fits.get(kind, ()):
        return False
    if kind == Kind.REMINDER:
        return booking.wants_reminders and _reminder_fits(message, booking, now)
    return kind not in _NEWS or _newest_news(message)


# --- writing --------------------------------------------------------------------------------------


def _breaks(character):
    """Whether it is a control, format or space character, but for the two that join letters."""
    joins = character in "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"
    return unicodedata.category(character)[0] in "CZ" and not joins


def _greeting_name(name):
    """The name for the greeting, or "" when it could carry a link or an instruction of its own."""
    plain = "".join(" " if _breaks(c) else c for c in name)
    plain = " ".join(plain.split())[:80]
    suspicious = re.search(r"\d{3}|[:/\\@<>{}\[\]|=&%#;]|\w{2}\.\w{2}", plain)
    return "" if suspicious else plain


def _language(booking):
    known = booking.language in dict(settings.LANGUAGES)
    return booking.language if known else settings.LANGUAGE_CODE


def _render(name, context):
    text = render_to_string(f"bookings/messages/{name}", context)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _spoken(moment, zone):
    """Tuesday 24 November 2026, 10:30, Los Angeles time (UTC−8)."""
    words = {"city": times.zone_name(zone), "offset": times.zone_offset(zone, moment)}
    return f"{times.when(moment, zone, 'l j F Y')}, {_('%(city)s time (%(offset)s)') % words}"


def _patient_zone(booking, clinic):
    """The patient's zone where its clock shows another time at the start, else None."""
    zone = times.known_zone(booking.time_zone, clinic.zone)
    here, there = (booking.starts_at.astimezone(place) for place in (clinic.zone, zone))
    return None if here.utcoffset() == there.utcoffset() else zone


def _visit(booking, clinic):
    """Date, time, place and person of one booking, in words; how to get there, if it takes place."""
    zone, who = _patient_zone(booking, clinic), booking.practitioner
    kind = "" if booking.status == Status.CANCELLED else booking.visit_type
    how_to_join = clinic.video_note or _("We e-mail you how to join before the visit.")
    return {
        "when": _spoken(booking.starts_at, clinic.zone),
        "when_there": _spoken(booking.starts_at, zone) if zone else "",
        "practitioner": calendars.one_line(who.name) if who else "",
        "place": calendars.place(booking, clinic),
        "access_note": clinic.access_note if kind == VisitType.IN_PERSON else "",
        "join": how_to_join if kind == VisitType.VIDEO else "",
    }


def _change_until(booking, clinic, now):
    deadline = booking.change_deadline(clinic)
    return _spoken(deadline, clinic.zone) if deadline > now else ""


def _context(message, booking, clinic, now):
    """All a template may know: not the booking itself, which holds what nobody may mail."""
    context = {
        "clinic": clinic,
        "reference": booking.spoken_reference,
        "name": _greeting_name(booking.name),
        "book_url": settings.SITE_URL + reverse("bookings:start"),
        "by_clinic": booking.cancelled_by == Booking.CancelledBy.CLINIC,
        "language": translation.get_language(),
    }
    link_until = None
    if booking.starts_at:
        context["visit"] = _visit(booking, clinic)
        at, zone = booking.starts_at, clinic.zone
        context["when_short"] = f"{times.when(at, zone)} ({times.zone_name(zone)})"
        context["change_until"] = _change_until(booking, clinic, now)
    if message.kind == Kind.OFFERED:
        offers = _offers(booking, now)
        ends = [offer.hold_until for offer in offers] or [now]
        context["offers"] = [_visit(offer, clinic) for offer in offers]
        context["hold_until"] = _spoken(min(ends), clinic.zone)
        link_until = max(ends)
    if message.kind == Kind.PROVE:
        context["hold_until"] = _spoken(booking.hold_until, clinic.zone)
    if message.kind in _WITH_LINK:
        secret = links.issue(booking, now, at_least=link_until)
        path = reverse("bookings:open_link", args=[secret])
        context["manage_url"] = settings.SITE_URL + path
    if message.to_desk:
        path = reverse("admin:bookings_booking_change", args=[booking.pk])
        context["desk_url"] = settings.SITE_URL + path
    return context


def _calendar_method(message, booking):
    """Which iCalendar message goes along, if any."""
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


def recipient(message, booking, clinic):
    """The address the message goes to; "" when there is none."""
    return clinic.desk_email if message.to_desk else booking.email


def compose(message, booking, clinic, now):
    """The e-mail of this message as it reads now, with a fresh manage link. It is not sent.

    Raises whatever a broken template raises; the worker treats it as one message's trouble.
    """
    language = settings.LANGUAGE_CODE if message.to_desk else _language(booking)
    with translation.override(language):
        context = _context(message, booking, clinic, now)
        subject = _render(f"{message.kind}.subject.txt", context)
        text = _render(f"{message.kind}.txt", context)
        html = _render(f"{message.kind}.html", context)
    headers = {
        "Message-ID": message.message_id,
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }
    if message.kind == Kind.REMINDER:  # RFC 2369; a page with a button, so no List-Unsubscribe-Post
        headers["List-Unsubscribe"] = f"<{context['manage_url']}>"
    mail = EmailMultiAlternatives(
        subject=calendars.one_line(subject),
        body=text,
        from_email=clinic.sender,
        to=[mail_addresses.normal(recipient(message, booking, clinic))],
        reply_to=[clinic.email] if clinic.email else None,
        headers=headers,
    )
    mail.attach_alternative(html, "text/html")
    method = _calendar_method(message, booking)
    if method:
        calendar = calendars.booking_calendar(booking, method, now, clinic).decode()
        mail.attach("appointment.ics", calendar, f"text/calendar; method={method}")
    return mail
