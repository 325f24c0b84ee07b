"""T-07: the machine's clock is wrong for a while, and put right again.

Nothing confirmed ends early, no reminder is about the past, none comes twice or is lost, and what
was leased or counted by the wrong clock holds nothing up by the right one.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from bookings import rate_limits
from bookings.management.commands.run_worker import housekeeping
from bookings.messaging import outbox
from bookings.models import Booking, Heartbeat, Message
from clinic.models import LEASE
from tests.factories import (
    asked_of,
    make_clinic,
    make_hours,
    make_practitioner,
    make_request,
    queue_message,
)

pytestmark = pytest.mark.django_db

NOON = datetime(2027, 1, 4, 20, tzinfo=UTC)  # Monday 12:00 in Los Angeles
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
STEPS = [
    pytest.param(-2 * HOUR, id="2 h back"),
    pytest.param(2 * HOUR, id="2 h ahead", marks=pytest.mark.night),
    pytest.param(DAY, id="a day ahead", marks=pytest.mark.night),
    pytest.param(7 * DAY, id="a week ahead"),
]


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def booked(clock):
    """Twenty confirmed visits from in an hour to in ten days."""
    make_clinic(horizon_days=30, confirm_at_once=True)
    make_hours()
    make_practitioner()
    starts = [NOON + HOUR + DAY * day + HOUR * hour for day in range(10) for hour in (0, 2)]
    return [
        make_request(
            start=start, visit_type="video", name="Ana", email=f"ana{number}@example.org",
            phone="", consent_version="1", asked=asked_of(),
        )
        for number, start in enumerate(starts)
    ]  # fmt: skip


def work():
    """One round of a worker."""
    housekeeping(outbox.timezone.now())
    return outbox.drain()


def reminders_sent(mailoutbox):
    return [mail for mail in mailoutbox if mail.subject.startswith("Reminder")]


@pytest.mark.parametrize("step", STEPS)
def test_a_clock_that_is_wrong_for_an_hour(booked, clock, mailoutbox, step):
    work()
    wrong = NOON + HOUR / 2 + step
    for minutes in range(0, 60, 10):
        clock.move_to(wrong + timedelta(minutes=minutes))
        work()
    assert Booking.objects.filter(status="booked").count() == len(booked)
    in_wrong_time = len(reminders_sent(mailoutbox))
    assert in_wrong_time <= len(booked), "one a visit at most, however many moments were passed"
    clock.move_to(NOON + 2 * HOUR)
    work()
    for half_hours in range(4, 24 * 11 * 2):
        clock.move_to(NOON + half_hours * HOUR / 2)
        work()
    sent = Message.objects.filter(kind="reminder", state="sent")
    for message in sent.select_related("booking"):
        assert message.sent_at < message.booking.starts_at
    assert max(Counter(message.key for message in sent).values()) == 1
    late = [booking for booking in booked if booking.starts_at > NOON + 4 * HOUR]
    for booking in late:
        start = f"{booking.starts_at:%Y%m%dT%H%MZ}"
        assert sent.filter(key=f"{booking.pk}:reminder:2-hour:{start}").exists(), "none is lost"


def test_what_was_leased_before_the_clock_went_back_is_free_in_two_leases(booked, clock):
    """A worker claims, dies, and the clock goes back two hours."""
    claimed = outbox.claim(count=1000)
    assert claimed
    assert outbox.claim() == []
    keys = {message.pk for message in claimed}
    Message.objects.filter(pk__in=keys).update(due_at=NOON - 3 * HOUR)
    clock.move_to(NOON - 2 * HOUR + 2 * LEASE)
    assert {message.pk for message in outbox.claim(count=1000)} == keys


def test_a_lease_of_now_is_nobody_elses(booked, clock):
    claimed = outbox.claim(count=1000)
    clock.shift(LEASE - timedelta(seconds=1))
    assert outbox.claim() == []
    clock.shift(timedelta(seconds=1))
    assert len(outbox.claim(count=1000)) == len(claimed)


def test_a_lease_renewed_while_another_worker_waited_is_not_taken(booked, clock):
    """That worker looked at its clock before it waited for the database."""
    claimed = outbox.claim(count=1000)
    clock.shift(LEASE / 4)
    for message in claimed:
        assert outbox._begin_try(message, NOON + LEASE / 4)
    assert outbox.claim(now=NOON) == []


def test_a_small_step_back_holds_nothing_up_for_longer_than_two_leases(booked, clock):
    claimed = outbox.claim(count=1000)
    clock.move_to(NOON - LEASE * 0.9)
    Message.objects.update(due_at=NOON - HOUR)
    clock.shift(2 * LEASE)
    assert {message.pk for message in claimed} <= {m.pk for m in outbox.claim(count=1000)}


def test_the_house_is_kept_after_the_clock_went_back(booked, clock):
    housekeeping(NOON + DAY)
    housekeeping(NOON)
    assert Heartbeat.objects.get(name="lapsed").at == NOON


def test_a_worker_that_beat_tomorrow_is_not_alive_today(booked, clock):
    Heartbeat.objects.create(name="worker", at=NOON + DAY)
    assert "no worker" in outbox.health_problem(NOON)


def test_a_hold_ends_by_the_clock_and_a_confirmed_booking_never_does(booked, clock):
    """The clock steps ahead during a hold: only what was held without proof is free."""
    held = make_request(
        start=NOON + 4 * HOUR, visit_type="video", name="Bo", email="bo@example.org",
        consent_version="1", asked=asked_of(), verify_within=rate_limits.VERIFY_WITHIN,
    )  # fmt: skip
    clock.move_to(NOON + HOUR / 2)
    work()
    clock.move_to(NOON)
    work()
    held.refresh_from_db()
    assert (held.status, held.cancelled_by) == ("cancelled", "system")
    assert Booking.objects.filter(status="booked").count() == len(booked)


def test_people_who_came_by_the_wrong_clock_do_not_count_for_a_day(booked, clock, settings):
    settings.ABUSE_LIMITS = True
    clock.move_to(NOON + DAY)
    for _ in range(rate_limits.MAILS.at_most):
        with rate_limits.mailing("zelda@example.org") as may_mail:
            assert may_mail
    with rate_limits.mailing("zelda@example.org") as may_mail:
        assert not may_mail
    clock.move_to(NOON)
    with rate_limits.mailing("zelda@example.org") as may_mail:
        assert may_mail


def test_a_mail_sent_by_the_wrong_clock_is_not_sent_again(booked, clock, mailoutbox):
    message = queue_message(booked[-1], Message.Kind.LINK, due_at=NOON)
    clock.move_to(NOON + DAY)
    outbox.drain()
    clock.move_to(NOON)
    outbox.drain()
    assert sum(mail.message()["Message-ID"] == message_id(message) for mail in mailoutbox) == 1


def message_id(message):
    message.refresh_from_db()
    return message.message_id
