"""Bookings in every state, for the browser tests. These functions run in the server's own Django:
see ``stage`` in conftest.py. Each takes what it needs from the starter clinic and returns plain data.
"""

import re
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from bookings import manage_links
from bookings.forms import DetailsForm
from bookings.lifecycle import answers, offers
from bookings.messaging import email as mails
from bookings.models import Booking, Message
from clinic.models import Practitioner, VisitType
from conditions import editions
from tests.factories import here, make_request, slot_search

FAR = 21  # days from now: other tests book from the first free days

# What people are called, and what somebody may type to see what happens.
NAMES = {
    "ordinary": "Nora Whitfield",
    "no space": "Wolfeschlegelsteinhausenbergerdorff" * 2 + "Hildegunst",
    "wide": "龍" * 80,
    "Arabic": "عبد الرحمن بن محمد بن عبد العزيز آل سعود الهاشمي القرشي المكي المدني البغدادي",
    "Hebrew": "אברהם בן יצחק הלוי מירושלים עיר הקודש תבנה ותכונן במהרה בימינו אמן ואמן סלה נצח",
    "Devanagari": "श्रीमती विजयलक्ष्मी कृष्णमूर्ति वेंकटरामन सुब्रह्मण्यम त्रिपाठी उपाध्याय जी",
    "emoji": "👩\u200d👩\u200d👧\u200d👦" * 11,
    "marks": "Z\u0351\u036b\u0357\u036a" * 16,
    "one letter": "Z",  # the ninth, so beyond what the board lists
}


def free(count, *, first=FAR):
    """``count`` free times, an hour or more apart for each practitioner."""
    today = timezone.localdate(timezone.now(), here().zone)
    found, last = [], {}
    slots = slot_search(visit_type=VisitType.PHONE).free(
        today + timedelta(first), today + timedelta(first + 20)
    )
    for slot in slots:
        before = last.get(slot.practitioner.pk)
        if before is None or slot.starts_at - before >= timedelta(hours=1):
            last[slot.practitioner.pk] = slot.starts_at
            found.append(slot)
        if len(found) == count:
            return found
    raise AssertionError(f"only {len(found)} of {count} times are free")


def ask(name, slot=None, *, zone="", **values):
    """A request for ``slot``, or a call-back."""
    slot = slot or free(1)[0]
    return make_request(
        start=slot.starts_at,
        practitioner=Practitioner.objects.get(pk=slot.practitioner.pk),
        visit_type=VisitType.PHONE,
        time_zone=zone,
        **_person(name) | values,
    )


def call_back(name, **values):
    return make_request(
        visit_type=VisitType.PHONE, call_when="Weekday mornings", **_person(name) | values
    )


def _person(name):
    return {
        "name": name,
        "email": "staged@example.org",
        "phone": "+13235550119",
        "spoken_language": "English",
        "consent_version": "staged",
        "asked": editions.emergency_signs(None),
    }


def offer(booking, count=2):
    slots = list({slot.starts_at: slot for slot in free(20, first=FAR + 7)}.values())[:count]
    people = Practitioner.objects.in_bulk([slot.practitioner.pk for slot in slots])
    times = [(slot.starts_at, people[slot.practitioner.pk]) for slot in slots]
    return offers.offer(booking, times=times, by="system")


def unreachable(booking):
    """A mail to this patient came back."""
    message = booking.messages.exclude(kind__startswith="desk_").first()
    message.state, message.error = Message.State.FAILED, "550 no such mailbox"
    message.save()
    return booking


def states():
    """A booking of each state that a mailed link can meet, by a name for the state."""
    pending, booked, offered, cancelled = (ask("Staged Patient", slot) for slot in free(4))
    answers.confirm(booked, by="system")
    offer(offered)
    answers.cancel(cancelled, by="system", cancelled_by=Booking.CancelledBy.CLINIC)
    found = {
        "pending": pending,
        "booked": booked,
        "offered": offered,
        "cancelled": cancelled,
        "abroad": ask("Staged Patient", zone="Asia/Kolkata"),
        "call-back": call_back("Staged Patient"),
        "unverified": ask("Staged Patient", verify_within=timedelta(minutes=15)),
        "lapsed": ask("Staged Patient", verify_within=timedelta(minutes=15)),
    }
    Booking.objects.filter(pk=found["lapsed"].pk).update(hold_until=timezone.now())
    for booking in found.values():
        booking.refresh_from_db()
    return found


def links_of_states():
    """The path of a fresh manage link to a booking of each state."""
    return {
        state: f"/booking/{manage_links.issue(booking)}/" for state, booking in states().items()
    }


def links_of_mails():
    """Every address that a mail about a booking of each state carries, as (state, kind, path)."""
    now, found = timezone.now(), []
    for state, booking in states().items():
        for kind in {*booking.messages.values_list("kind", flat=True), *_later(booking)}:
            message = Message(booking=booking, kind=kind, key=f"staged:{state}:{kind}", due_at=now)
            mail = mails.compose(message, booking, now)
            texts = [mail.body, *(text for text, _type in mail.alternatives)]
            paths = re.findall(re.escape(settings.SITE_URL) + r"""(/[^\s"'<>]*)""", " ".join(texts))
            found += [(state, kind, path) for path in sorted(set(paths))]
    return found


def _later(booking):
    """Messages that come once the day is near, or when they are asked for."""
    if booking.status == Booking.Status.BOOKED:
        return [Message.Kind.LINK, Message.Kind.REMINDER]
    return [Message.Kind.LINK] if booking.status == Booking.Status.PENDING else []


def dead_link():
    """The path of a link that opens nothing any more."""
    booking = ask("Staged Patient")
    path = f"/booking/{manage_links.issue(booking)}/"
    manage_links.revoke_links_of(booking)
    return path


def third_to_verify():
    """The path of a link that asks for proof of a mailbox which has proved two others."""
    whose = {"email": "twice@example.org"}
    proved = [call_back("Staged Patient", **whose).pk for _ in range(2)]
    Booking.objects.filter(pk__in=proved).update(verified_at=timezone.now())
    third = ask("Staged Patient", verify_within=timedelta(minutes=15), **whose)
    return f"/booking/{manage_links.issue(third)}/"


def named():
    """Each of NAMES once with a time, all on one day, and once to be called and out of reach.

    The first of them has waited longest. Returns the day.
    """
    zone, now, by_day = here().zone, timezone.now(), {}
    for slot in free(80):
        by_day.setdefault(timezone.localdate(slot.starts_at, zone), []).append(slot)
    day = next(day for day, slots in by_day.items() if len(slots) >= len(NAMES))
    field = DetailsForm(languages=["English"], visit_type="video").fields["name"]
    for number, (name, slot) in enumerate(zip(NAMES.values(), by_day[day], strict=False)):
        assert field.clean(name) == name, f"the form would not take this name: {name}"
        answers.confirm(ask(name, slot), by="system")
        waits = unreachable(call_back(name))
        age(waits, hours=1000 - number)
        waits.messages.update(due_at=now - timedelta(minutes=number))
    return day.isoformat()


def age(booking, *, hours):
    """Let the request have come that much earlier."""
    created = timezone.now() - timedelta(hours=hours)
    Booking.objects.filter(pk=booking.pk).update(created_at=created)
    return booking


def requests():
    """Two that wait, the oldest of all, and a confirmed one that begins now: their references."""
    *waiting, today = (ask("Kay Board", slot) for slot in free(3))
    for number, booking in enumerate(waiting):
        age(booking, hours=2000 - number)
    answers.confirm(today, by="system")
    start = timezone.now().replace(second=0, microsecond=0)
    end = start + timedelta(minutes=20)
    Booking.objects.filter(pk=today.pk).update(
        starts_at=start, ends_at=end, busy_from=start, busy_until=end
    )
    return [row.spoken_reference for row in (*waiting, today)]


def desk():
    """What makes every part of the board and of a booking's page appear."""
    offered, moved, outside = (ask("Staged Patient", slot) for slot in free(3))
    unreachable(offer(offered))
    answers.confirm(moved, by="system")
    answers.confirm(outside, by="system")
    night = outside.starts_at + timedelta(hours=12)
    Booking.objects.filter(pk=outside.pk).update(
        starts_at=night,
        ends_at=night + timedelta(minutes=20),
        busy_from=night,
        busy_until=night + timedelta(minutes=20),
    )
    day = timezone.localdate(offered.offers.first().starts_at, here().zone)
    return {"day": day.isoformat(), "offered": offered.pk, "moved": moved.pk}
