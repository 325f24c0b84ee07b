"""A lived-in week for the demo: fictitious people, relative to today, made by the real verbs.

Only `make run` on a loopback address calls it, so that a newcomer sees the product at work. Every
row is marked ``is_demo``, every address ends in ``.example``, and nothing is left to be sent. A
start on a later day makes the week again, but for rows that somebody has touched.
"""

from datetime import datetime, time, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from clinic import audit
from clinic.models import Actor, AuditEvent, Location, VisitType
from conditions import editions
from conditions.models import Condition

from .availability.search import SlotSearch
from .lifecycle import answers, offers, requests, visits
from .models import Booking, Message

LOADED = audit.Action.DEMO_WEEK_LOADED
CONSENT = "demo"
AT_CLINIC, ON_VIDEO, BY_PHONE = VisitType.IN_PERSON, VisitType.VIDEO, VisitType.PHONE
Status = Booking.Status
Kind = Message.Kind


class Visit(NamedTuple):
    """Somebody's consultation: ``day`` from today, not before ``hour`` on the clinic's clock.

    ``ends`` is what becomes of it: a Booking.Status, or "offered" for a request that the clinic
    answered with other times. ``asked`` is how many hours ago a waiting request came in.
    """

    name: str
    concern: str
    how: str
    day: int
    hour: int
    ends: str
    asked: float = 72
    note: str = ""


VISITS = [
    Visit("Marisol Quintero", "chronic-migraine", AT_CLINIC, -6, 9, Status.FULFILLED),
    Visit("Theo Lindqvist", "bruxism", AT_CLINIC, -6, 11, Status.FULFILLED),
    Visit("Prudence Achebe", "overactive-bladder", AT_CLINIC, -5, 8, Status.NOSHOW),
    Visit("Walter Ippolito", "upper-limb-spasticity", AT_CLINIC, -5, 10, Status.FULFILLED),
    Visit("Hande Yıldız", "tmj-disorders", ON_VIDEO, -4, 14, Status.FULFILLED),
    Visit("Ottilie Brandt", "cervical-dystonia", AT_CLINIC, -3, 9, Status.FULFILLED),
    Visit("Rafael Montenegro", "restless-legs", BY_PHONE, -2, 13, Status.CANCELLED),
    Visit("Imogen Fairweather", "myofascial-pain", AT_CLINIC, -1, 10, Status.FULFILLED),
    Visit("Desmond Okafor", "chronic-migraine", AT_CLINIC, -1, 14, Status.BOOKED),
    Visit("Greta Halvorsen", "chronic-migraine", AT_CLINIC, 0, 8, Status.FULFILLED),
    Visit("Joaquín Prieto", "bruxism", AT_CLINIC, 0, 10, Status.ARRIVED),
    Visit("Beatrix Nakamura", "overactive-bladder", AT_CLINIC, 0, 9, Status.BOOKED),
    Visit("Leopold Anders", "upper-limb-spasticity", AT_CLINIC, 0, 11, Status.BOOKED),
    Visit("Sunniva Dahl", "cervical-dystonia", ON_VIDEO, 0, 13, Status.BOOKED),
    Visit("Emre Karaca", "tmj-disorders", AT_CLINIC, 0, 15, Status.BOOKED),
    Visit("Philippa Thorne", "myofascial-pain", AT_CLINIC, 1, 9, Status.BOOKED),
    Visit(
        "Casimir Wolny", "chronic-migraine", AT_CLINIC, 1, 10, Status.PENDING, 21, "Any hour suits."
    ),
    Visit("Alma Figueroa", "bruxism", AT_CLINIC, 2, 11, Status.PENDING, 3),
    Visit("Rosalind Peake", "restless-legs", BY_PHONE, 2, 14, Status.BOOKED),
    Visit("Tobias Engström", "overactive-bladder", AT_CLINIC, 3, 8, "offered", 9),
    Visit("Nilufar Rahimi", "chronic-migraine", ON_VIDEO, 4, 15, Status.PENDING, 0.4),
    Visit("Cornelius Webb", "cervical-dystonia", AT_CLINIC, 5, 9, Status.BOOKED),
    Visit("Ida Solberg", "upper-limb-spasticity", AT_CLINIC, 6, 10, Status.PENDING, 30),
    Visit("Marguerite Lacroix", "tmj-disorders", AT_CLINIC, 8, 11, Status.BOOKED),
]
# Name, concern, when it suits them, hours since they asked.
CALL_BACKS = [
    ("Augustin Pell", "chronic-migraine", "Weekday mornings before 11", 5),
    ("Birgit Olafsen", "", "Any day after 4 PM", 26),
]


@transaction.atomic
def load(*, now=None):
    """Make the week if this is its first start today; returns how many bookings were made.

    Raises ValueError away from loopback: nothing fictitious belongs on a public site.
    """
    if not settings.ON_LOOPBACK:
        raise ValueError("The demo week is for this machine's own address only.")
    now = now or timezone.now()
    location = Location.objects.current()
    today = now.astimezone(location.zone).date()
    done = {"day": today.isoformat()}
    if AuditEvent.objects.filter(action__in=LOADED.spellings, details=done).exists():
        return 0
    _clear()
    known = set(Booking.objects.filter(is_demo=True).values_list("name", flat=True))
    made = [
        _visit(visit, number, location, today, now)
        for number, visit in enumerate(VISITS)
        if visit.name not in known
    ]
    made += [
        _call_back(entry, number, location, now)
        for number, entry in enumerate(CALL_BACKS, start=len(VISITS))
        if entry[0] not in known
    ]
    _leave_nothing_queued()
    audit.record(LOADED, location.clinic, by=Actor.SYSTEM, at=now, details=done)
    return sum(booking is not None for booking in made)


def _leave_nothing_queued():
    """Count as sent in its time what would have been mailed by now; drop what lies ahead."""
    waiting = Message.objects.waiting().filter(booking__is_demo=True).select_related("booking")
    waiting.filter(due_at__gt=timezone.now()).delete()
    messages = list(waiting)
    for message in messages:
        booking = message.booking
        news = {Kind.CONFIRMED: booking.confirmed_at, Kind.CANCELLED: booking.cancelled_at}
        at = news.get(message.kind) or min(message.due_at, booking.created_at)
        message.state = Message.State.SENT
        message.created_at = message.due_at = message.sent_at = at
    Message.objects.bulk_update(messages, ["state", "created_at", "due_at", "sent_at"])


def _clear():
    """Delete the demo's rows that nobody but the system has touched."""
    rows = Booking.objects.filter(is_demo=True)
    touched = AuditEvent.objects.filter(
        object_type=Booking._meta.label_lower,
        object_key__in=rows.values("reference"),
    ).exclude(actor_label=Actor.SYSTEM)
    kept = rows.filter(reference__in=touched.values("object_key"))
    kept = set(kept.values_list("pk", flat=True)) | set(
        rows.filter(offers__in=kept).values_list("pk", flat=True)
    )
    old = rows.exclude(pk__in=kept).exclude(offered_for__in=kept)
    Message.objects.filter(booking__in=old).delete()
    old.exclude(offered_for=None).delete()
    old.delete()


def _person(name, number, **said):
    mailbox = "".join(letter for letter in name.lower().replace(" ", ".") if letter.isascii())
    return requests.Person(
        name=name,
        email=f"{mailbox}@patients.example",
        phone=f"+1323555{100 + number:04}",
        spoken_language="English",
        **said,
    )


def _mark(booking):
    Booking.objects.filter(pk=booking.pk).update(is_demo=True)
    return booking


def _visit(visit, number, location, today, now):
    """One visit with its whole life so far; None when the clinic has no such time."""
    past = visit.day < 0 or visit.ends in (Status.FULFILLED, Status.ARRIVED)
    asked = now - timedelta(hours=visit.asked + (24 * 7 if past else 0))
    condition = Condition.objects.filter(slug=visit.concern).first()
    signs = editions.emergency_signs(condition)
    slot = _slot(visit, condition, location, today, asked, now) if signs else None
    if slot is None:
        return None
    booking = _mark(
        requests.request(
            _person(visit.name, number, message=visit.note),
            requests.Request(
                location=location,
                start=slot.starts_at,
                practitioner=slot.practitioner,
                condition=condition,
                visit_type=visit.how,
                asked=signs,
                consent_version=CONSENT,
            ),
            by=Actor.SYSTEM,
            now=asked,
        )
    )
    if visit.ends == Status.PENDING:
        return booking
    if visit.ends == "offered":
        _offer(booking, today, now)
        return booking
    answered = min(asked + timedelta(hours=2), now)
    booking = answers.confirm(booking, by=Actor.SYSTEM, now=answered)
    if visit.ends == Status.CANCELLED:
        answers.cancel(booking, by=Actor.SYSTEM, now=slot.starts_at - timedelta(hours=20))
    if visit.ends in (Status.ARRIVED, Status.FULFILLED) and slot.starts_at <= now:
        booking = visits.mark_arrived(booking, by=Actor.SYSTEM, now=slot.starts_at)
    if visit.ends in (Status.FULFILLED, Status.NOSHOW) and slot.ends_at <= now:
        visits.record_outcome(booking, outcome=visit.ends, by=Actor.SYSTEM, now=slot.ends_at)
    return booking


def _slot(visit, condition, location, today, asked, now):
    """Find the first free time on the visit's day or near it; what is over must lie behind us."""
    search = SlotSearch(location=location, condition=condition, visit_type=visit.how, now=asked)
    step = -1 if visit.day < 0 else 1
    for distance in range(7):
        day = today + timedelta(visit.day + step * distance)
        earliest = datetime.combine(day, time(visit.hour), search.zone)
        found = search.free(day, day)
        waits = visit.ends in (Status.PENDING, "offered")
        for slot in found:
            if slot.starts_at >= earliest and not (waits and slot.starts_at <= now):
                return slot
    return None


def _offer(booking, today, now):
    search = SlotSearch.for_booking(booking, now=now)
    free = search.free(today + timedelta(4), today + timedelta(14))
    chosen = [(slot.starts_at, slot.practitioner) for slot in free[:20:10]]
    if chosen:
        offers.offer(booking, times=chosen, by=Actor.SYSTEM, now=now)
        booking.offers.update(is_demo=True)


def _call_back(entry, number, location, now):
    name, concern, call_when, hours = entry
    condition = Condition.objects.filter(slug=concern).first()
    signs = editions.emergency_signs(condition)
    if not signs:
        return None
    return _mark(
        requests.request_callback(
            _person(name, number, call_when=call_when),
            requests.Request(
                location=location,
                visit_type=BY_PHONE,
                condition=condition,
                asked=signs,
                consent_version=CONSENT,
            ),
            by=Actor.SYSTEM,
            now=now - timedelta(hours=hours),
        )
    )
