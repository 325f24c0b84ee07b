"""B-09, H-07: what names or describes a patient goes when its day has come; the numbers stay."""

import os
import uuid
from datetime import UTC, datetime, timedelta
from io import StringIO
from types import SimpleNamespace

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings import invariants, manage_links, rate_limits
from bookings.lifecycle import answers, erasure, erasures_file, errors, offers, visits
from bookings.management.commands import run_worker
from bookings.messaging import outbox
from bookings.models import Booking, Heartbeat, ManageLink, Message, RateCount
from clinic import audit, personal_data
from clinic.models import Actor, AuditEvent, Clinic
from tests.bookings.conftest import FILLED
from tests.factories import (
    asked_of,
    here,
    make_booking,
    make_clinic,
    make_condition,
    make_hours,
    make_practitioner,
    make_request,
    make_user,
    queue_message,
)

pytestmark = pytest.mark.django_db

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)
SECRET = "ZZQ"


@pytest.fixture(autouse=True)
def clinic(db, settings, tmp_path):
    settings.VAR_DIR = tmp_path
    return make_clinic(retention_days_after_visit=365, retention_days_after_cancelled=90)


def filled(**values):
    values = FILLED | {"idempotency_key": uuid.uuid4()} | values
    if values.get("status") == "cancelled":
        values = {"cancelled_by": "patient", "cancelled_at": NOW} | values
    return make_booking(**values)


def past(days, **values):
    """One whose visit ended so many days before NOW."""
    return filled(starts_at=NOW - days * DAY - timedelta(minutes=30), **values)


def erased(booking):
    booking.refresh_from_db()
    return booking.erased_at is not None


def run(now=NOW):
    return sum(erasure.run(Clinic.objects.current(), now))


# --- when -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "days"),
    [("fulfilled", 365), ("booked", 365), ("arrived", 365), ("noshow", 90), ("pending", 90)],
)
def test_the_period_begins_with_the_visit(status, days):
    kept, due = past(days - 1, status=status), past(days, status=status)
    assert run() == 1
    assert erased(due)
    assert not erased(kept)


def test_a_cancelled_one_goes_by_the_day_on_which_it_was_cancelled():
    early = filled(status="cancelled", cancelled_at=NOW - 90 * DAY, starts_at=NOW + 10 * DAY)
    late = past(300, status="cancelled", cancelled_at=NOW - 89 * DAY)
    lapsed = past(300, status="cancelled", cancelled_at=NOW - 91 * DAY, cancelled_by="system")
    assert run() == 2
    assert erased(early)
    assert erased(lapsed)
    assert not erased(late)


def test_a_call_back_goes_by_the_last_attempt():
    old, tried = (filled(status="waitlist", created_at=NOW - 100 * DAY) for _ in range(2))
    past(80, status="cancelled", cancelled_by="system", cancelled_at=NOW - 81 * DAY,
         offered_for=tried, created_at=NOW - 82 * DAY)  # fmt: skip
    assert run() == 1
    assert erased(old)
    assert not erased(tried)
    assert run(NOW + 8 * DAY) == 1
    assert erased(tried)


def test_what_is_ahead_stays():
    rows = [
        filled(starts_at=NOW + DAY, status="booked", created_at=NOW - 500 * DAY),
        filled(starts_at=NOW + 2 * DAY, status="pending", created_at=NOW - 500 * DAY),
        filled(status="waitlist", created_at=NOW - 89 * DAY),
    ]
    assert run() == 0
    assert not any(erased(row) for row in rows)


def test_a_shorter_period_holds_at_once(clinic):
    booking = past(40, kept_days_after_visit=365, status="fulfilled")
    assert run() == 0
    Clinic.objects.update(retention_days_after_visit=30)
    assert run() == 1
    assert erased(booking)


def test_a_longer_one_only_for_later_bookings():
    Clinic.objects.update(retention_days_after_visit=400, retention_days_after_cancelled=400)
    promised = [
        past(31, status="fulfilled", kept_days_after_visit=30),
        past(31, status="noshow", kept_days_after_cancelled=30),
    ]
    later = past(31, status="fulfilled", kept_days_after_visit=400)
    assert run() == 2
    assert all(erased(row) for row in promised)
    assert not erased(later)


def test_a_booking_keeps_the_periods_under_which_it_was_made(clinic):
    make_hours()
    make_practitioner()
    who = {"visit_type": "in_person", "name": "P", "phone": "+13235550100", "consent_version": "1"}
    who["asked"] = asked_of()
    made = [
        make_request(start=NOW + DAY + timedelta(hours=6), now=NOW, **who),
        make_request(now=NOW, **who),
    ]
    for booking in made:
        booking.refresh_from_db()
        assert (booking.kept_days_after_visit, booking.kept_days_after_cancelled) == (365, 90)


def test_the_day_is_computed_without_the_database(django_assert_num_queries):
    clinic = Clinic(retention_days_after_visit=10, retention_days_after_cancelled=5)
    booking = Booking(status="fulfilled", ends_at=NOW)
    with django_assert_num_queries(0):
        assert erasure.erase_on(booking, clinic) == NOW + 10 * DAY
        assert erasure.erase_on(Booking(offered_for_id=7), clinic) is None


# --- what -----------------------------------------------------------------------------------------


def everything():
    """Every value of every table, as one text."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found += [f"{table}: {row}" for row in cursor.fetchall()]
    return "\n".join(found)


def test_every_personal_column_is_filled_in_these_tests():
    values = {**FILLED, "idempotency_key": uuid.uuid4()}
    assert set(values) == set(personal_data.columns(Booking))


def test_no_trace_is_left_in_any_table(settings):
    condition, person = make_condition(), make_practitioner()
    booking = past(1, status="noshow", condition=condition, practitioner=person)
    offer = past(2, status="cancelled", cancelled_by="system", offered_for=booking,
                 name="", email="", phone="")  # fmt: skip
    secret = manage_links.issue(booking, NOW, at_least=NOW + DAY)
    link = manage_links.look_up(secret, NOW)
    rate_limits.count_fact(link, False, NOW)
    with rate_limits.mailing(booking.email, NOW):
        pass
    queue_message(booking, "follow_up")
    Message.objects.update(error="ZZQ error", message_id="<1.ZZQ@here>")
    assert everything().count(SECRET) > 10
    booking = erasure.erase(booking, by="system", reason="asked", now=NOW)
    text = everything()
    # Fewer digits of the number stand in some random key by chance.
    for trace in (SECRET, "zzq", "5550188", "Istanbul"):
        assert trace not in text
    assert not ManageLink.objects.exists()
    assert not RateCount.objects.exists()
    assert manage_links.look_up(secret, NOW) is None
    assert erased(offer)
    assert personal_data.values(booking) == personal_data.values(offer) == {}
    # The numbers are as they were.
    assert (booking.status, booking.condition, booking.practitioner) == (
        "noshow",
        condition,
        person,
    )
    assert booking.starts_at == NOW - DAY - timedelta(minutes=30)
    assert booking.consent_at
    assert [message.state for message in booking.messages.all()] == ["dropped"]
    assert list(erasure.remains()) == []


def test_others_keep_theirs():
    other = past(1, email=FILLED["email"], name="ZZQ Sister")
    link = manage_links.issue(other, NOW)
    with rate_limits.mailing(FILLED["email"], NOW):
        pass
    erasure.erase(past(5), by="system", reason="asked", now=NOW)
    before = personal_data.values(other)
    other.refresh_from_db()
    assert personal_data.values(other) == before
    assert manage_links.look_up(link, NOW - 2 * DAY)
    assert RateCount.objects.count() == 1  # the limit of a mailbox that somebody still uses


def test_a_request_that_nobody_answered_is_closed_with_it():
    rows = [past(91, status="pending"), filled(status="waitlist", created_at=NOW - 91 * DAY)]
    assert run() == 2
    for row in rows:
        assert erased(row)
        assert (row.status, row.cancelled_by) == ("cancelled", "system")
    assert not Booking.objects.waiting().exists()
    assert not Message.objects.exists()


def test_nothing_asks_for_the_outcome_of_an_erased_visit():
    past(366, status="booked")
    assert run() == 1
    assert not Booking.objects.needs_outcome(NOW).exists()


def test_nothing_more_happens_to_it(mailoutbox):
    booking = past(1, status="noshow")
    message = queue_message(booking, "follow_up")
    booking = erasure.erase(booking, by="system", reason="asked", now=NOW)
    with pytest.raises(errors.NotAllowed, match="erased"):
        visits.undo(booking, by=make_user())
    outbox.drain()
    message.refresh_from_db()
    assert message.state == "dropped"
    assert mailoutbox == []


def test_a_message_in_a_workers_hands_is_not_written():
    booking = past(1, status="noshow")
    queue_message(booking, "follow_up", due_at=NOW)
    [claimed] = outbox.claim(now=NOW)
    erasure.erase(booking, by="system", reason="asked", now=NOW)
    sent = []
    outbox.deliver(claimed, SimpleNamespace(open=lambda address: None, send=sent.append), now=NOW)
    assert sent == []


def test_visitors_who_just_booked_are_signed_out_of_it():
    booking = past(1, created_at=NOW - timedelta(hours=1))
    stores = []
    for made in (booking, past(2, created_at=NOW - timedelta(hours=1))):
        store = SessionStore()
        manage_links.admit(made, store, now=NOW)
        store.set_expiry(NOW + timedelta(hours=12))
        store.save()
        stores.append(store)
    erasure.erase(booking, by="system", reason="asked", now=NOW)
    assert [store.exists(store.session_key) for store in stores] == [False, True]


def test_files_of_mails_go_too(settings, tmp_path):
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = tmp_path
    booking = past(1)
    theirs, other, old = (tmp_path / f"{name}.log" for name in ("theirs", "other", "old"))
    theirs.write_text(f"Message-ID: <1.{booking.uid}@here>\nZZQ")
    other.write_text("Message-ID: <2.x@here>")
    erasure.erase(booking, by="system", reason="asked", now=NOW)
    assert not theirs.exists()
    old.write_text("long ago")
    for path, days in ((other, 89), (old, 91)):
        os.utime(path, times=((NOW - days * DAY).timestamp(),) * 2)
    run()
    assert other.exists()
    assert not old.exists()


# --- on request -----------------------------------------------------------------------------------


def test_the_record_names_who_and_why_and_not_the_patient():
    manager, booking = make_user(), past(1)
    erasure.erase(booking, by=manager, reason="asked", now=NOW)
    event = AuditEvent.objects.get(action="booking.erased")
    assert event.actor == manager
    assert event.object_key == booking.reference
    assert event.details == {"reason": "asked"}
    audit.seal(NOW)
    assert list(audit.verify(now=NOW + DAY)) == []


@pytest.mark.parametrize(
    "values",
    [
        {"starts_at": NOW + DAY},
        {"starts_at": NOW + DAY, "status": "pending"},
        {"status": "waitlist"},
    ],
)
def test_what_is_ahead_has_to_be_cancelled_first(values):
    booking = filled(**values)
    with pytest.raises(errors.NotAllowed, match="Cancel it first"):
        erasure.erase(booking, by=make_user(), reason="asked", now=NOW)
    assert not erased(booking)
    booking = answers.cancel(booking, by=Actor.DESK, cancelled_by="clinic", now=NOW)
    assert erasure.erase(booking, by=make_user(), reason="asked", now=NOW).erased_at == NOW


def test_an_offer_goes_with_its_request():
    make_hours()
    booking = filled(status="waitlist", practitioner=None)
    person = make_practitioner()
    start = NOW + DAY + timedelta(hours=6)
    offers.offer(booking, times=[(start, person)], by=make_user(), now=NOW)
    offer = booking.offers.get()
    with pytest.raises(errors.NotAllowed):
        erasure.erase(offer, by=make_user(), reason="asked", now=NOW)
    booking = answers.cancel(booking, by=Actor.DESK, cancelled_by="clinic", now=NOW)
    erasure.erase(booking, by=make_user(), reason="asked", now=NOW)
    assert erased(offer)
    assert offer.status == "cancelled"


def test_twice_is_once():
    booking = erasure.erase(past(1), by="system", reason="asked", now=NOW)
    again = erasure.erase(booking, by="system", reason="mistake", now=NOW + DAY)
    assert again.erased_at == NOW
    assert AuditEvent.objects.filter(action="booking.erased").count() == 1


def test_a_reason_that_is_none_is_refused():
    booking = past(1)
    with pytest.raises(ValueError, match="because"):
        erasure.erase(booking, by="system", reason="because", now=NOW)
    assert not erased(booking)


# --- the file -------------------------------------------------------------------------------------


def test_each_is_noted_outside_the_database(tmp_path):
    booking, due = past(1), past(400)
    erasure.erase(booking, by="system", reason="asked", now=NOW)
    run()
    assert (tmp_path / "erasures").read_text() == (
        f"2027-01-04T12:00:00Z {booking.uid}\n2027-01-04T12:00:00Z {due.uid}\n"
    )
    assert (tmp_path / "erasures").stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_noted_is_not_erased(settings, tmp_path):
    booking = past(400)
    (tmp_path / "erasures").mkdir()
    with pytest.raises(OSError, match="erasures"):
        run()
    assert not erased(booking)


def test_a_restored_backup_is_brought_up_to_date(tmp_path):
    booking, ahead = past(1), filled(starts_at=NOW + DAY)
    for row in (booking, ahead):
        erasures_file.note([row], NOW)
    erasures_file.note([SimpleNamespace(uid=uuid.uuid4())], NOW)
    copy = tmp_path / "copy"
    copy.write_text(2 * (tmp_path / "erasures").read_text())
    out = StringIO()
    call_command("erase_due", "--repeat", copy, "--dry-run", stdout=out)
    assert out.getvalue() == "2 of 3 are back. Nothing was erased.\n"
    out = StringIO()
    call_command("erase_due", "--repeat", copy, stdout=out)
    assert out.getvalue() == "2 of 3 were back and are erased again.\n"
    assert erased(booking)
    assert erased(ahead)
    assert ahead.status == "cancelled"
    assert not Message.objects.exists()


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "copy").write_text("2027-01-04T12:00:00Z no-uid\n")
    with pytest.raises(CommandError, match="Line 1 is not an erasure"):
        call_command("erase_due", "--repeat", tmp_path / "copy")
    with pytest.raises(CommandError, match="No such file"):
        call_command("erase_due", "--repeat", tmp_path / "nothing")


# --- the daily run --------------------------------------------------------------------------------


def test_the_dry_run_counts_what_the_run_then_erases(time_machine):
    time_machine.move_to(NOW)
    for days in (364, 366, 367):
        past(days, status="fulfilled")
    past(91, status="noshow")
    out = StringIO()
    call_command("erase_due", "--dry-run", stdout=out)
    lines = ["     2  Seen", "     1  Did not come", "3 bookings are due. Nothing was erased."]
    assert out.getvalue().splitlines() == lines
    assert not Booking.objects.exclude(erased_at=None).exists()
    for expected in ("3 bookings erased.\n", "0 bookings erased.\n"):
        out = StringIO()
        call_command("erase_due", stdout=out)
        assert out.getvalue() == expected


@pytest.mark.parametrize("status", ["fulfilled", "waitlist"])
def test_one_step_takes_twenty_statements_at_most(status, monkeypatch):
    monkeypatch.setattr(erasure, "WINDOW", 10**9)
    for _ in range(6):
        if status == "waitlist":
            filled(status=status, created_at=NOW - 400 * DAY)
        else:
            past(400, status=status)
    steps, found = erasure.run(Clinic.objects.current(), NOW), []
    for _ in range(3):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            found.append(next(steps))
        meant = [q for q in queries if "SAVEPOINT" not in q["sql"]]
        assert len(meant) <= 20, "\n".join(q["sql"] for q in meant)
    assert found == [2, 2, 2]


def test_one_step_looks_at_a_bounded_number_of_rows(monkeypatch):
    monkeypatch.setattr(erasure, "WINDOW", 2)
    newest = max(past(days).pk for days in (1, 2, 400, 3, 4))
    assert len(list(erasure.run(Clinic.objects.current(), NOW))) == -(-newest // 2)


def test_one_that_changed_behind_the_look_is_looked_at_again():
    booking = past(400)
    clinic = here().clinic
    [[row]] = [rows for rows in erasure.windows(clinic, NOW) if rows]
    Booking.objects.update(kept_days_after_visit=500)
    Clinic.objects.update(retention_days_after_visit=500)
    assert erasure._erase_due([row.pk], clinic, NOW) == 0
    assert not erased(booking)


def test_the_worker_erases_once_a_day(time_machine):
    def worker():
        call_command("run_worker", "--once", stdout=StringIO())

    time_machine.move_to(NOW)
    first = past(365)
    worker()
    assert erased(first)
    second = past(365)
    time_machine.move_to(NOW + timedelta(hours=20))
    worker()
    assert not erased(second)
    time_machine.move_to(NOW + timedelta(hours=25))
    worker()
    assert erased(second)


def test_a_run_that_was_broken_off_is_begun_again_within_the_hour(time_machine):
    time_machine.move_to(NOW)
    rows = [past(400) for _ in range(4)]
    command = run_worker.Command()
    command.erasing = None
    command._erase(NOW)
    assert sum(erased(row) for row in rows) == 2
    other = run_worker.Command()
    other.erasing = None
    other._erase(NOW + timedelta(minutes=59))
    assert sum(erased(row) for row in rows) == 2
    other._erase(NOW + timedelta(minutes=61))
    other._erase(NOW + timedelta(minutes=61))
    assert all(erased(row) for row in rows)


def test_a_full_disk_stops_no_mail(tmp_path, caplog, mailoutbox):
    (tmp_path / "erasures").mkdir()
    booking = make_booking(starts_at=datetime.now(UTC) - 400 * DAY)
    queue_message(make_booking(starts_at=datetime.now(UTC) + 3 * DAY), "confirmed")
    call_command("run_worker", "--once", stdout=StringIO())
    assert not erased(booking)
    assert len(mailoutbox) == 1
    assert "erasures could not be noted" in caplog.text
    assert str(booking.name) not in caplog.text


def test_what_should_be_gone_for_three_days_breaks_an_invariant():
    booking = make_booking(starts_at=datetime.now(UTC) - 369 * DAY)
    name = "bookings kept longer than was promised"
    assert invariants.broken()[name] == [booking.reference]
    Heartbeat.objects.create(name=erasure.FINISHED, at=datetime.now(UTC) - 2 * DAY)
    assert invariants.broken()[name] == []


def test_what_is_left_of_an_erased_one_breaks_an_invariant():
    rows = [erasure.erase(past(1), by="system", reason="asked", now=NOW) for _ in range(4)]
    Booking.objects.filter(pk=rows[0].pk).update(staff_note="called again")
    manage_links.issue(rows[1], NOW)
    Message.objects.create(booking=rows[2], kind="link", key="x", due_at=NOW, error="SMTP 550")
    found = invariants.broken()["erased bookings of which something is left"]
    assert found == [row.reference for row in rows[:3]]
