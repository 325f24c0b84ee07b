"""What must be true of the stored bookings, whoever wrote them and whatever was killed meanwhile.

Each check reads and changes nothing, takes nothing from the database's constraints on trust, and
yields the reference of each booking for which it is not true; those of other things yield what is
wrong with them.
"""

from collections import defaultdict

from django.db import transaction
from django.db.models import F, Q
from django.utils.dateparse import parse_datetime

from clinic import audit
from clinic.models import AuditEvent, Clinic, Location
from clinic.staff import addresses
from conditions import editions
from conditions.models import Page

from .lifecycle import erasure, transitions
from .messaging import channels
from .messaging.queue import message_key
from .models import Booking, Message

CHUNK = 500  # bookings read at a time together with their history

Status = Booking.Status
Kind = Message.Kind
Source = Booking.Source

AFTER = transitions.statuses_after()  # events of other actions do not change the status
CONFIRMED = (Status.BOOKED, *transitions.CAME)


def overlapping():
    """Bookings that hold time of which an earlier one of the same practitioner holds a part."""
    owner, until = None, None
    rows = (
        Booking.objects.holding_time()
        .filter(practitioner__isnull=False, busy_from__isnull=False, busy_until__isnull=False)
        .order_by("practitioner_id", "busy_from", "pk")
        .values_list("reference", "practitioner_id", "busy_from", "busy_until")
    )
    for reference, practitioner, busy_from, busy_until in rows.iterator(CHUNK):
        if practitioner == owner and busy_from < until:
            yield reference
            until = max(until, busy_until)
        else:
            owner, until = practitioner, busy_until


def times_not_whole():
    """Bookings with a part of a time only, or with its parts out of order."""
    without = Q(starts_at=None, ends_at=None, busy_from=None, busy_until=None)
    whole = Q(
        busy_from__lte=F("starts_at"), starts_at__lt=F("ends_at"), ends_at__lte=F("busy_until")
    )
    right = Booking.objects.filter(without | whole).values("pk")
    yield from _references(Booking.objects.exclude(pk__in=right))


def holding_nobodys_time():
    """Bookings that hold time without a practitioner or without a time."""
    yield from _references(
        Booking.objects.holding_time().filter(Q(practitioner=None) | Q(starts_at=None))
    )


def without_consent():
    """Bookings from the website of which we cannot say when, and to what, the patient agreed."""
    yield from _references(
        Booking.objects.filter(Q(consent_at=None) | Q(consent_version=""), source=Source.WEB)
    )


def unasked():
    """Bookings made without the emergency signs that were signed for them.

    Those from before this was kept (NULL) are left out, and what the desk entered as agreed
    elsewhere ([]).
    """
    rows = Booking.objects.exclude(asked_red_flags=None).select_related("asked_edition__page")
    rows = rows.annotate(signed_red_flags=F("asked_edition__document__gate")).defer(
        "asked_edition__document"
    )
    for booking in rows.order_by("pk").iterator(CHUNK):
        asked = booking.asked_edition
        if asked is None and not booking.asked_red_flags:
            right = booking.source == Source.DESK
        else:
            signed = asked and asked.signed_at and asked.published_at
            theirs = asked and asked.page.condition_id == booking.condition_id
            general = asked and asked.kind == Page.Kind.GUIDE and booking.source == Source.DESK
            right = (
                signed
                and (theirs or general)
                and booking.asked_red_flags == booking.signed_red_flags
            )
        if not right:
            yield booking.reference


def unrecorded():
    """Bookings whose status or time is not what their audit rows tell."""
    yield from _where_not(_recorded)


def unannounced():
    """Bookings whose patient was not written to exactly once about what holds now.

    For a confirmed one that is one message for its present sequence; for a cancelled one, one
    message in all, or none if a time limit ended it. Patients without an address are left out.
    """
    yield from _where_not(_announced)


def nowhere():
    """Bookings of a place that is not there."""
    yield from _references(Booking.objects.exclude(location__in=Location.objects.all()))


def kept_too_long():
    """Bookings that should have been erased, see bookings.lifecycle.erasure."""
    yield from erasure.overdue(Clinic.objects.current())


INVARIANTS = {
    "overlapping bookings that hold time": overlapping,
    "bookings whose times are not whole": times_not_whole,
    "bookings that hold time without a practitioner": holding_nobodys_time,
    "bookings of a place that is not there": nowhere,
    "bookings from the website without consent": without_consent,
    "bookings made without asking the signed emergency signs": unasked,
    "general emergency signs that were on the site and are gone": editions.lost_general_signs,
    "bookings whose status or time has no audit row": unrecorded,
    "confirmed or cancelled bookings without exactly one message": unannounced,
    "bookings kept longer than was promised": kept_too_long,
    "erased bookings of which something is left": erasure.remains,
    "staff accounts whose address the sign-in library has otherwise": addresses.disagreements,
    "places where the audit record is not as it was sealed": audit.broken,
}


def broken():
    """Return the references, or places, that break each invariant, by the invariant's name."""
    return {name: list(check()) for name, check in INVARIANTS.items()}


def _references(bookings):
    yield from bookings.order_by("pk").values_list("reference", flat=True).iterator(CHUNK)


def _recorded(booking, events, _keys):
    statuses, starts_at = set(), None
    if booking.offered_for_id:  # made and told of by the request that it is an offer for
        statuses, starts_at = {Status.PROPOSED}, booking.starts_at
    for action, details in events:
        statuses = AFTER.get(action, statuses)
        start = details.get("to") or details.get("starts_at")
        if action in AFTER and start:
            starts_at = parse_datetime(start)
    return booking.status in statuses and booking.starts_at == starts_at


def _announced(booking, _events, keys):
    if booking.erased_at or not channels.reaches(booking):
        return True
    if booking.status in CONFIRMED:
        says_so = transitions.news_of(Status.BOOKED)
        fitting = {message_key(booking, kind, booking.sequence) for kind in says_so}
        return len(fitting.intersection(keys)) == 1
    if booking.status == Status.CANCELLED:
        by_people = booking.cancelled_by != Booking.CancelledBy.SYSTEM
        start = message_key(booking, Kind.CANCELLED, "")
        return sum(key.startswith(start) for key in keys) == int(by_people)
    return True


def _where_not(rule):
    """Yield the bookings' references whose history breaks ``rule``, now and in a second look.

    On a live site a booking may change between reading its row and its history; the second look
    locks it first.
    """
    last = 0
    # No query stays open meanwhile: SQLite would refuse to lock behind an old view of its own.
    while bookings := list(Booking.objects.filter(pk__gt=last).order_by("pk")[:CHUNK]):
        last = bookings[-1].pk
        events, keys = _history(bookings)
        for booking in bookings:
            if rule(booking, events[booking.reference], keys[booking.pk]):
                continue
            with transaction.atomic():
                booking = Booking.objects.select_for_update().get(pk=booking.pk)
                events_now, keys_now = _history([booking])
            if not rule(booking, events_now[booking.reference], keys_now[booking.pk]):
                yield booking.reference


def _history(bookings):
    """Audit rows by reference, oldest first, and the keys of messages by booking.

    News that travels by several channels has one key.
    """
    events, keys = defaultdict(list), defaultdict(set)
    recorded = AuditEvent.objects.filter(
        object_type=Booking._meta.label_lower,
        object_key__in=[booking.reference for booking in bookings],
    ).order_by("pk")
    for reference, action, details in recorded.values_list("object_key", "action", "details"):
        events[reference].append((action, details))
    queued = Message.objects.filter(booking__in=bookings)
    for booking, key in queued.values_list("booking_id", "key"):
        keys[booking].add(key)
    return events, keys
