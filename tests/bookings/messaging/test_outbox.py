"""The outbox and the command that empties it: leases, tries, stopping, and the database away."""

import signal
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.utils import timezone

from bookings.management.commands import run_worker
from bookings.messaging import outbox
from bookings.messaging.channels import email as smtp
from bookings.models import Booking, Heartbeat, Message
from clinic.models import AuditEvent
from tests.factories import make_booking, make_clinic, queue_message
from tests.shared_database import SharedDatabase

pytestmark = pytest.mark.django_db

Kind = Message.Kind
State = Message.State


@pytest.fixture(autouse=True)
def clinic(db):
    return make_clinic()


def soon(**values):
    return make_booking(starts_at=timezone.now() + timedelta(days=3), **values)


def queued(kind=Kind.CONFIRMED, **values):
    return queue_message(soon(**values), kind)


def drain():
    return dict(outbox.drain())


# --- sending --------------------------------------------------------------------------------------


def test_what_is_due_is_sent_and_marked(mailoutbox):
    message = queued()
    assert drain() == {"sent": 1}
    message.refresh_from_db()
    assert (message.state, message.tries, message.lease_until) == (State.SENT, 1, None)
    assert message.sent_at
    assert message.message_id == f"<{message.pk}.{message.booking.uid}@127.0.0.1>"
    [mail] = mailoutbox
    assert mail.to == [message.booking.email]
    assert mail.message()["Message-ID"] == message.message_id
    assert drain() == {}


def test_what_is_not_due_waits(mailoutbox):
    queue_message(soon(), Kind.CONFIRMED, due_at=timezone.now() + timedelta(minutes=1))
    assert drain() == {}
    assert mailoutbox == []


def test_what_no_longer_makes_sense_is_dropped(mailoutbox):
    message = queued()
    Booking.objects.update(status="pending")
    assert drain() == {"dropped": 1}
    message.refresh_from_db()
    assert (message.state, message.tries) == (State.DROPPED, 0)
    assert mailoutbox == []


def test_without_an_address_there_is_no_mail(mailoutbox):
    make_clinic(desk_email="")
    queued(email="")
    queued(Kind.DESK_NEW)
    assert drain() == {"dropped": 2}
    assert mailoutbox == []


def test_something_that_is_no_address_fails_at_once():
    message = queued(email="two@example.org, three@example.org")
    assert drain() == {"failed": 1}
    message.refresh_from_db()
    assert (message.error, message.tries) == ("Not an e-mail address", 1)


def test_a_broken_message_does_not_block_the_others(mailoutbox, monkeypatch):
    compose = smtp.compose
    broken, *others = [queued() for _ in range(3)]

    def compose_or_break(message, *rest):
        if message.pk == broken.pk:
            raise ValueError("pat@example.org is in this text")
        return compose(message, *rest)

    monkeypatch.setattr(smtp, "compose", compose_or_break)
    assert drain() == {"put off": 1, "sent": 2}
    broken.refresh_from_db()
    assert broken.state == State.QUEUED
    assert broken.error == "Could not be written: ValueError"
    assert broken.due_at > timezone.now() + timedelta(minutes=1)


def test_it_gives_up_after_three_days_and_says_so(monkeypatch, time_machine):
    now = timezone.now()
    message = queued()
    Booking.objects.update(starts_at=now + timedelta(days=30), ends_at=now + timedelta(days=31),
                           busy_until=now + timedelta(days=31))  # fmt: skip
    monkeypatch.setattr(smtp, "compose", lambda *_: 1 / 0)
    waits = []
    for _ in range(120):
        message.refresh_from_db()
        if message.state != State.QUEUED:
            break
        time_machine.move_to(message.due_at, tick=False)
        waits.append(message.due_at)
        drain()
    assert message.state == State.FAILED
    assert timedelta(days=3) < waits[-1] - now < timedelta(days=3, hours=2)
    gaps = [later - earlier for earlier, later in zip(waits, waits[1:], strict=False)]
    assert gaps[:6] == [timedelta(minutes=m) for m in (2, 4, 8, 16, 32, 60)]
    assert set(gaps[6:]) == {timedelta(hours=1)}
    event = AuditEvent.objects.get(action="booking.message_failed")
    assert event.object_key == message.booking.reference
    assert event.details["kind"] == "confirmed"


# --- leases ---------------------------------------------------------------------------------------


def test_a_claimed_message_is_nobody_elses_until_the_lease_ends(time_machine):
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    queued()
    [claimed] = outbox.claim()
    assert outbox.claim() == []
    time_machine.shift(outbox.LEASE)
    [again] = outbox.claim()
    assert again.pk == claimed.pk


def test_a_worker_that_lost_its_lease_sends_nothing(mailoutbox, time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    queued()
    [slow] = outbox.claim()
    time_machine.shift(outbox.LEASE)
    [fast] = outbox.claim()
    with smtp.MailConnection() as post:
        assert outbox.deliver(slow, post) == "taken"
        assert outbox.deliver(fast, post) == State.SENT
    assert len(mailoutbox) == 1


def test_the_message_id_stays_when_a_message_is_sent_again(mailoutbox, time_machine):
    """What a worker killed between the server's 250 and the mark leaves behind."""
    time_machine.move_to(timezone.now(), tick=False)
    message = queued()
    drain()
    Message.objects.update(state=State.QUEUED, lease_until=timezone.now() + outbox.LEASE)
    assert drain() == {}
    time_machine.shift(outbox.LEASE)
    assert drain() == {"sent": 1}
    assert len({mail.message()["Message-ID"] for mail in mailoutbox}) == 1
    message.refresh_from_db()
    assert message.tries == 2


def test_a_stopped_worker_gives_back_what_it_has_not_begun(mailoutbox):
    for _ in range(3):
        queued()
    answers = iter([True, False])
    assert dict(outbox.drain(lambda: next(answers))) == {"sent": 1}
    assert Message.objects.due().count() == 2


def test_an_idle_look_is_one_query(django_assert_num_queries):
    with django_assert_num_queries(1):
        assert outbox.claim() == []


# --- the command ----------------------------------------------------------------------------------


def test_once_drains_prints_counts_and_exits(mailoutbox):
    queued()
    queued(email="")
    out = StringIO()
    call_command("run_worker", "--once", stdout=out)
    assert out.getvalue() == "1 dropped, 1 sent\n"
    assert len(mailoutbox) == 1
    out = StringIO()
    call_command("run_worker", "--once", stdout=out)
    assert out.getvalue() == "Nothing was due.\n"
    assert Heartbeat.objects.get(name="worker").at > timezone.now() - timedelta(seconds=30)


def test_housekeeping_runs_once_a_day(time_machine, monkeypatch):
    cleared = []
    monkeypatch.setattr(run_worker, "call_command", cleared.append)
    now = timezone.now()
    assert run_worker.housekeeping(now)
    assert not run_worker.housekeeping(now + timedelta(hours=23))
    assert run_worker.housekeeping(now + timedelta(hours=24))
    assert not run_worker.housekeeping(now + timedelta(hours=24))
    assert cleared == ["clearsessions"] * 2


class Clock:
    """Stands in for the worker's stopping event: passes time instead of waiting."""

    def __init__(self, time_machine, rounds):
        self.time_machine, self.rounds, self.waits = time_machine, rounds, []

    def is_set(self):
        return len(self.waits) >= self.rounds

    def set(self):
        self.rounds = 0

    def wait(self, seconds):
        self.waits.append(seconds)
        self.time_machine.shift(seconds)


@pytest.fixture
def looping(time_machine, monkeypatch):
    """Runs the loop for some rounds of simulated time; returns its output and its waits."""

    def run(rounds):
        time_machine.move_to(timezone.now(), tick=False)
        clock = Clock(time_machine, rounds)
        monkeypatch.setattr(run_worker.threading, "Event", lambda: clock)
        monkeypatch.setattr(run_worker.signal, "signal", lambda *_: None)
        monkeypatch.setattr(run_worker, "close_old_connections", lambda: None)
        monkeypatch.setattr(run_worker.connection, "close", lambda: None)
        out = StringIO()
        call_command("run_worker", stdout=out)
        return out.getvalue(), clock.waits

    return run


def test_the_loop_looks_every_two_seconds_and_beats_within_thirty(looping, monkeypatch):
    beats = set()
    drain = outbox.drain

    def watch(may_go_on):
        beats.add(Heartbeat.objects.get(name="worker").at)
        assert timezone.now() - max(beats) <= timedelta(seconds=30)
        return drain(may_go_on)

    monkeypatch.setattr(outbox, "drain", watch)
    _out, waits = looping(60)
    assert set(waits) == {run_worker.PAUSE}
    assert len(beats) == 6


def test_the_loop_survives_the_database_being_away(looping, monkeypatch, mailoutbox):
    queued()
    drain, trouble = outbox.drain, [OperationalError("server closed the connection")] * 6

    def drain_or_raise(may_go_on):
        if trouble:
            raise trouble.pop()
        return drain(may_go_on)

    monkeypatch.setattr(outbox, "drain", drain_or_raise)
    out, waits = looping(8)
    assert waits == [2, 4, 8, 16, 30, 30, 2, 2]
    assert out == "1 sent\nStopped.\n"
    assert len(mailoutbox) == 1


@pytest.mark.django_db(transaction=True)
def test_sigterm_ends_the_real_process_cleanly(tmp_path):
    with SharedDatabase(tmp_path) as database:
        worker = database.start("run_worker")
        database.wait_for("SELECT count(*) FROM bookings_heartbeat WHERE name = 'worker'")
        worker.send_signal(signal.SIGTERM)
        output, _ = worker.communicate(timeout=10)
    assert worker.returncode == 0, output
    assert output.endswith("Stopped.\n")
