"""Mails about staff accounts go through the outbox: no mail server breaks a page, no secret stays."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from bookings.management.commands import run_worker
from bookings.messaging import outbox
from bookings.messaging.channels import email as smtp
from clinic.models import AccountMail, AuditEvent
from clinic.staff import roles
from tests.factories import make_booking, make_clinic, make_user, queue_message
from tests.mail_server import MailServer

pytestmark = pytest.mark.django_db

LINK = re.compile(r"http://[^/]+(/account/password/reset/key/\S+)")


@pytest.fixture(autouse=True)
def user():
    make_clinic(name="Harbor Clinic", email="hello@harbor.example")
    return make_user(roles.EDITOR, username="edwin", email="edwin@example.org")


@pytest.fixture
def server(settings):
    with MailServer() as server:
        yield server.use(settings)


def ask_for_a_reset(client):
    return client.post("/account/password/reset/", {"email": "edwin@example.org"})


def test_the_page_answers_while_the_mail_server_is_down(client, server, time_machine):
    server.stop()
    assert ask_for_a_reset(client).status_code == 302
    assert dict(outbox.drain()) == {"put off": 1}
    server.start()
    time_machine.move_to(timezone.now() + timedelta(minutes=3))
    assert dict(outbox.drain()) == {"sent": 1}
    [mail] = server.received
    assert mail["To"] == mail["X-Envelope-To"] == "edwin@example.org"
    assert mail["From"] == "Harbor Clinic <hello@harbor.example>"
    row = AccountMail.objects.get()
    assert (row.state, row.kind, row.content) == ("sent", "password_reset_key", "")
    assert row.sent_at
    assert mail["Message-ID"] == row.message_id
    path = LINK.search(mail.get_content())[1]
    assert "set-password" in client.get(path).url


def test_the_text_waits_encrypted_and_no_log_holds_it(client, server, caplog):
    ask_for_a_reset(client)
    row = AccountMail.objects.get()
    assert row.content
    assert "edwin" not in row.content
    assert "reset" not in row.content
    server.rcpt_replies["edwin@example.org"] = "450 Later"
    assert dict(outbox.drain()) == {"put off": 1}
    row.refresh_from_db()
    assert row.content, "it is still to be sent"
    assert "/reset/key/" not in caplog.text
    assert "edwin@example.org" not in caplog.text


def test_a_mail_that_is_refused_for_good_is_recorded_and_its_text_is_gone(client, server):
    ask_for_a_reset(client)
    server.rcpt_replies["edwin@example.org"] = "550 No such user"
    assert dict(outbox.drain()) == {"failed": 1}
    row = AccountMail.objects.get()
    assert (row.state, row.content, row.error) == ("failed", "", "SMTP 550 for the recipient")
    event = AuditEvent.objects.get(action="account_mail.failed")
    assert event.details["kind"] == "password_reset_key"
    assert "edwin" not in str(event.details)


def test_somebody_who_waits_at_a_page_goes_first(client, server):
    queued = [
        queue_message(make_booking(starts_at=timezone.now() + timedelta(days=3 + n)), "confirmed")
        for n in range(3)
    ]
    ask_for_a_reset(client)
    assert dict(outbox.drain()) == {"sent": 4}
    assert server.addresses()[0] == "edwin@example.org"
    assert len(queued) == 3


def test_the_same_rules_of_leasing_hold(client, server, time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    ask_for_a_reset(client)
    [claimed] = outbox.claim(kind=AccountMail)
    assert outbox.claim(kind=AccountMail) == []
    time_machine.shift(outbox.LEASE)
    [again] = outbox.claim(kind=AccountMail)
    with smtp.MailConnection() as post:
        assert outbox.deliver(claimed, post) == "taken"
        assert outbox.deliver(again, post) == "sent"
    assert len(server.received) == 1


def test_without_a_mail_server_they_become_files_as_all_others(client, settings, tmp_path):
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path)
    ask_for_a_reset(client)
    assert dict(outbox.drain()) == {"sent": 1}
    [file] = tmp_path.iterdir()
    assert "From: Harbor Clinic <hello@harbor.example>" in file.read_text()


def test_one_that_no_worker_takes_is_told_by_the_health_check(client):
    ask_for_a_reset(client)
    assert outbox.health_problem() is None
    AccountMail.objects.update(due_at=timezone.now() - timedelta(minutes=16))
    assert outbox.health_problem() == "messages are waiting that no worker has tried"


def test_old_rows_go_once_a_day_and_waiting_ones_stay(client, server):
    ask_for_a_reset(client)
    outbox.drain()
    ask_for_a_reset(client)
    now = timezone.now()
    run_worker.housekeeping(now + timedelta(days=29))
    assert AccountMail.objects.count() == 2
    run_worker.housekeeping(now + timedelta(days=31))
    assert AccountMail.objects.get().state == "queued"
