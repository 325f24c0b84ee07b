"""Sealing the record of changes: what a seal covers, who makes it and when, and the anchors."""

import stat
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from bookings import invariants
from bookings.management.commands import run_worker
from clinic import audit
from clinic.models import AuditEvent, AuditSeal
from tests.factories import make_clinic, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.VAR_DIR = tmp_path


@pytest.fixture
def clinic():
    return make_clinic()


def happen(clinic, times=1, **values):
    return [
        audit.record(f"clinic.event_{n}", clinic, **({"details": {"n": n}} | values))
        for n in range(times)
    ]


def verify(*arguments):
    out = StringIO()
    call_command("verify_audit", *arguments, stdout=out)
    return out.getvalue().splitlines()


def numbers():
    return list(AuditSeal.objects.values_list("number", flat=True))


# --- record() -------------------------------------------------------------------------------------


def test_recording_costs_one_insert(clinic, django_assert_num_queries):
    with django_assert_num_queries(1):
        audit.record("clinic.event", clinic, by="system")
    audit.seal()
    with django_assert_num_queries(1):
        audit.record("clinic.event", clinic, by="system")


def test_a_seal_covers_every_column_of_an_event():
    """A new column is to be added to SEALED; the seals from before it stay good if it is empty."""
    assert [field.attname for field in AuditEvent._meta.concrete_fields] == audit.SEALED


@pytest.mark.parametrize("model", [AuditEvent, AuditSeal])
def test_the_database_guards_every_column(model):
    guarded = model._meta.constraints[0].fields
    assert list(guarded) == [field.name for field in model._meta.concrete_fields]


# --- sealing --------------------------------------------------------------------------------------


def test_seals_are_numbered_without_gaps(clinic):
    happen(clinic, 3, by=make_user())
    assert audit.seal() == 3
    assert audit.seal() == 0
    happen(clinic, 2)
    assert audit.seal() == 2
    assert numbers() == [1, 2, 3, 4, 5]
    assert list(audit.verify()) == []


def test_an_event_with_a_lower_key_that_comes_late_is_sealed_last(clinic):
    first, slow, quick = happen(clinic, 3)
    AuditEvent.objects.filter(pk=slow.pk).delete()
    audit.seal()
    slow.save(force_insert=True)
    audit.seal()
    assert list(AuditSeal.objects.values_list("event_id", flat=True)) == [
        first.pk,
        quick.pk,
        slow.pk,
    ]
    assert list(audit.verify()) == []


def test_a_frequent_call_leaves_old_events_to_the_daily_one(clinic):
    now = timezone.now()
    happen(clinic, at=now - timedelta(days=3))
    happen(clinic, at=now)
    assert audit.seal(now, since=now - timedelta(days=2)) == 1
    assert audit.seal(now) == 1


def test_many_events_are_sealed_in_batches(clinic, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(audit, "BATCH", 10)
    happen(clinic, 35)
    with django_assert_max_num_queries(50):
        assert audit.seal() == 35
    with django_assert_max_num_queries(12):
        assert list(audit.verify()) == []


def test_looking_for_events_to_seal_costs_one_query(clinic, django_assert_num_queries):
    happen(clinic)
    audit.seal()
    with django_assert_num_queries(1):
        audit.seal()


def test_seals_survive_a_new_key_while_the_old_one_is_known(clinic, settings):
    happen(clinic, 2)
    audit.seal()
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another key " * 5
    assert len(list(audit.verify())) == 2
    settings.SECRET_KEY_FALLBACKS = [old]
    happen(clinic, 2)
    audit.seal()
    assert list(audit.verify()) == []


def test_an_event_that_nobody_sealed_is_named_after_an_hour(clinic):
    (event,) = happen(clinic)
    assert list(audit.verify()) == []
    later = timezone.now() + timedelta(hours=1, minutes=1)
    (finding,) = audit.verify(now=later)
    assert finding.endswith(f"event {event.pk}")
    audit.seal()
    assert list(audit.verify(now=later)) == []


# --- what the database refuses --------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE clinic_auditevent SET action = 'other'",
        "UPDATE clinic_auditevent SET details = '{}'",
        "UPDATE clinic_auditevent SET id = id + 100",
        "UPDATE clinic_auditseal SET digest = 'other'",
        "UPDATE clinic_auditseal SET number = number + 100",
    ],
)
def test_rows_cannot_be_updated(clinic, statement):
    happen(clinic)
    audit.seal()
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_sealed_event_cannot_be_deleted(clinic):
    (event,) = happen(clinic)
    audit.seal()
    with pytest.raises(ProtectedError):
        event.delete()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM clinic_auditevent")
        with pytest.raises(IntegrityError), transaction.atomic():
            connection.check_constraints()
        transaction.set_rollback(True)


# --- what SQLite lets an intruder store in columns of other types ---------------------------------


@pytest.fixture
def unchecked():
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER audit_event_is_frozen")
        cursor.execute("DROP TRIGGER audit_seal_is_frozen")
        cursor.execute("PRAGMA ignore_check_constraints = ON")
        yield cursor
        cursor.execute("PRAGMA ignore_check_constraints = OFF")


@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize("value", ["nonsense", "2026-99-99 00:00:00", 500, b"\x00"])
@pytest.mark.parametrize(
    "column", ["auditevent.at", "auditevent.details", "auditseal.sealed_at", "auditseal.number"]
)
def test_values_that_no_column_can_hold_are_found(clinic, unchecked, column, value):
    happen(clinic, 3)
    audit.seal()
    table, column = column.split(".")
    row = "id" if table == "auditevent" else "event_id"
    key = AuditSeal.objects.get(number=2).event_id
    unchecked.execute(f"UPDATE clinic_{table} SET {column} = %s WHERE {row} = %s", [value, key])
    assert list(audit.verify())


@pytest.mark.only_on("sqlite")
def test_an_event_that_cannot_be_read_does_not_keep_others_from_their_seals(clinic, unchecked):
    events = happen(clinic, 5)
    statement = "UPDATE clinic_auditevent SET at = '2026-99-99 00:00:00' WHERE id = %s"
    unchecked.execute(statement, [events[2].pk])
    assert audit.seal() == 4


# --- anchors --------------------------------------------------------------------------------------


def test_an_anchor_names_the_newest_seal_and_is_private(clinic):
    now = timezone.now()
    happen(clinic, 2)
    audit.anchor(now)
    happen(clinic, 1)
    audit.anchor(now + timedelta(days=1))
    lines = audit.anchors_file().read_text().splitlines()
    digests = dict(AuditSeal.objects.values_list("number", "digest"))
    assert [line.split()[1:] for line in lines] == [["2", digests[2]], ["3", digests[3]]]
    assert lines[0].startswith(f"{now:%Y-%m-%dT%H:%M:%SZ} ")
    assert stat.S_IMODE(audit.anchors_file().stat().st_mode) == 0o600
    assert verify()[-2:] == ["3 events, 3 seals, 2 anchors", f"newest seal: 3 {digests[3]}"]


def test_an_empty_record_has_no_anchor_and_is_whole(clinic):
    audit.anchor()
    assert not audit.anchors_file().exists()
    assert verify() == ["0 events, 0 seals, 0 anchors"]


def test_a_disk_that_takes_no_writes_does_not_stop_the_worker(clinic, settings, tmp_path, caplog):
    settings.VAR_DIR = tmp_path / "gone"
    happen(clinic)
    audit.anchor()
    assert "anchor could not be written" in caplog.text
    assert numbers() == [1]


@pytest.mark.parametrize("line", ["2026-11-22T00:00:00Z 2", "torn", "a 0 b", "a x b"])
def test_a_line_that_is_no_anchor_is_a_finding(clinic, line):
    happen(clinic)
    audit.anchor()
    with audit.anchors_file().open("a") as file:
        file.write(f"{line}\n")
    (finding,) = audit.verify(audit.read_anchors(audit.anchors_file()))
    assert finding == f"line 2 of the anchors is not an anchor: {line}"


def test_a_copy_kept_elsewhere_outweighs_the_file(clinic, tmp_path):
    happen(clinic, 2)
    audit.anchor()
    copy = tmp_path / "copy"
    copy.write_text(audit.anchors_file().read_text())
    AuditSeal.objects.filter(number=2).delete()
    AuditEvent.objects.filter(seal=None).delete()
    audit.anchors_file().unlink()
    assert verify()[0] == "1 events, 1 seals, 0 anchors"
    with pytest.raises(CommandError):
        verify("--anchors", str(copy))
    with pytest.raises(CommandError, match="no file"):
        verify("--anchors", str(tmp_path / "none"))


# --- who calls it ---------------------------------------------------------------------------------


def test_the_worker_seals_each_minute_and_anchors_each_day(clinic):
    now = timezone.now()
    happen(clinic)
    run_worker.housekeeping(now)
    happen(clinic)
    run_worker.housekeeping(now + timedelta(seconds=59))
    assert numbers() == [1]
    run_worker.housekeeping(now + timedelta(seconds=60))
    assert numbers() == [1, 2]
    assert len(audit.anchors_file().read_text().splitlines()) == 1
    run_worker.housekeeping(now + timedelta(days=1))
    assert len(audit.anchors_file().read_text().splitlines()) == 2


def test_a_broken_chain_is_a_broken_invariant(clinic):
    happen(clinic, 3)
    audit.seal()
    assert not any(invariants.broken().values())
    AuditSeal.objects.filter(number=2).delete()
    found = {name: places for name, places in invariants.broken().items() if places}
    assert found == {
        "places where the audit record is not as it was sealed": [
            "seals are missing between 1 and 3"
        ]
    }


def test_the_command_shows_some_findings_and_counts_them_all(clinic, settings):
    happen(clinic, 25)
    audit.seal()
    settings.SECRET_KEY = "another key " * 5
    out = StringIO()
    with pytest.raises(CommandError, match="25 findings"):
        call_command("verify_audit", stdout=out)
    lines = out.getvalue().splitlines()
    assert len([line for line in lines if "was changed" in line]) == 20
    assert "and 5 more" in lines
