"""The mail server fails in every way it can, with a real one: M-01 to M-08, M-10, K-03, K-04.

No booking and no message is lost, none is sent twice without a kill, none in the clear.
"""

import random
import re
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from bookings.lifecycle import answers
from bookings.messaging import outbox, queue
from bookings.messaging.channels import email as smtp
from bookings.models import Booking, Message
from clinic.models import AuditEvent
from tests.factories import make_booking, make_clinic, make_practitioner, queue_message
from tests.mail_server import MailServer, make_certificate
from tests.shared_database import SharedDatabase

Kind = Message.Kind
State = Message.State
NOON = datetime(2027, 1, 4, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def server(settings):
    with MailServer() as server:
        yield server.use(settings)


@pytest.fixture
def practitioner(db):
    make_clinic()
    return make_practitioner()


def queue_many(count, practitioner, *, first=None, kind=Kind.CONFIRMED):
    """As many booked visits, half an hour apart from ``first``, each with one message."""
    first = first or timezone.now() + timedelta(days=3)
    return [
        queue_message(
            make_booking(
                starts_at=first + number * timedelta(minutes=30), practitioner=practitioner
            ),
            kind,
        )
        for number in range(count)
    ]


def states(kind=None):
    messages_of_kind = Message.objects.filter(kind=kind) if kind else Message.objects.all()
    return Counter(messages_of_kind.values_list("state", flat=True))


def drain():
    return dict(outbox.drain())


# --- M-01: no server at all -----------------------------------------------------------------------


@pytest.mark.django_db
def test_smtp_down_one_hour(server, practitioner, time_machine):
    """M-01: an hour without a server; 200 bookings meanwhile; all mail out soon after."""
    server.stop()
    at = NOON
    time_machine.move_to(at, tick=False)
    made = 0
    while at < NOON + timedelta(hours=1):
        time_machine.move_to(at, tick=False)
        if made < 200:
            first = NOON + timedelta(days=3, minutes=30 * made)
            made += len(queue_many(4, practitioner, first=first))
        drain()
        at += MINUTE
    assert states() == {State.QUEUED: 200}
    assert Message.objects.order_by("-tries").first().tries <= 12
    assert set(Message.objects.values_list("error", flat=True)) == {
        "Mail server: ConnectionRefusedError"
    }
    server.start()
    for _ in range(15):
        time_machine.move_to(at, tick=False)
        drain()
        at += MINUTE
    assert states() == {State.SENT: 200}
    assert len(set(server.addresses())) == len(server.addresses()) == 200


@pytest.mark.django_db
def test_a_dead_server_costs_one_attempt_a_batch(server, practitioner, monkeypatch):
    """M-02: a server that never answers must not cost its time-out once for each message."""
    opened = []
    server.stop()
    real = smtp.get_connection
    monkeypatch.setattr(smtp, "get_connection", lambda: opened.append(1) or real())
    queue_many(outbox.BATCH + 1, practitioner)
    assert drain() == {"put off": outbox.BATCH + 1}
    assert len(opened) == 2


@pytest.mark.django_db
def test_a_silent_server_is_left_after_the_timeout(server, practitioner, settings):
    """M-02"""
    settings.EMAIL_TIMEOUT = 0.3
    server.delay = 1
    queue_many(1, practitioner)
    began = time.monotonic()
    assert drain() == {"put off": 1}
    assert time.monotonic() - began < 1


# --- M-03: refusals -------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_refused_recipient_fails_at_once_and_blocks_nobody(server, practitioner):
    """M-03: 550 is final, is told to the desk's record, and the next hundred are delivered."""
    bad, *good = queue_many(101, practitioner)
    address = bad.booking.email
    server.rcpt_replies[address] = f"550 5.1.1 <{address}> no such user"
    assert drain() == {"failed": 1, "sent": 100}
    assert sorted(server.addresses()) == sorted(message.booking.email for message in good)
    bad.refresh_from_db()
    assert (bad.state, bad.tries, bad.error) == (State.FAILED, 1, "SMTP 550 for the recipient")
    event = AuditEvent.objects.get(action="booking.message_failed")
    assert event.object_key == bad.booking.reference
    assert address not in str(event.details)
    assert drain() == {}


@pytest.mark.django_db
@pytest.mark.parametrize("reply", ["421 Too busy", "450 Greylisted", "451 Try later", "452 Full"])
def test_a_temporary_refusal_is_tried_again(server, practitioner, time_machine, reply):
    """M-03"""
    time_machine.move_to(NOON, tick=False)
    later, other = queue_many(2, practitioner)
    server.rcpt_replies[later.booking.email] = reply
    assert drain() == {"put off": 1, "sent": 1}
    later.refresh_from_db()
    assert (later.state, later.error) == (State.QUEUED, f"SMTP {reply[:3]} for the recipient")
    assert later.due_at == NOON + 2 * MINUTE
    server.rcpt_replies.clear()
    assert drain() == {}
    time_machine.move_to(later.due_at, tick=False)
    assert drain() == {"sent": 1}
    assert sorted(server.addresses()) == sorted([later.booking.email, other.booking.email])


@pytest.mark.django_db
def test_the_text_refused(server, practitioner):
    queue_many(3, practitioner)
    server.data_replies = ["451 Later", "554 Looks like spam"]
    assert drain() == {"put off": 1, "failed": 1, "sent": 1}
    assert set(Message.objects.values_list("error", flat=True)) == {
        "SMTP 451 for the message", "SMTP 554 for the message", "",
    }  # fmt: skip


@pytest.mark.django_db
def test_one_connection_a_batch(server, practitioner):
    queue_many(outbox.BATCH, practitioner)
    drain()
    assert len(server.received) == outbox.BATCH
    assert server.connections == 1


# --- M-04: never in the clear ---------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("trouble", ["refused", "broken", "not offered", "wrong host"])
def test_broken_encryption_sends_nothing(practitioner, settings, tmp_path, monkeypatch, trouble):
    """M-04: with encryption configured, no address and no text crosses a plain connection."""
    host = "mail.example.org" if trouble == "wrong host" else "127.0.0.1"
    certificate = make_certificate(tmp_path, name=host)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with MailServer(None if trouble == "not offered" else certificate) as server:
        server.use(settings, EMAIL_USE_TLS=True)
        server.starttls = trouble if trouble in ("refused", "broken") else "works"
        queued = queue_many(3, practitioner)
        assert drain() == {"put off": 3}
        assert server.received == server.taken == []
        said = server.clear.decode("latin-1")
        assert re.fullmatch(
            r"(ehlo [^\r]*\r\n|STARTTLS\r\n|QUIT\r\n|[\x15\x16].*)*", said, re.S | re.I
        )
        assert not re.search(r"MAIL FROM|RCPT|DATA|example\.org>|appointment", said, re.IGNORECASE)
    for message in queued:
        message.refresh_from_db()
        assert message.state == State.QUEUED
        assert message.error.startswith(("Mail server: S", "SMTP 454"))


@pytest.mark.django_db
def test_working_encryption_delivers(practitioner, settings, tmp_path, monkeypatch):
    """M-04, the control: the same server with a certificate for its name."""
    certificate = make_certificate(tmp_path, name="127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with MailServer(certificate) as server:
        server.use(settings, EMAIL_USE_TLS=True)
        [message] = queue_many(1, practitioner)
        assert drain() == {"sent": 1}
        assert server.addresses() == [message.booking.email]
        assert message.booking.email.encode() not in server.clear


def test_a_lease_outlives_the_slowest_send():
    """A send is four replies: to MAIL, RCPT, DATA and the text."""
    assert outbox.LEASE.total_seconds() > django_settings.EMAIL_TIMEOUT * 4


def test_nothing_fails_silently():
    """M-04: the argument that hides a failed STARTTLS is never written."""
    forbidden = "fail_silently" + "=True"
    for folder in ("bookings", "clinic", "conditions"):
        for path in (django_settings.BASE_DIR / folder).rglob("*.py"):
            assert forbidden not in path.read_text(), path


# --- M-05: the answer is lost ---------------------------------------------------------------------


@pytest.mark.django_db
def test_connection_dropped_after_data(server, practitioner, time_machine):
    """M-05: at most one copy more, and it is marked as the same message."""
    time_machine.move_to(NOON, tick=False)
    queue_many(3, practitioner)
    server.drops = 1
    assert drain() == {"put off": 1, "sent": 2}
    time_machine.shift(3 * MINUTE)
    assert drain() == {"sent": 1}
    copies = Counter(message["Message-ID"] for message in server.taken)
    assert sorted(copies.values()) == [1, 1, 2]
    assert states() == {State.SENT: 3}


# --- M-07, M-08: reminders ------------------------------------------------------------------------


def two_workers():
    """Two workers that look at the same moment: both claim before either sends."""
    for batch in [outbox.claim(), outbox.claim()]:
        with smtp.MailConnection() as post:
            for message in batch:
                outbox.deliver(message, post)


@pytest.mark.django_db
def test_reminder_exactly_once_key(server, practitioner, time_machine):
    """M-07: 30 hours of looking, two workers; one reminder for the time that counts at last."""
    start = NOON + timedelta(days=2, hours=20)
    at = NOON
    time_machine.move_to(at, tick=False)
    kept, moved, cancelled = (
        make_booking(starts_at=start + timedelta(hours=hours), practitioner=practitioner)
        for hours in (0, 1, 2)
    )
    for booking in (kept, moved, cancelled, kept):
        queue.plan_reminders(booking)
    while at < NOON + timedelta(hours=30):
        time_machine.move_to(at, tick=False)
        if at == NOON + timedelta(hours=2):
            span = timedelta(hours=3)
            for field in ("busy_from", "starts_at", "ends_at", "busy_until"):
                setattr(moved, field, getattr(moved, field) + span)
            moved.save()
            answers.cancel(cancelled, by="patient")
        queue.plan_reminders(kept)
        queue.plan_reminders(moved)
        two_workers()
        at += 2 * MINUTE
    reminders = [m for m in server.received if m["Subject"].startswith("Reminder")]
    assert [m["To"] for m in reminders] == [kept.email, moved.email]
    for booking, mail in zip((kept, moved), reminders, strict=True):
        local = booking.starts_at.astimezone(booking.location.zone)
        assert f"{local:%H:%M}" in mail["Subject"]
        sent = Message.objects.get(booking=booking, kind=Kind.REMINDER, state=State.SENT)
        assert sent.sent_at - (booking.starts_at - timedelta(days=2)) < 2 * MINUTE
    assert not Message.objects.filter(booking=cancelled, kind=Kind.REMINDER, state=State.SENT)


@pytest.mark.django_db
def test_no_mail_about_a_visit_that_has_begun(server, practitioner, time_machine):
    """M-08: the server is away past the visit; reminders and news are dropped."""
    time_machine.move_to(NOON, tick=False)
    booking = make_booking(starts_at=NOON + timedelta(days=3), practitioner=practitioner)
    queue_message(booking, Kind.CONFIRMED)
    queue.plan_reminders(booking)
    server.stop()
    at = NOON
    while at < booking.starts_at + timedelta(hours=1):
        time_machine.move_to(at, tick=False)
        drain()
        at += timedelta(minutes=30)
    server.start()
    time_machine.move_to(at + timedelta(hours=2), tick=False)
    drain()
    assert all(mail["To"] == "desk@lindenvale.example" for mail in server.received)
    to_patient = Message.objects.exclude(kind__startswith="desk_")
    assert set(to_patient.values_list("state", flat=True)) <= {State.DROPPED, State.FAILED}


# --- M-10: no poison ------------------------------------------------------------------------------

POISON = (
    {"name": "Pat\r\nBcc: victim@example.net"},
    {"name": "\u2028\u202e"},
    {"email": "pat@example.org\nBcc: victim@example.net"},
    {"email": "a@example.org,victim@example.net"},
    {"email": '"a, victim@example.net"@example.org'},
    {"email": "zoë@example.org"},
    {"email": "pat@bücher.example"},
    {"time_zone": "../../etc/passwd"},
    {"time_zone": "/"},
    {"language": "xx"},
    {"phone": ""},
    {"message": "BEGIN:VEVENT\r\n" * 20},
)


@pytest.mark.django_db
def test_hostile_data_is_never_poison(server, practitioner):
    """M-10, X-04: each is delivered or fails by itself; nobody else gets mail; the rest goes on."""
    first = timezone.now() + timedelta(days=3)
    for number, values in enumerate(POISON):
        booking = make_booking(
            starts_at=first + number * timedelta(hours=1), practitioner=practitioner
        )
        for field, value in values.items():
            Booking.objects.filter(pk=booking.pk).update(**{field: value})
        booking.refresh_from_db()
        queue_message(booking, Kind.CONFIRMED)
    [healthy] = queue_many(1, practitioner, first=first + timedelta(days=9))
    counts = drain()
    assert counts["sent"] + counts["failed"] == len(POISON) + 1, counts
    assert healthy.booking.email in server.addresses()
    assert "victim@example.net" not in server.addresses()
    assert len(server.addresses()) == counts["sent"]
    for message in server.received:
        assert message["Bcc"] is None
        assert len(message.get_all("To")) == 1


# --- K-03, K-04: real processes -------------------------------------------------------------------

END_LEASES = "UPDATE bookings_message SET lease_until = '2020-01-01' WHERE lease_until IS NOT NULL"
# The worker also plans reminders for these bookings, which are not due.
WAITING = "SELECT count(*) FROM bookings_message WHERE state = 'queued' AND kind = 'confirmed'"


@pytest.mark.django_db(transaction=True)
def test_two_workers_send_each_message_once(practitioner, tmp_path):
    """K-04"""
    queued = queue_many(200, practitioner)
    with MailServer() as server:
        url = f"smtp://127.0.0.1:{server.port}"
        with SharedDatabase(tmp_path, EMAIL_URL=url) as database:
            workers = [database.start("run_worker", "--once") for _ in range(2)]
            outputs = [worker.communicate(timeout=60)[0] for worker in workers]
    assert states(Kind.CONFIRMED) == {State.SENT: 200}, outputs
    assert sorted(server.addresses()) == sorted(message.booking.email for message in queued)
    counts = [int(re.search(r"(\d+) sent", output)[1]) for output in outputs]
    assert sum(counts) == 200
    assert min(counts) > 0, "one worker did it all: the test says nothing"


@pytest.mark.django_db(transaction=True)
def test_worker_killed_mid_send(practitioner, tmp_path):
    """K-03: killed at random moments, two at a time; nothing lost, no copy more than kills.

    That a lease ends after two minutes is simulated; everything else is real.
    """
    queued = queue_many(120, practitioner)
    moments, kills = random.Random(7), 0
    with MailServer() as server:
        server.delay = 0.02
        url = f"smtp://127.0.0.1:{server.port}"
        with SharedDatabase(tmp_path, EMAIL_URL=url) as database:
            while database.execute(WAITING):
                kind = ("run_worker",) if kills < 8 else ("run_worker", "--once")
                workers = [database.start(*kind) for _ in range(2)]
                if kills >= 8:
                    for worker in workers:
                        worker.communicate(timeout=60)
                    continue
                before = len(server.taken)
                end = time.monotonic() + 20
                while len(server.taken) < before + 4 and time.monotonic() < end:
                    time.sleep(0.005)
                time.sleep(moments.random() / 20)
                for worker in workers:
                    worker.kill()
                    worker.wait()
                kills += len(workers)
                database.execute(END_LEASES)
    assert states(Kind.CONFIRMED) == {State.SENT: 120}
    copies = Counter(message["Message-ID"] for message in server.taken)
    by_address = {}
    for message in server.taken:
        by_address.setdefault(message["X-Envelope-To"], set()).add(message["Message-ID"])
    assert set(by_address) == {message.booking.email for message in queued}
    assert all(len(ids) == 1 for ids in by_address.values())
    assert sum(copies.values()) - 120 <= kills
    assert kills == 8
