"""Lists beside the board: who waits, who was not reached, what has no outcome yet."""

from dataclasses import dataclass
from datetime import timedelta

from bookings.desk.callers import Ahead
from bookings.models import Booking, Message
from bookings.times import age_words, there_now
from clinic.hours import DAY

SOON_LATE = timedelta(hours=4)  # from this age a waiting request is marked


MOST_WAITING = 100  # read; the board names how many there are up to here


MOST_MISSING = 50


MOST_UNREACHABLE = 100  # failed messages read


NO_SHOW_DAYS = 7


def urgency(age, answer_within_hours):
    """ "late" for a request older than the clinic promises, "soon" from four hours on, or ""."""
    if age > timedelta(hours=answer_within_hours):
        return "late"
    return "soon" if age >= SOON_LATE else ""


@dataclass(frozen=True)
class Waiting:
    booking: Booking
    age: str
    late: bool
    soon: bool
    there: str
    others: int  # consultations ahead with the same address or number


@dataclass(frozen=True)
class Unreachable:
    """A patient whom messages did not reach; ``failed`` are these messages, newest first."""

    booking: Booking
    failed: list


def waiting_requests(bookings, location, now):
    """List the requests that wait for an answer, oldest first."""
    waiting = []
    ahead = Ahead(bookings, now)
    for booking in bookings.waiting(now)[:MOST_WAITING]:
        age = now - booking.created_at
        state = urgency(age, location.clinic.answer_within_hours)
        waiting.append(
            Waiting(
                booking=booking,
                age=age_words(age),
                late=state == "late",
                soon=state == "soon",
                there=there_now(booking, location.zone, now),
                others=len(ahead.others(booking)),
            )
        )
    return waiting


def past_visits(bookings, now):
    """Consultations without an outcome, and no-shows of the last seven days, newest first."""
    no_shows = bookings.in_state(Booking.Status.NOSHOW).filter(
        starts_at__gt=now - NO_SHOW_DAYS * DAY, starts_at__lte=now
    )
    return tuple(
        list(found.order_by("-starts_at", "-pk")[:MOST_MISSING])
        for found in (bookings.needs_outcome(now), no_shows)
    )


def unreached():
    """Patients whom a message did not reach and nobody has told yet, the newest trouble first."""
    failed = (
        Message.objects.failed()
        .to_patients()
        .filter(booking__erased_at=None)
        .select_related("booking")
        .order_by("-due_at", "-pk")
    )
    by_booking = {}
    for message in failed[:MOST_UNREACHABLE]:
        by_booking.setdefault(message.booking_id, []).append(message)
    return [Unreachable(found[0].booking, found) for found in by_booking.values()]
