"""Asking for a consultation: with a time, or for a call back."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from bookings.availability.search import SlotSearch
from bookings.messaging import channels, queue
from bookings.models import Booking, Message, hashed_key
from clinic import audit, languages
from clinic.models import Actor, Location, Practitioner, User
from conditions.editions import EmergencySigns
from conditions.models import Condition

from . import locking, transitions
from .errors import KeyReused, SlotTaken

Status = Booking.Status
Kind = Message.Kind


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who asks: how to reach them, and what they say. Each field is a column of the booking."""

    name: str
    email: str = ""
    phone: str = ""
    message: str = ""
    call_when: str = ""
    spoken_language: str = ""  # for the consultation
    language: str = field(default_factory=languages.default)  # of the pages that they read
    time_zone: str = ""  # an IANA name; empty: that of the place

    @classmethod
    def of(cls, answers: dict, **more: str) -> "Person":
        """Take the answers to a form that asks for a person, also as a session keeps them."""
        names = ("name", "email", "phone", "message", "call_when")
        said = {name: str(answers.get(name, "")) for name in names}
        return cls(spoken_language=answers["language"], **said, **more)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What somebody asks for, and what they were asked and agreed to before.

    ``asked`` are the signs that were answered with "none of these", see locking.require_asked.
    ``key`` is the form's: the same key with the same answers makes one booking.
    """

    location: Location
    visit_type: str
    asked: EmergencySigns
    consent_version: str
    condition: Condition | None = None
    start: datetime | None = None  # an instant; None: please call
    practitioner: Practitioner | None = None  # None: whoever is free
    source: str = Booking.Source.WEB
    key: UUID | None = None

    def digest(self, person: Person) -> str:
        """Return the SHA-256 of what was posted, by which a key with other answers is noticed."""
        posted = vars(person) | vars(self) | {"asked": None, "key": None}
        text = json.dumps(
            posted, sort_keys=True, default=lambda value: getattr(value, "pk", str(value))
        )
        return hashlib.sha256(text.encode()).hexdigest()


# --- asking ---------------------------------------------------------------------------------------


def request(
    person: Person,
    wanted: Request,
    *,
    by: User | Actor = Actor.PATIENT,
    verify_within: timedelta | None = None,
    now: datetime | None = None,
) -> Booking:
    """Ask for a consultation at ``wanted.start`` and hold that time.

    Without a practitioner the free ones are tried in turn. The booking is pending until the clinic
    confirms it, or booked at once where Clinic.confirm_at_once says so. With ``verify_within`` it
    waits for verify_email() first, and frees its time if that does not come. The same key with the
    same answers returns the booking that it made before. Raises NotAllowed when the concern cannot
    be booked or other signs are signed now, SlotTaken when nobody is free then, KeyReused when the
    key came with other answers.
    """
    now, start = now or timezone.now(), wanted.start
    if start is None:
        raise ValueError("A request is for a time; without one it is a call-back.")

    def make() -> Booking:
        booking = _new(Status.PENDING, person, wanted, now)
        search = SlotSearch.for_booking(booking, practitioner=wanted.practitioner, now=now)
        slot = locking.lock_free_slot(search, start)
        # A second click waits for the lock behind the first one, and finds its booking now.
        if made := _already_made(person, wanted):
            return made
        booking.hold_until = now + verify_within if verify_within else None
        locking.assign_slot(booking, slot)
        locking.save_or_slot_taken(booking)
        details = {"starts_at": slot.starts_at.isoformat(), "source": wanted.source}
        audit.record(audit.Action.BOOKING_REQUESTED, booking, by=by, at=now, details=details)
        if verify_within:
            queue.enqueue(booking, Kind.VERIFY)
        else:
            _announce(booking, by=by, now=now)
        return booking

    return _once(person, wanted, make)


def request_callback(
    person: Person,
    wanted: Request,
    *,
    by: User | Actor = Actor.PATIENT,
    now: datetime | None = None,
) -> Booking:
    """Ask the clinic to call, without choosing a time.

    Raises NotAllowed and KeyReused as request() does.
    """
    now = now or timezone.now()

    def make() -> Booking:
        booking = _new(Status.WAITLIST, person, wanted, now)
        locking.save_or_slot_taken(booking)
        audit.record(audit.Action.BOOKING_CALLBACK_REQUESTED, booking, by=by, at=now)
        if channels.reaches(booking):
            queue.enqueue(booking, Kind.CALLBACK)
        if booking.source == Booking.Source.WEB:
            queue.enqueue(booking, Kind.DESK_NEW)
        return booking

    return _once(person, wanted, make)


def _once(person: Person, wanted: Request, make: Callable[[], Booking]) -> Booking:
    """Return what ``make`` makes, or what this press of the button has made before."""
    try:
        with transaction.atomic():
            return _already_made(person, wanted) or make()
    except (SlotTaken, IntegrityError):
        # Two clicks at once: the time went to this person's own first click.
        if made := _already_made(person, wanted):
            return made
        raise


def _already_made(person: Person, wanted: Request) -> Booking | None:
    """Find the booking that this key made; raise KeyReused if it came with other answers."""
    booking = Booking.objects.made_with(wanted.key).first()
    if booking and booking.request_digest != wanted.digest(person):
        raise KeyReused
    return booking


def _new(status: Status, person: Person, wanted: Request, now: datetime) -> Booking:
    """Build the row, not saved and without a time; raise NotAllowed as require_asked() does."""
    clinic = wanted.location.clinic
    return Booking(
        status=status,
        location=wanted.location,
        condition=wanted.condition,
        visit_type=wanted.visit_type,
        source=wanted.source,
        consent_version=wanted.consent_version,
        consent_at=now,
        created_at=now,
        idempotency_key=wanted.key and hashed_key(wanted.key),
        request_digest=wanted.digest(person),
        kept_days_after_visit=clinic.retention_days_after_visit,
        kept_days_after_cancelled=clinic.retention_days_after_cancelled,
        **vars(person),
        **locking.require_asked(wanted.condition, wanted.asked, source=wanted.source),
    )


def _announce(booking: Booking, *, by: User | Actor, now: datetime) -> None:
    """Tell patient and desk of a new request, and confirm it where the policy says at once."""
    if booking.location.clinic.confirm_at_once or booking.source == Booking.Source.DESK:
        locking.confirm_locked(booking, by=by, now=now)
    else:
        queue.enqueue(booking, Kind.RECEIVED)
    if booking.source == Booking.Source.WEB:
        queue.enqueue(booking, Kind.DESK_NEW)


@transaction.atomic
def verify_email(
    booking: Booking, *, by: User | Actor = Actor.PATIENT, now: datetime | None = None
) -> Booking:
    """Note that the mailbox is the patient's: the request stands. Harmless when repeated.

    Raises NotAllowed when its time has been given back meanwhile.
    """
    now = now or timezone.now()
    locking.lock_practitioners([booking.practitioner])
    booking = locking.lock_booking(booking)
    transitions.VERIFY.require(booking, now=now, by=by)
    if not booking.is_unverified:
        return booking
    booking.hold_until, booking.verified_at = None, now
    booking.save(update_fields=["hold_until", "verified_at"])
    audit.record(audit.Action.BOOKING_VERIFIED, booking, by=by, at=now)
    _announce(booking, by=by, now=now)
    return booking


def free_all_lapsed(now: datetime | None = None) -> int:
    """Give back the time of every offer and unverified request whose moment has passed.

    Availability and the verbs do not wait for this; it keeps the rows and the desk tidy. Returns
    how many.
    """
    now = now or timezone.now()
    lapsed = Booking.objects.lapsed(now)
    people = Practitioner.objects.filter(pk__in=lapsed.values("practitioner"))
    number = lapsed.count()
    for practitioner in people if number else ():
        with transaction.atomic():
            locking.lock_practitioners([practitioner])
            locking.free_lapsed_of(practitioner, now)
    return number
