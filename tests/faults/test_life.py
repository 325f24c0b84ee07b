"""The whole life of bookings at random: any verb on any booking at any moment, in any order.

Whatever is refused is refused in words and changes nothing; whatever is done is a transition of the
table below; and after every few steps all invariants hold (C-12).
"""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from bookings import invariants, manage_links
from bookings.lifecycle import answers, contact, errors, offers, requests, visits
from bookings.messaging import outbox
from bookings.models import Booking
from clinic.models import Closure, VisitType
from tests.factories import (
    asked_of,
    make_closure,
    make_hours,
    make_location,
    make_practitioner,
    make_request,
    make_user,
    slot_search,
)

pytestmark = pytest.mark.django_db

MONDAY = datetime(2027, 1, 4, 16, tzinfo=UTC)  # 08:00 in Los Angeles
# verb: {status before: statuses after}; a lapsed hold may end in any verb that looks for time.
LEGAL = {
    "confirm": {"pending": {"booked"}},
    "verify": {"pending": {"pending", "booked"}, "booked": {"booked"}},
    "cancel by patient": {s: {"cancelled"} for s in ("pending", "booked", "waitlist")},
    "cancel by clinic": {s: {"cancelled"} for s in ("pending", "booked", "waitlist", "proposed")},
    "move by patient": {s: {"pending", "booked"} for s in ("pending", "booked", "waitlist")},
    "move by clinic": {"pending": {"pending", "booked"}, "booked": {"booked"}, "waitlist": {"booked"}},
    "offer": {"pending": {"pending"}, "waitlist": {"waitlist"}},
    "choose": {"pending": {"booked"}, "waitlist": {"booked"}, "booked": {"booked"}},
    "arrived": {"booked": {"arrived"}},
    "fulfilled": {"booked": {"fulfilled"}, "arrived": {"fulfilled"}},
    "noshow": {"booked": {"noshow"}},
    "undo": {s: {"booked"} for s in ("arrived", "fulfilled", "noshow")},
    "announce new time": {s: {s} for s in Booking.Status.values},
    "contact": {s: {s} for s in Booking.Status.values},
}  # fmt: skip


class Clinic:
    """One clinic whose people do anything at any time; ``dice`` decides."""

    def __init__(self, clock, dice):
        self.clock, self.dice, self.number = clock, dice, 0
        self.location = make_location(horizon_days=14, buffer_after=10)
        make_hours(opens="09:00", closes="12:00")
        self.people = [make_practitioner() for _ in range(2)]
        self.staff = make_user()
        self.done, self.refusals = 0, []

    def start(self):
        """A time that is free, or was a moment ago, or never is."""
        first = timezone.localdate(timezone=self.location.zone)
        day = first + timedelta(days=self.dice.randrange(6))
        free = slot_search().free(day, day)
        taken = [at for at in Booking.objects.values_list("starts_at", flat=True) if at]
        nonsense = [timezone.now() + timedelta(minutes=self.dice.randrange(-900, 9000))]
        pool = [slot.starts_at for slot in free] or nonsense
        return self.dice.choice(self.dice.choice([pool, pool, pool, taken or pool, nonsense]))

    def somebody(self):
        return self.dice.choice([None, *self.people])

    def ask(self):
        self.number += 1
        if self.dice.random() < 0.2:
            return make_request(
                visit_type="phone", name="Ana", phone="+13235550177", consent_version="1",
                asked=asked_of(), email=self.dice.choice(["", f"p{self.number}@example.org"]),
            )  # fmt: skip
        return make_request(
            start=self.start(), visit_type=self.dice.choice(VisitType.values), name="Ana",
            practitioner=self.somebody(), email=f"p{self.number}@example.org", consent_version="1",
            asked=asked_of(), time_zone=self.dice.choice(["", "Asia/Kolkata"]),
            verify_within=self.dice.choice([None, None, timedelta(minutes=15)]),
            source=self.dice.choice(["web", "web", "desk"]),
        )  # fmt: skip

    def on(self, booking):
        """The verbs, each with the answers of this moment."""
        by = {"by": self.staff}
        offered = list(booking.offers.all())
        return {
            "confirm": lambda: answers.confirm(booking, **by),
            "verify": lambda: requests.verify_email(booking),
            "cancel by patient": lambda: answers.cancel(booking, by="patient", reason="x"),
            "cancel by clinic": lambda: answers.cancel(booking, cancelled_by="clinic", **by),
            "move by patient": lambda: answers.reschedule(
                booking, start=self.start(), by="patient"
            ),
            "move by clinic": lambda: answers.reschedule(
                booking, start=self.start(), practitioner=self.somebody(), **by
            ),
            "offer": lambda: offers.offer(
                booking, times=[(self.start(), self.somebody()) for _ in range(2)], **by
            ),
            "choose": lambda: offers.choose(
                booking, offered=self.dice.choice(offered or [booking])
            ),
            "arrived": lambda: visits.mark_arrived(booking, **by),
            "fulfilled": lambda: visits.record_outcome(booking, outcome="fulfilled", **by),
            "noshow": lambda: visits.record_outcome(booking, outcome="noshow", **by),
            "undo": lambda: visits.undo(booking, **by),
            "announce new time": lambda: contact.announce_new_time(booking, **by),
            "contact": lambda: contact.correct(booking, changes={"phone": "+13235550178"}, **by),
        }

    def step(self):
        roll = self.dice.random()
        self.clock.shift(timedelta(minutes=self.dice.choice([0, 0, 1, 7, 20, 90])))
        if roll < 0.02:
            self.clock.shift(timedelta(hours=self.dice.randrange(30)))
        elif roll < 0.04:
            self.shut()
        elif roll < 0.08:
            requests.free_all_lapsed()
        elif roll < 0.12:
            outbox.drain()
        elif roll < 0.35 or not Booking.objects.exists():
            self.attempt(self.ask)
        else:
            self.act(self.dice.choice(Booking.objects.order_by("-pk")[:25]))

    def shut(self):
        day = timezone.localdate(timezone=self.location.zone) + timedelta(days=1)
        Closure.objects.all().delete()
        make_closure(self.somebody(), first_day=day, last_day=day)

    def attempt(self, verb):
        try:
            return verb()
        except errors.SchedulingError as error:
            self.refusals.append(error.message)
            return None

    def act(self, booking):
        name, verb = self.dice.choice(list(self.on(booking).items()))
        before = row(booking)
        after = self.attempt(verb)
        if after is None:
            assert row(booking) == before or row(booking)["status"] == "cancelled", name
            return
        self.done += 1
        now = row(booking)
        assert now["status"] in LEGAL[name].get(before["status"], ()), (name, before, now)
        if now["starts_at"] != before["starts_at"]:
            assert now["sequence"] > before["sequence"], name
            assert not manage_links.ManageLink.objects.valid().filter(
                booking=booking, issued_at__lt=timezone.now()
            ), name


def row(booking):
    return Booking.objects.filter(pk=booking.pk).values().get()


@pytest.mark.parametrize(
    ("walks", "steps"), [(2, 150), pytest.param(20, 600, marks=pytest.mark.night)]
)
def test_any_verb_at_any_moment(tally, walks, steps):
    """C-12: a random walk through the verbs: only legal transitions, invariants always hold."""
    for _ in range(walks):
        with time_machine.travel(MONDAY, tick=False) as clock:
            clinic = Clinic(clock, tally.dice)
            for number in range(steps):
                clinic.step()
                if number % 25 == 24:
                    found = {name: rows for name, rows in invariants.broken().items() if rows}
                    assert found == {}
        assert all(words.endswith(".") for words in clinic.refusals)
        tally.add(steps=steps, done=clinic.done, refused=len(clinic.refusals))
    assert tally["done"] > tally["steps"] / 10
    assert tally["refused"] > tally["steps"] / 10
