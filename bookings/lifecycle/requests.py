"""Asking for a consultation: with a time, or for a call back.

Each verb runs in one transaction, locks what it decides about, writes the booking, its audit row
and its messages, and raises a SchedulingError with words for people when its rule says no.
"""

import hashlib
import json

from django.db import IntegrityError, transaction
from django.utils import timezone

from bookings.availability.search import SlotSearch
from bookings.messaging import channels, queue
from bookings.models import Booking, Message, hashed_key
from clinic import audit
from clinic.models import Actor, Clinic, Practitioner

from . import locking, transitions
from .errors import KeyReused, SlotTaken

Status = Booking.Status
Kind = Message.Kind

# --- asking ---------------------------------------------------------------------------------------


def _digest(**answers):
    """SHA-256 of what was posted, so that a reused key with other answers is noticed."""
    return hashlib.sha256(json.dumps(answers, sort_keys=True, default=str).encode()).hexdigest()


def _already_made(idempotency_key, digest):
    """The booking that this key made, if any; raises KeyReused if it came with other answers."""
    booking = Booking.objects.made_with(idempotency_key).first()
    if booking and booking.request_digest != digest:
        raise KeyReused
    return booking


def _new(status, details, *, clinic, idempotency_key, digest, now):
    return Booking(
        kept_days_after_visit=clinic.retention_days_after_visit,
        kept_days_after_cancelled=clinic.retention_days_after_cancelled,
        status=status,
        idempotency_key=idempotency_key and hashed_key(idempotency_key),
        request_digest=digest,
        created_at=now,
        consent_at=now,
        **details,
    )


def request(
    *,
    start,
    visit_type,
    name,
    consent_version,
    asked,
    practitioner=None,
    condition=None,
    email="",
    phone="",
    message="",
    language="en",
    spoken_language="",
    time_zone="",
    idempotency_key=None,
    source=Booking.Source.WEB,
    by=Actor.PATIENT,
    prove_within=None,
    now=None,
):
    """Ask for a consultation at ``start`` (an aware instant) and hold that time.

    ``asked`` are the EmergencySigns that were answered with "none of these", see
    holding.require_asked. Without ``practitioner`` the free ones are tried in turn. The booking is pending until the
    clinic confirms it, or booked at once where Clinic.confirm_at_once says so. With
    ``prove_within`` (a timedelta) it waits for prove() first, and frees its time if that does not
    come. The same ``idempotency_key`` with the same answers returns the booking that it made
    before. Raises NotAllowed when the concern cannot be booked or other signs are signed now,
    SlotTaken when nobody is free then, KeyReused when the key came with other answers.
    """
    now = now or timezone.now()
    details = {
        "condition": condition,
        "visit_type": visit_type,
        "name": name,
        "email": email,
        "phone": phone,
        "message": message,
        "language": language,
        "spoken_language": spoken_language,
        "time_zone": time_zone,
        "consent_version": consent_version,
        "source": source,
    }
    digest = _digest(start=start, practitioner=practitioner and practitioner.pk, **_plain(details))
    try:
        with transaction.atomic():
            made = _already_made(idempotency_key, digest)
            if made:
                return made
            details |= locking.require_asked(condition, asked, source=source)
            clinic = Clinic.objects.current()
            search = SlotSearch(
                condition=condition,
                visit_type=visit_type,
                practitioner=practitioner,
                now=now,
                clinic=clinic,
            )
            slot = locking.free_slot(search, start)
            # Whoever waited for the lock behind their own first click finds its booking now.
            made = _already_made(idempotency_key, digest)
            if made:
                return made
            booking = _new(
                Status.PENDING,
                details,
                clinic=clinic,
                idempotency_key=idempotency_key,
                digest=digest,
                now=now,
            )
            booking.hold_until = now + prove_within if prove_within else None
            locking.put(booking, slot, clinic)
            locking.save(booking)
            audit.record(
                audit.Action.BOOKING_REQUESTED,
                booking,
                by=by,
                at=now,
                details={"starts_at": booking.starts_at.isoformat(), "source": source},
            )
            if prove_within:
                queue.queue(booking, Kind.PROVE)
            else:
                _announce(booking, clinic, by=by, now=now)
            return booking
    except (SlotTaken, IntegrityError):
        # Two clicks at once: the time went to this person's own first click.
        made = _already_made(idempotency_key, digest)
        if made:
            return made
        raise


def _announce(booking, clinic, *, by, now):
    """Tell patient and desk of a new request, and confirm it where the policy says at once."""
    if clinic.confirm_at_once or booking.source == Booking.Source.DESK:
        locking.set_booked(booking, by=by, now=now)
    else:
        queue.queue(booking, Kind.RECEIVED)
    if booking.source == Booking.Source.WEB:
        queue.queue(booking, Kind.DESK_NEW)


@transaction.atomic
def prove(booking, *, by=Actor.PATIENT, now=None):
    """The mailbox is the patient's: the request stands. Harmless when repeated.

    Raises NotAllowed when its time has been given back meanwhile.
    """
    now = now or timezone.now()
    if booking.practitioner_id:
        locking.lock_practitioners([booking.practitioner])
    booking = locking.locked(booking)
    transitions.PROVE.require(booking, now=now, by=by)
    if not booking.is_unproved:
        return booking
    booking.hold_until, booking.proved_at = None, now
    booking.save(update_fields=["hold_until", "proved_at"])
    audit.record(audit.Action.BOOKING_PROVED, booking, by=by, at=now)
    _announce(booking, Clinic.objects.current(), by=by, now=now)
    return booking


def release_lapsed(now=None):
    """Give back the time of every offer and unproved request whose moment has passed.

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
            locking.release_lapsed(practitioner, now)
    return number


def _plain(details):
    return {
        field: value.pk if hasattr(value, "pk") else str(value) for field, value in details.items()
    }


def request_callback(
    *,
    visit_type,
    name,
    phone,
    consent_version,
    asked,
    call_when="",
    condition=None,
    email="",
    message="",
    language="en",
    spoken_language="",
    time_zone="",
    idempotency_key=None,
    source=Booking.Source.WEB,
    by=Actor.PATIENT,
    now=None,
):
    """Ask the clinic to call, without choosing a time.

    Raises NotAllowed and KeyReused as request() does.
    """
    now = now or timezone.now()
    details = {
        "condition": condition,
        "visit_type": visit_type,
        "name": name,
        "email": email,
        "phone": phone,
        "message": message,
        "call_when": call_when,
        "language": language,
        "spoken_language": spoken_language,
        "time_zone": time_zone,
        "consent_version": consent_version,
        "source": source,
    }
    digest = _digest(**_plain(details))
    try:
        with transaction.atomic():
            made = _already_made(idempotency_key, digest)
            if made:
                return made
            details |= locking.require_asked(condition, asked, source=source)
            booking = _new(
                Status.WAITLIST,
                details,
                clinic=Clinic.objects.current(),
                idempotency_key=idempotency_key,
                digest=digest,
                now=now,
            )
            locking.save(booking)
            audit.record(audit.Action.BOOKING_CALLBACK_REQUESTED, booking, by=by, at=now)
            if channels.reaches(booking):
                queue.queue(booking, Kind.CALLBACK)
            if source == Booking.Source.WEB:
                queue.queue(booking, Kind.DESK_NEW)
            return booking
    except IntegrityError:
        made = _already_made(idempotency_key, digest)
        if made:
            return made
        raise
