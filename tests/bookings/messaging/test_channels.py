"""A channel is a module in messaging/channels; the loop and the queue know none of them."""

import ast
import smtplib
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from bookings import invariants
from bookings.lifecycle import transitions
from bookings.messaging import channels, outbox, queue
from bookings.messaging.channels import Delivered, Failed, TryAgain
from bookings.messaging.channels import email as mail
from bookings.models import Message
from clinic.models import Actor
from tests.factories import make_booking, make_clinic, queue_message

Kind = Message.Kind
MESSAGING = Path(channels.__file__).parent.parent

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clinic(db):
    return make_clinic()


@dataclass
class ByPhone:
    """A channel that carries reminders to a number, and answers as it is told."""

    outcome: object
    sent: list
    kinds: frozenset = frozenset({Kind.REMINDER})

    def carries(self, kind):
        return kind in self.kinds

    def patient_address(self, booking):
        return str(booking.phone)

    def desk_address(self, location):
        return ""

    def compose(self, message, booking, now):
        return SimpleNamespace(subject="", body=f"Reminder: {booking.reference}")

    def connect(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def open(self, address):
        return None

    def send(self, written):
        self.sent.append(written.body)
        return self.outcome


@pytest.fixture
def by_phone(monkeypatch):
    """A second channel beside e-mail."""
    both = {"email": mail, "by_phone": ByPhone(Delivered(), [])}
    monkeypatch.setattr(channels, "installed", lambda: both)
    return both["by_phone"]


def test_every_channel_is_whole():
    wanted = {name for name in vars(channels.Channel) if not name.startswith("_")}
    assert wanted == {"carries", "patient_address", "desk_address", "compose", "connect"}
    for channel in channels.installed().values():
        assert wanted <= set(channel.__all__)
        assert all(callable(getattr(channel, name)) for name in wanted)


def test_only_the_channel_knows_a_mail_server():
    """The loop, the queue and the rules of relevance import nothing that sends."""
    for path in MESSAGING.glob("*.py"):
        names = {
            name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
        }
        assert not any("smtplib" in name or name == "get_connection" for name in names), path


def test_the_same_news_is_sent_once_by_each_channel(by_phone):
    booking = make_booking()
    for _ in range(2):
        queue.enqueue(booking, Kind.REMINDER, occasion="day")
        queue.enqueue(booking, Kind.CONFIRMED)
    rows = Message.objects.order_by("kind", "channel").values_list("kind", "channel")
    assert list(rows) == [
        (Kind.CONFIRMED, "email"), (Kind.REMINDER, "by_phone"), (Kind.REMINDER, "email"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "state", "error"),
    [
        (Delivered(), "sent", ""),
        (TryAgain("Busy"), "queued", "Busy"),
        (Failed("No such number"), "failed", "No such number"),
    ],
)
def test_a_message_goes_out_through_its_channel(
    by_phone, monkeypatch, mailoutbox, outcome, state, error
):
    monkeypatch.setattr(outbox.relevance, "still_makes_sense", lambda *_: True)
    by_phone.outcome = outcome
    message = queue_message(make_booking(), Kind.CONFIRMED)
    Message.objects.filter(pk=message.pk).update(channel="by_phone")
    outbox.drain()
    message.refresh_from_db()
    assert (message.state, message.error) == (state, error)
    assert by_phone.sent == [f"Reminder: {message.booking.reference}"]
    assert mailoutbox == []


def test_a_message_of_a_channel_that_is_gone_fails_and_the_others_go_on(mailoutbox):
    lost, other = (queue_message(make_booking(), Kind.CONFIRMED) for _ in range(2))
    Message.objects.filter(pk=lost.pk).update(channel="pigeon")
    assert dict(outbox.drain()) == {"failed": 1, "sent": 1}
    lost.refresh_from_db()
    assert lost.error == "There is no channel pigeon"


def test_news_by_two_channels_is_told_once(by_phone, monkeypatch):
    """The invariant counts the news and not the ways in which it went out."""
    monkeypatch.setattr(by_phone, "kinds", {Kind.REMINDER, Kind.CONFIRMED})
    queue.enqueue(make_booking(status="booked"), Kind.CONFIRMED)
    assert Message.objects.filter(kind=Kind.CONFIRMED).count() == 2
    assert list(invariants.unannounced()) == []


def test_whoever_has_an_address_of_any_channel_is_reached(by_phone):
    booking = make_booking(email="", status="pending")
    assert transitions.OFFER.allows(booking, now=booking.created_at, by=Actor.SYSTEM)
    assert queue.may_remind(booking, booking.created_at)


def test_who_has_no_address_is_not_reached():
    booking = make_booking(email="", status="pending")
    assert not transitions.OFFER.allows(booking, now=booking.created_at, by=Actor.SYSTEM)
    assert not queue.may_remind(booking, booking.created_at)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (smtplib.SMTPRecipientsRefused({"a@b.example": (550, b"no")}), Failed("SMTP 550 for the recipient")),
        (smtplib.SMTPRecipientsRefused({"a@b.example": (450, b"later")}), TryAgain("SMTP 450 for the recipient")),
        (smtplib.SMTPDataError(554, b"spam"), Failed("SMTP 554 for the message")),
        (smtplib.SMTPAuthenticationError(535, b"who?"), TryAgain("SMTP 535, SMTPAuthenticationError", server_down=True)),
        (TimeoutError(), TryAgain("Mail server: TimeoutError", server_down=True)),
        (ValueError(), TryAgain("Could not be written: ValueError")),
    ],
)  # fmt: skip
def test_what_an_error_of_the_mail_server_means(error, outcome):
    assert mail.classify_error(error) == outcome
