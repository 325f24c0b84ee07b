"""What may happen to a booking: from which status, to which, when, by whom, and what it owes.

Verbs call ``require`` of their row as soon as they hold the locks; the desk and the manage page
show what is ``allowed``. A patient's move and cancellation are rows of their own: the deadline is
theirs alone.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from bookings.lifecycle.errors import NotAllowed, SchedulingError, SlotTaken
from bookings.messaging import channels
from bookings.models import Booking, Message
from clinic.models import Action, Actor, User

from . import clock_changes

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

Status = Booking.Status
Kind = Message.Kind

DESK, PATIENT, SYSTEM = Actor
STAFF = (DESK, SYSTEM)  # an operator's command and the demonstration stand in for the desk
CAME = (Status.ARRIVED, Status.FULFILLED, Status.NOSHOW)


def actor_of(by: User | Actor) -> Actor:
    return DESK if isinstance(by, User) else Actor(by)


# --- when -----------------------------------------------------------------------------------------


def _in_time(booking: Booking, now: datetime) -> bool:
    return booking.starts_at is None or now <= booking.change_deadline


def _its_day_has_come(booking: Booking, now: datetime) -> bool:
    return booking.is_by_day(now)


def _started(booking: Booking, now: datetime) -> bool:
    return booking.starts_at is not None and booking.starts_at <= now


def _has_address(booking: Booking, now: datetime) -> bool:
    return channels.reaches(booking)


def _can_be_mailed_ahead(booking: Booking, now: datetime) -> bool:
    return _has_address(booking, now) and not _started(booking, now)


def _is_somebodys(booking: Booking, now: datetime) -> bool:
    return booking.offered_for_id is None


def _clock_has_shifted(booking: Booking, now: datetime) -> bool:
    if _started(booking, now):
        return False
    zone = booking.location.zone
    return bool(clock_changes.shifts(booking.promised_times, booking.starts_at, zone))


# --- the table ------------------------------------------------------------------------------------

ERASED = _("The personal details are erased, so this booking cannot be %(doing)s.")
IN_STATUS = _("This booking is “%(status)s”, so it cannot be %(doing)s.")
NEVER_VERIFIED = _("This request was never proved, and its time has been given back.")
NOT_VERIFIED_IN_TIME = _("This request was not confirmed in time. Please choose a time again.")
TOO_LATE_TO_MOVE = _("It is too late to change the time online. Please call us.")
TOO_LATE_TO_CANCEL = _("It is too late to cancel online. Please call us.")
NOT_STARTED = _("This consultation has not started yet.")


@dataclass(frozen=True)
class Transition:
    """One row: a name as the desk's buttons have it, and the rule."""

    name: str
    from_: tuple[Status, ...]
    to: Status | None  # None: the status stays
    by: tuple[Actor, ...]
    doing: "str | _StrPromise"  # "so it cannot be …"; empty: ``words`` say it all
    when: Callable[[Booking, datetime], bool] | None = None
    words: "str | _StrPromise" = ""  # when it is not so
    lapsed: "str | _StrPromise" = (
        NEVER_VERIFIED  # when its hold ran out; empty: it may all the same
    )
    error: type[SchedulingError] = NotAllowed
    owes: tuple[Kind, ...] = ()
    recorded_as: Action | None = None  # what tells of the new status

    def __post_init__(self) -> None:
        for kind in self.owes:
            if not set(self.after) <= set(Message.TRUE_WHILE[kind]):
                raise ValueError(f"{self.name} owes {kind}, which would be dropped")

    @property
    def after(self) -> tuple[Status, ...]:
        """Return the statuses that a booking can have right after it."""
        return self.from_ if self.to is None else (self.to,)

    def refusal(
        self, booking: Booking, *, now: datetime, by: User | Actor
    ) -> SchedulingError | None:
        """Return the error that says in words for people why it may not be, or None."""
        if actor_of(by) not in self.by:
            return NotAllowed()
        if booking.erased_at and self.doing:
            return NotAllowed(ERASED % {"doing": self.doing})
        if booking.status not in self.from_ and self.doing:
            status = booking.get_status_display().lower()
            return NotAllowed(IN_STATUS % {"status": status, "doing": self.doing})
        fits = not booking.erased_at and booking.status in self.from_
        if fits and self.lapsed and booking.has_lapsed(now):
            return self.error(self.lapsed)
        if not fits or (self.when and not self.when(booking, now)):
            return self.error(self.words)
        return None

    def require(self, booking: Booking, *, now: datetime, by: User | Actor) -> None:
        """Raise the refusal, if there is one."""
        if refusal := self.refusal(booking, now=now, by=by):
            raise refusal

    def allows(self, booking: Booking, *, now: datetime, by: User | Actor) -> bool:
        return self.refusal(booking, now=now, by=by) is None


CONFIRM = Transition(
    "confirm", (Status.PENDING,), Status.BOOKED, STAFF, _("confirmed"),
    error=SlotTaken, owes=(Kind.CONFIRMED,), recorded_as=Action.BOOKING_CONFIRMED,
)  # fmt: skip
ARRIVE = Transition(
    "arrived", (Status.BOOKED,), Status.ARRIVED, STAFF, _("marked as arrived"),
    when=_its_day_has_come, words=_("This consultation is on a later day."),
    recorded_as=Action.BOOKING_ARRIVED,
)  # fmt: skip
SEE = Transition(
    "seen", (Status.BOOKED, Status.ARRIVED), Status.FULFILLED, STAFF, _("marked as seen"),
    when=_started, words=NOT_STARTED, recorded_as=Action.BOOKING_FULFILLED,
)  # fmt: skip
MISS = Transition(
    "noshow", (Status.BOOKED,), Status.NOSHOW, STAFF, _("marked as did not come"),
    when=_started, words=NOT_STARTED, owes=(Kind.FOLLOW_UP,), recorded_as=Action.BOOKING_NOSHOW,
)  # fmt: skip
MOVE = Transition(
    "move", Booking.AWAITED, Status.BOOKED, STAFF, _("moved"),
    owes=(Kind.CHANGED,), recorded_as=Action.BOOKING_RESCHEDULED,
)  # fmt: skip
OFFER = Transition(
    "offer", Booking.WAITING, None, STAFF, _("answered with other times"),
    when=_has_address, words=_("There is no e-mail address. Call, and give a time instead."),
    owes=(Kind.OFFERED,),
)  # fmt: skip
UNDO = Transition(
    "undo", CAME, Status.BOOKED, STAFF, _("undone"), recorded_as=Action.BOOKING_UNDONE,
)  # fmt: skip
TELL = Transition(
    "tell", Booking.AGREED, None, STAFF, "",
    when=_clock_has_shifted, words=_("Its clock time is the one that people were told."),
)  # fmt: skip
SEND_LINK = Transition(
    "link", Booking.AWAITED, None, (PATIENT, *STAFF), "",
    when=_can_be_mailed_ahead,
    words=_("There is no address to send it to, or nothing left to manage."), owes=(Kind.LINK,),
)  # fmt: skip
CANCEL = Transition(
    "cancel", (*Booking.AWAITED, Status.PROPOSED), Status.CANCELLED, STAFF, _("cancelled"),
    lapsed="", owes=(Kind.CANCELLED,), recorded_as=Action.BOOKING_CANCELLED,
)  # fmt: skip

# On the booking's page itself, not by a button.
CORRECT = Transition(
    "correct", tuple(Status), None, STAFF, _("corrected"),
    when=_is_somebodys, words=_("An offer has no patient of its own: correct the request."),
    lapsed="",
)  # fmt: skip

# By the patient: with a time the request waits again, unless the clinic confirms at once (CONFIRM).
REQUEST = Transition(
    "request", (), Status.PENDING, (PATIENT, *STAFF), "",
    owes=(Kind.VERIFY, Kind.RECEIVED, Kind.DESK_NEW), recorded_as=Action.BOOKING_REQUESTED,
)  # fmt: skip
REQUEST_CALLBACK = Transition(
    "callback", (), Status.WAITLIST, (PATIENT, *STAFF), "",
    owes=(Kind.CALLBACK, Kind.DESK_NEW), recorded_as=Action.BOOKING_CALLBACK_REQUESTED,
)  # fmt: skip
VERIFY = Transition(
    "verify", (Status.PENDING, Status.BOOKED), None, (PATIENT, SYSTEM), _("confirmed by you"),
    lapsed=NOT_VERIFIED_IN_TIME, owes=(Kind.DESK_NEW,),
)  # fmt: skip
CHOOSE = Transition(
    "choose", Booking.WAITING, Status.BOOKED, (PATIENT, SYSTEM), _("given that time"),
    owes=(Kind.CONFIRMED, Kind.DESK_CHANGED), recorded_as=Action.BOOKING_OFFER_CHOSEN,
)  # fmt: skip
MOVE_ONLINE = Transition(
    "move", Booking.AWAITED, Status.PENDING, (PATIENT,), _("moved"),
    when=_in_time, words=TOO_LATE_TO_MOVE, lapsed=NOT_VERIFIED_IN_TIME,
    owes=(Kind.RECEIVED, Kind.DESK_CHANGED), recorded_as=Action.BOOKING_RESCHEDULED,
)  # fmt: skip
CANCEL_ONLINE = Transition(
    "cancel", Booking.AWAITED, Status.CANCELLED, (PATIENT, SYSTEM), _("cancelled"),
    when=_in_time, words=TOO_LATE_TO_CANCEL, lapsed="",
    owes=(Kind.CANCELLED, Kind.DESK_CANCELLED), recorded_as=Action.BOOKING_CANCELLED,
)  # fmt: skip

# As the desk's buttons stand, then what patients do.
TABLE = (
    CONFIRM, ARRIVE, SEE, MISS, MOVE, OFFER, UNDO, TELL, SEND_LINK, CANCEL,
    CORRECT, REQUEST, REQUEST_CALLBACK, VERIFY, CHOOSE, MOVE_ONLINE, CANCEL_ONLINE,
)  # fmt: skip


def allowed(booking: Booking, now: datetime, *, by: User | Actor = DESK) -> list[str]:
    """List what may be done with the booking now, by name, in the order of the table."""
    return [row.name for row in TABLE if row.allows(booking, now=now, by=by)]


def news_of(status: Status) -> set[Kind]:
    """Return the kinds of messages that tell a patient of this status."""
    return {kind for row in TABLE if row.to == status for kind in row.owes if not kind.to_desk}


def statuses_after() -> dict[Action, set[Status]]:
    """Return the statuses that a booking can have right after each action that sets one."""
    found: dict[Action, set[Status]] = defaultdict(set)
    for row in TABLE:
        if row.recorded_as:
            found[row.recorded_as].update(row.after)
    return dict(found)
