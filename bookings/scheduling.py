"""What can happen to a booking: one function each, for every door.

Each verb runs in one transaction, locks what it decides about, writes the booking, its audit row
and its messages, and raises a SchedulingError with words for people when its rule says no.
Whoever takes time locks the practitioner's row first, so the usual loser of a race gets a clean
SlotTaken; the database's NoOverlap constraint refuses whatever slips past.

    request ──► pending ──► booked ──► arrived ──► fulfilled
                   │           │  └────────────► noshow
                   └─► cancelled ◄┘          undo goes one step back
    request_callback ──► waitlist ──► pending / booked, or cancelled
    offer ──► up to three proposed rows hold times for a request; choose_offer takes one of them
"""

import hashlib
import json
from datetime import UTC, datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from clinic import audit
from clinic.models import Clinic, Practitioner

from . import availability, links, messages
from .models import Booking, Message

Status = Booking.Status
Kind = Message.Kind
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
MOST_OFFERS = 3
OFFER_HOLD = timedelta(hours=48)
FOLLOW_UP_AFTER = timedelta(hours=1)  # long enough to undo a slip of the mouse


class SchedulingError(Exception):
    """A rule says no; ``message`` tells people why and what they can do."""

    default = "That cannot be done."

    def __init__(self, message=""):
        self.message = message or self.default
        super().__init__(self.message)


class SlotTaken(SchedulingError):
    """Somebody else holds the time, or it is no longer offered."""

    default = "That time has just been taken. Please choose another."


class NotAllowed(SchedulingError):
    """The booking's status or a policy deadline does not allow it."""


class KeyReused(SchedulingError):
    """The same form key came with other answers."""

    default = "This form was already sent with other answers. Please start again."


# --- inside every verb ----------------------------------------------------------------------------


def _locked(booking):
    """The booking as it is now, locked until the transaction ends."""
    return Booking.objects.select_for_update().get(pk=booking.pk)


def _lock_practitioners(candidates):
    """Lock practitioners in the order of their keys, so that two verbs never wait crosswise."""
    keys = sorted({candidate.pk for candidate in candidates})
    return list(Practitioner.objects.select_for_update().filter(pk__in=keys).order_by("pk"))


def _require(booking, *statuses, doing):
    if booking.status not in statuses:
        raise NotAllowed(
            f"This booking is “{booking.get_status_display().lower()}”, so it cannot be {doing}."
        )


def _lapsed(practitioner, now):
    """Rows of one practitioner whose hold has run out, read through the index of time held.

    The codes stand in the SQL itself: with parameters SQLite would go through the whole past.
    """
    return Booking.objects.filter(
        Q(status=Status.PROPOSED) | Q(status=Status.PENDING),
        status__in=[availability.Literal(status) for status in Booking.HOLDING],
        practitioner=practitioner,
        busy_from__gt=LONG_AGO,  # always true; it makes SQLite choose that index
        hold_until__lte=now,
    ).order_by()


def _release_lapsed(practitioner, now):
    """Free what was held only until a moment that has passed (an offer, an unproved request)."""
    for booking in _lapsed(practitioner, now).select_for_update():
        _close(booking, by="system", cancelled_by=Booking.CancelledBy.SYSTEM, reason="", now=now)


def _put(booking, slot):
    """Give the booking the slot's practitioner and times; the caller saves."""
    booking.practitioner = slot.practitioner
    booking.starts_at, booking.ends_at = slot.starts_at, slot.ends_at
    booking.busy_from, booking.busy_until = slot.busy_from, slot.busy_until


def _save_holding(booking, fields=None):
    """Save a row that takes time; the constraint's refusal becomes SlotTaken."""
    try:
        with transaction.atomic():
            booking.save(update_fields=fields)
    except IntegrityError as error:
        if "booking_no_overlap" in str(error):
            raise SlotTaken from error
        raise


def _free_slot(start, *, condition, visit_type, practitioner, clinic, now):
    """Lock who could take ``start`` and return the first free slot, else raise SlotTaken.

    With ``practitioner`` only theirs counts; without, the free ones are tried in turn.
    """
    if practitioner is not None:
        candidates = [practitioner]
    else:
        day = start.astimezone(clinic.zone).date()
        free = availability.free_slots(
            first_day=day,
            last_day=day,
            condition=condition,
            visit_type=visit_type,
            now=now,
            clinic=clinic,
        )
        candidates = [slot.practitioner for slot in free if slot.starts_at == start]
    by_position = sorted(
        _lock_practitioners(candidates), key=lambda person: (person.position, person.name)
    )
    for person in by_position:
        _release_lapsed(person, now)
        slot = availability.slot_at(
            start,
            condition=condition,
            visit_type=visit_type,
            practitioner=person,
            now=now,
            clinic=clinic,
        )
        if slot:
            return slot
    raise SlotTaken


def _close(booking, *, by, cancelled_by, reason, now):
    before = booking.status
    booking.status = Status.CANCELLED
    booking.cancelled_at = now
    booking.cancelled_by = cancelled_by
    booking.cancel_reason = reason
    booking.hold_until = None
    booking.sequence += 1
    booking.save()
    audit.record(
        "booking.cancelled",
        booking,
        by=by,
        at=now,
        details={"from": before, "cancelled_by": cancelled_by},
    )


def _confirm_locked(booking, *, by, now, action="booking.confirmed"):
    before = booking.status
    booking.status = Status.BOOKED
    booking.confirmed_at = now
    booking.hold_until = None
    booking.sequence += 1
    _save_holding(booking)
    details = {"from": before, "starts_at": booking.starts_at.isoformat()}
    audit.record(action, booking, by=by, at=now, details=details)
    messages.queue(booking, Kind.CONFIRMED)
    messages.plan_reminders(booking, now)


# --- asking ---------------------------------------------------------------------------------------


def _digest(**answers):
    """SHA-256 of what was posted, so that a reused key with other answers is noticed."""
    return hashlib.sha256(json.dumps(answers, sort_keys=True, default=str).encode()).hexdigest()


def _already_made(idempotency_key, digest):
    """The booking that this key made, if any; raises KeyReused if it came with other answers."""
    if idempotency_key is None:
        return None
    booking = Booking.objects.filter(idempotency_key=idempotency_key).first()
    if booking and booking.request_digest != digest:
        raise KeyReused
    return booking


def _store(booking, details, *, idempotency_key, digest, now):
    for field, value in details.items():
        setattr(booking, field, value)
    booking.idempotency_key, booking.request_digest = idempotency_key, digest
    booking.created_at = booking.consent_at = now
    _save_holding(booking)


def request(
    *,
    start,
    visit_type,
    name,
    consent_version,
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

    Without ``practitioner`` the free ones are tried in turn. The booking is pending until the
    clinic confirms it, or booked at once where Clinic.confirm_at_once says so. With
    ``prove_within`` (a timedelta) it waits for prove() first, and frees its time if that does not
    come. The same ``idempotency_key`` with the same answers returns the booking that it made
    before. Raises SlotTaken when nobody is free then, KeyReused when the key came with other
    answers.
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
            clinic = Clinic.objects.current()
            slot = _free_slot(
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
            booking = Booking(status=Status.PENDING)
            booking.hold_until = now + prove_within if prove_within else None
            _put(booking, slot)
            _store(booking, details, idempotency_key=idempotency_key, digest=digest, now=now)
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
        _confirm_locked(booking, by=by, now=now)
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
        _lock_practitioners([booking.practitioner])
    booking = _locked(booking)
    if booking.status != Status.PENDING or booking.hold_until is None:
        _require(booking, Status.PENDING, Status.BOOKED, doing="confirmed by you")
        return booking
    if booking.hold_until <= now:
        raise NotAllowed("This request was not confirmed in time. Please choose a time again.")
    booking.hold_until = None
    booking.save(update_fields=["hold_until"])
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
            _lock_practitioners([practitioner])
            _release_lapsed(practitioner, now)
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
    """Ask the clinic to call, without choosing a time. Raises KeyReused as request() does."""
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
            booking = Booking(status=Status.WAITLIST)
            _store(booking, details, idempotency_key=idempotency_key, digest=digest, now=now)
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
        _lock_practitioners([booking.practitioner])
    booking = _locked(booking)
    _require(booking, Status.PENDING, doing="confirmed")
    if booking.hold_until and booking.hold_until <= now:
        raise SlotTaken("This request was never proved, and its time has been given back.")
    _close_offers(booking, by=by, now=now)
    _confirm_locked(booking, by=by, now=now)
    return booking


@transaction.atomic
def cancel(booking, *, by, cancelled_by=Booking.CancelledBy.PATIENT, reason="", now=None):
    """Give the time back. A clinic's refusal of a request is a cancellation by the clinic.

    Raises NotAllowed once it has ended, and for patients after Clinic.cancel_until_hours.
    """
    now = now or timezone.now()
    booking = _locked(booking)
    _require(
        booking, Status.PENDING, Status.BOOKED, Status.WAITLIST, Status.PROPOSED, doing="cancelled"
    )
    if cancelled_by == Booking.CancelledBy.PATIENT and not may_change_online(booking, now=now):
        raise NotAllowed("It is too late to cancel online. Please call us.")
    _close_offers(booking, by=by, now=now)
    _close(booking, by=by, cancelled_by=cancelled_by, reason=reason, now=now)
    links.revoke_all(booking, now=now)
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


def reschedule(booking, *, start, by, practitioner=None, now=None):
    """Move to another free time, or give a call-back its first one; the old time is freed with it.

    A patient's new time is pending again unless the clinic confirms at once; one set by staff is
    booked. Raises SlotTaken and leaves the old time as it was, or NotAllowed.
    """
    now = now or timezone.now()
    by_patient = by == "patient"
    with transaction.atomic():
        clinic = Clinic.objects.current()
        current = Booking.objects.get(pk=booking.pk)
        target = practitioner
        slot = _free_slot_for_move(current, start, target, clinic=clinic, now=now)
        booking = _locked(booking)
        _require(booking, Status.PENDING, Status.BOOKED, Status.WAITLIST, doing="moved")
        if by_patient and not may_change_online(booking, now=now, clinic=clinic):
            raise NotAllowed("It is too late to change the time online. Please call us.")
        if booking.starts_at == slot.starts_at and booking.practitioner_id == slot.practitioner.pk:
            return booking
        before = booking.starts_at
        _close_offers(booking, by=by, now=now)
        _put(booking, slot)
        at_once = clinic.confirm_at_once or not by_patient
        booking.status = Status.BOOKED if at_once else Status.PENDING
        booking.confirmed_at = now if at_once else None
        booking.hold_until = None
        booking.sequence += 1
        _save_holding(booking)
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
        links.revoke_all(booking, now=now)
        messages.queue(booking, Kind.CHANGED if at_once else Kind.RECEIVED)
        if at_once:
            messages.plan_reminders(booking, now)
        if by_patient:
            messages.queue(booking, Kind.DESK_CHANGED)
        return booking


def _free_slot_for_move(booking, start, practitioner, *, clinic, now):
    """As _free_slot, with the booking's own time counted as free."""
    if practitioner is None and booking.practitioner_id:
        same = availability.slot_at(
            start,
            condition=booking.condition,
            visit_type=booking.visit_type,
            practitioner=booking.practitioner,
            now=now,
            clinic=clinic,
            ignoring=booking,
        )
        practitioner = booking.practitioner if same else None
    if practitioner is not None:
        locked = _lock_practitioners([practitioner])
        for person in locked:
            _release_lapsed(person, now)
        slot = availability.slot_at(
            start,
            condition=booking.condition,
            visit_type=booking.visit_type,
            practitioner=practitioner,
            now=now,
            clinic=clinic,
            ignoring=booking,
        )
        if slot is None:
            raise SlotTaken
        return slot
    return _free_slot(
        start,
        condition=booking.condition,
        visit_type=booking.visit_type,
        practitioner=None,
        clinic=clinic,
        now=now,
    )


# --- offering other times --------------------------------------------------------------------------


def _close_offers(booking, *, by, now):
    """Give back every time that is still offered for this request."""
    offers = Booking.objects.filter(offered_for=booking, status=Status.PROPOSED)
    for offer_row in offers.select_for_update():
        _close(offer_row, by=by, cancelled_by=Booking.CancelledBy.SYSTEM, reason="", now=now)


@transaction.atomic
def offer(booking, *, times, by, hold=OFFER_HOLD, now=None):
    """The clinic offers up to three times for a request and holds them until ``now + hold``.

    ``times`` are (start, practitioner) pairs; a practitioner of None means any who is free.
    Earlier offers for the request are given back. Raises NotAllowed, or SlotTaken when one of the
    times is not free; then nothing is held.
    """
    now = now or timezone.now()
    if not 1 <= len(times) <= MOST_OFFERS or len({start for start, _ in times}) < len(times):
        raise NotAllowed(f"Offer one to {MOST_OFFERS} different times.")
    clinic = Clinic.objects.current()
    current = Booking.objects.get(pk=booking.pk)
    people = [person for _start, person in times if person]
    if len(people) < len(times):  # "anybody": all of them at once, in one order
        people += Practitioner.objects.bookable(current.visit_type)
    _lock_practitioners([*people, *([current.practitioner] if current.practitioner else [])])
    booking = _locked(booking)
    _require(booking, Status.PENDING, Status.WAITLIST, doing="answered with other times")
    _close_offers(booking, by=by, now=now)
    for start, person in times:
        slot = _free_slot(
            start,
            condition=booking.condition,
            visit_type=booking.visit_type,
            practitioner=person,
            clinic=clinic,
            now=now,
        )
        row = Booking(
            status=Status.PROPOSED,
            offered_for=booking,
            condition=booking.condition,
            visit_type=booking.visit_type,
            source=Booking.Source.DESK,
            hold_until=min(now + hold, slot.starts_at),
        )
        _put(row, slot)
        _save_holding(row)
    audit.record("booking.offered", booking, by=by, at=now, details={"times": len(times)})
    messages.queue(booking, Kind.OFFERED, occasion=f"{now:%Y%m%dT%H%M%S%f}")
    return booking


@transaction.atomic
def choose_offer(booking, *, offered, by="patient", now=None):
    """The patient takes one of the offered times; the others are free at once. It is confirmed.

    Raises SlotTaken when the offer has ended, NotAllowed when the request has been answered.
    """
    now = now or timezone.now()
    ours = Booking.objects.filter(pk=offered.pk, offered_for=booking).first()
    if ours is None:
        raise SlotTaken("This offer has ended. Please choose another time or call us.")
    current = Booking.objects.get(pk=booking.pk)
    _lock_practitioners([p for p in (ours.practitioner, current.practitioner) if p])
    booking, ours = _locked(booking), _locked(ours)
    _require(booking, Status.PENDING, Status.WAITLIST, doing="given that time")
    if ours.status != Status.PROPOSED or ours.hold_until <= now:
        raise SlotTaken("This offer has ended. Please choose another time or call us.")
    _close_offers(booking, by=by, now=now)
    _put(booking, ours)
    links.revoke_all(booking, now=now)
    _confirm_locked(booking, by=by, now=now, action="booking.offer_chosen")
    messages.queue(booking, Kind.DESK_CHANGED)
    return booking


# --- the day itself -------------------------------------------------------------------------------


@transaction.atomic
def mark_arrived(booking, *, by, now=None):
    """The patient is here, or on the line. Raises NotAllowed unless it is confirmed."""
    now = now or timezone.now()
    booking = _locked(booking)
    _require(booking, Status.BOOKED, doing="marked as arrived")
    return _set_status(booking, Status.ARRIVED, by=by, now=now)


@transaction.atomic
def record_outcome(booking, *, outcome, by, now=None):
    """Say whether the consultation took place: "fulfilled" or "noshow". Only staff decide it.

    Raises NotAllowed before it starts, or for a booking that was never confirmed.
    """
    now = now or timezone.now()
    booking = _locked(booking)
    allowed = {
        Status.FULFILLED: (Status.BOOKED, Status.ARRIVED),
        Status.NOSHOW: (Status.BOOKED,),
    }
    if outcome not in allowed:
        raise NotAllowed("The outcome is either “seen” or “did not come”.")
    _require(booking, *allowed[outcome], doing=f"marked as {Status(outcome).label.lower()}")
    if booking.starts_at > now:
        raise NotAllowed("This consultation has not started yet.")
    booking = _set_status(booking, outcome, by=by, now=now)
    if outcome == Status.NOSHOW and booking.email:
        messages.queue(booking, Kind.FOLLOW_UP, due_at=now + FOLLOW_UP_AFTER)
    return booking


def _set_status(booking, status, *, by, now, action=None):
    before = booking.status
    booking.status = status
    _save_holding(booking)
    audit.record(action or f"booking.{status}", booking, by=by, at=now, details={"from": before})
    return booking


@transaction.atomic
def undo(booking, *, by, now=None):
    """Take back "arrived", "seen" or "did not come": the booking is confirmed again.

    Raises SlotTaken when somebody else has taken the time meanwhile.
    """
    now = now or timezone.now()
    if booking.practitioner_id:
        _lock_practitioners([booking.practitioner])
    booking = _locked(booking)
    _require(booking, Status.ARRIVED, Status.FULFILLED, Status.NOSHOW, doing="undone")
    return _set_status(booking, Status.BOOKED, by=by, now=now, action="booking.undone")
