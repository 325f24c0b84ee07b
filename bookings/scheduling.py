"""What can happen to a booking: one function each, for every door.

Each verb runs in one transaction, locks what it decides about, writes the booking, its audit row
and its messages, and raises a SchedulingError with words for people when its rule says no. What they
share is in bookings.holding; offers have verbs of their own in bookings.offers.

    request ──► pending ──► booked ──► arrived ──► fulfilled
                   │           │  └────────────► noshow
                   └─► cancelled ◄┘          undo goes one step back
    request_callback ──► waitlist ──► pending / booked, or cancelled
"""

import hashlib
import json
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from clinic import audit
from clinic.models import Clinic, Practitioner

from . import holding, links, messages
from .holding import KeyReused, NotAllowed, SchedulingError, SignsChanged, SlotTaken
from .models import Booking, Message, hashed_key

__all__ = [
    "KeyReused", "NotAllowed", "SchedulingError", "SignsChanged", "SlotTaken",
    "cancel", "confirm", "mark_arrived", "may_change_online", "prove", "record_outcome",
    "release_lapsed", "request", "request_callback", "reschedule", "undo",
]  # fmt: skip

Status = Booking.Status
Kind = Message.Kind
FOLLOW_UP_AFTER = timedelta(hours=1)  # long enough to undo a slip of the mouse


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
    by="patient",
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
            details |= holding.require_asked(condition, asked, source=source)
            clinic = Clinic.objects.current()
            slot = holding.free_slot(
                start,
                condition=condition,
                visit_type=visit_type,
                practitioner=practitioner,
                clinic=clinic,
                now=now,
            )
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
            holding.put(booking, slot, clinic)
            holding.save(booking)
            audit.record(
                "booking.requested",
                booking,
                by=by,
                at=now,
                details={"starts_at": booking.starts_at.isoformat(), "source": source},
            )
            if prove_within:
                messages.queue(booking, Kind.PROVE)
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
        holding.set_booked(booking, by=by, now=now)
    else:
        messages.queue(booking, Kind.RECEIVED)
    if booking.source == Booking.Source.WEB:
        messages.queue(booking, Kind.DESK_NEW)


@transaction.atomic
def prove(booking, *, by="patient", now=None):
    """The mailbox is the patient's: the request stands. Harmless when repeated.

    Raises NotAllowed when its time has been given back meanwhile.
    """
    now = now or timezone.now()
    if booking.practitioner_id:
        holding.lock_practitioners([booking.practitioner])
    booking = holding.locked(booking)
    if booking.status != Status.PENDING or booking.hold_until is None:
        holding.require(booking, Status.PENDING, Status.BOOKED, doing="confirmed by you")
        return booking
    if booking.hold_until <= now:
        raise NotAllowed("This request was not confirmed in time. Please choose a time again.")
    booking.hold_until, booking.proved_at = None, now
    booking.save(update_fields=["hold_until", "proved_at"])
    audit.record("booking.proved", booking, by=by, at=now)
    _announce(booking, Clinic.objects.current(), by=by, now=now)
    return booking


def release_lapsed(now=None):
    """Give back the time of every offer and unproved request whose moment has passed.

    Availability and the verbs do not wait for this; it keeps the rows and the desk tidy. Returns
    how many.
    """
    now = now or timezone.now()
    lapsed = Booking.objects.filter(
        status__in=[Status.PROPOSED, Status.PENDING], hold_until__lte=now
    )
    people = Practitioner.objects.filter(pk__in=lapsed.values("practitioner"))
    number = lapsed.count()
    for practitioner in people if number else ():
        with transaction.atomic():
            holding.lock_practitioners([practitioner])
            holding.release_lapsed(practitioner, now)
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
    by="patient",
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
            details |= holding.require_asked(condition, asked, source=source)
            booking = _new(
                Status.WAITLIST,
                details,
                clinic=Clinic.objects.current(),
                idempotency_key=idempotency_key,
                digest=digest,
                now=now,
            )
            holding.save(booking)
            audit.record("booking.callback_requested", booking, by=by, at=now)
            if email:
                messages.queue(booking, Kind.CALLBACK)
            if source == Booking.Source.WEB:
                messages.queue(booking, Kind.DESK_NEW)
            return booking
    except IntegrityError:
        made = _already_made(idempotency_key, digest)
        if made:
            return made
        raise


# --- answering ------------------------------------------------------------------------------------


@transaction.atomic
def confirm(booking, *, by, now=None):
    """The clinic says yes to a pending request. Raises NotAllowed, or SlotTaken if its hold lapsed."""
    now = now or timezone.now()
    if booking.practitioner_id:
        holding.lock_practitioners([booking.practitioner])
    booking = holding.locked(booking)
    holding.require(booking, Status.PENDING, doing="confirmed")
    if booking.hold_until and booking.hold_until <= now:
        raise SlotTaken("This request was never proved, and its time has been given back.")
    holding.close_offers(booking, by=by, now=now)
    holding.set_booked(booking, by=by, now=now)
    return booking


@transaction.atomic
def cancel(booking, *, by, cancelled_by=Booking.CancelledBy.PATIENT, reason="", now=None):
    """Give the time back. A clinic's refusal of a request is a cancellation by the clinic.

    Its links go on opening it, to say that it is cancelled; nothing can be done there. Raises
    NotAllowed for what is over or cancelled, and for patients after Clinic.cancel_until_hours.
    """
    now = now or timezone.now()
    booking = holding.locked(booking)
    holding.require(
        booking, Status.PENDING, Status.BOOKED, Status.WAITLIST, Status.PROPOSED, doing="cancelled"
    )
    if cancelled_by == Booking.CancelledBy.PATIENT and not may_change_online(booking, now=now):
        raise NotAllowed("It is too late to cancel online. Please call us.")
    holding.close_offers(booking, by=by, now=now)
    holding.close(booking, by=by, cancelled_by=cancelled_by, reason=reason, now=now)
    messages.queue(booking, Kind.CANCELLED)
    if cancelled_by == Booking.CancelledBy.PATIENT:
        messages.queue(booking, Kind.DESK_CANCELLED)
    return booking


def may_change_online(booking, *, now=None, clinic=None):
    """Whether a patient may still move or cancel with the manage link."""
    now = now or timezone.now()
    if booking.status not in (Status.PENDING, Status.BOOKED, Status.WAITLIST):
        return False
    if booking.starts_at is None:
        return True
    return now <= booking.change_deadline(clinic or Clinic.objects.current())


def reschedule(booking, *, start, by, practitioner=None, link=None, now=None):
    """Move to another free time, or give a call-back its first one; the old time is freed with it.

    A patient's new time is pending again unless the clinic confirms at once; one set by staff is
    booked. ``link`` is the patient's own, see links.revoke_all. Raises SlotTaken and leaves the old
    time as it was, or NotAllowed.
    """
    now = now or timezone.now()
    by_patient = by == "patient"
    with transaction.atomic():
        clinic = Clinic.objects.current()
        current = Booking.objects.select_related("practitioner").get(pk=booking.pk)
        slot = holding.free_slot(
            start,
            condition=current.condition,
            visit_type=current.visit_type,
            practitioner=practitioner,
            clinic=clinic,
            now=now,
            moving=current,
        )
        booking = holding.locked(booking)
        holding.require(booking, Status.PENDING, Status.BOOKED, Status.WAITLIST, doing="moved")
        if by_patient and not may_change_online(booking, now=now, clinic=clinic):
            raise NotAllowed("It is too late to change the time online. Please call us.")
        if booking.starts_at == slot.starts_at and booking.practitioner_id == slot.practitioner.pk:
            return booking
        before = booking.starts_at
        holding.close_offers(booking, by=by, now=now)
        holding.put(booking, slot, clinic)
        at_once = clinic.confirm_at_once or not by_patient
        booking.status = Status.BOOKED if at_once else Status.PENDING
        booking.confirmed_at = now if at_once else None
        booking.hold_until = None
        booking.sequence += 1
        holding.save(booking)
        audit.record(
            "booking.rescheduled",
            booking,
            by=by,
            at=now,
            details={
                "from": before.isoformat() if before else None,
                "to": booking.starts_at.isoformat(),
            },
        )
        links.revoke_all(booking, now=now, keep=link)
        messages.queue(booking, Kind.CHANGED if at_once else Kind.RECEIVED)
        if at_once:
            messages.plan_reminders(booking, now)
        if by_patient:
            messages.queue(booking, Kind.DESK_CHANGED)
        return booking


# --- the day itself -------------------------------------------------------------------------------


@transaction.atomic
def mark_arrived(booking, *, by, now=None):
    """The patient is here, or on the line.

    Raises NotAllowed unless it is confirmed, and before the day of the visit where the clinic is.
    """
    now = now or timezone.now()
    booking = holding.locked(booking)
    holding.require(booking, Status.BOOKED, doing="marked as arrived")
    if not booking.is_by_day(now, Clinic.objects.current().zone):
        raise NotAllowed("This consultation is on a later day.")
    return _set_status(booking, Status.ARRIVED, by=by, now=now)


@transaction.atomic
def record_outcome(booking, *, outcome, by, now=None):
    """Say whether the consultation took place: "fulfilled" or "noshow". Only staff decide it.

    Raises NotAllowed before it starts, or for a booking that was never confirmed.
    """
    now = now or timezone.now()
    booking = holding.locked(booking)
    allowed = {
        Status.FULFILLED: (Status.BOOKED, Status.ARRIVED),
        Status.NOSHOW: (Status.BOOKED,),
    }
    if outcome not in allowed:
        raise NotAllowed("The outcome is either “seen” or “did not come”.")
    holding.require(booking, *allowed[outcome], doing=f"marked as {Status(outcome).label.lower()}")
    if booking.starts_at > now:
        raise NotAllowed("This consultation has not started yet.")
    booking = _set_status(booking, outcome, by=by, now=now)
    if outcome == Status.NOSHOW and booking.email:
        messages.queue(booking, Kind.FOLLOW_UP, due_at=now + FOLLOW_UP_AFTER)
    return booking


def _set_status(booking, status, *, by, now, action=None):
    before = booking.status
    booking.status = status
    holding.save(booking)
    audit.record(action or f"booking.{status}", booking, by=by, at=now, details={"from": before})
    return booking


@transaction.atomic
def undo(booking, *, by, now=None):
    """Take back "arrived", "seen" or "did not come": the booking is confirmed again.

    Raises SlotTaken when somebody else has taken the time meanwhile.
    """
    now = now or timezone.now()
    if booking.practitioner_id:
        holding.lock_practitioners([booking.practitioner])
    booking = holding.locked(booking)
    holding.require(booking, Status.ARRIVED, Status.FULFILLED, Status.NOSHOW, doing="undone")
    return _set_status(booking, Status.BOOKED, by=by, now=now, action="booking.undone")
