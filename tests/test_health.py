"""Health checks: always readable, honest about what is wrong, silent about people."""

import os
from collections import namedtuple
from datetime import timedelta

import pytest
from django.core.cache import caches
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from bookings.management.commands import run_worker
from bookings.models import Heartbeat
from clinic.operations import health
from tests.factories import make_booking, queue_message

pytestmark = pytest.mark.django_db


def test_live_answers_without_the_database(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = client.get("/health/live")
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}


def test_ready_when_everything_works(client):
    response = client.get("/health/ready")
    assert response.status_code == 200
    answer = response.json()
    assert answer["status"] == "ok"
    assert set(answer["checks"].values()) == {"ok"}
    assert "no-cache" in response["Cache-Control"]


def test_ready_reads_no_table_of_people(client, django_assert_max_num_queries):
    client.get("/health/ready")
    with django_assert_max_num_queries(8) as captured:
        client.get("/health/ready")
    people = ("bookings_booking", "clinic_user", "clinic_practitioner")
    assert not any(table in query["sql"] for query in captured for table in people)


@pytest.mark.parametrize("name", ["database", "cache"])
def test_not_ready_when_the_database_fails(client, monkeypatch, name):
    def fail():
        raise DatabaseError("password=secret host=db.internal")

    monkeypatch.setitem(health.CHECKS, name, fail)
    response = client.get("/health/ready")
    assert response.status_code == 503
    assert response.json()["status"] == "not ready"
    assert response.json()["checks"][name] == "failed: DatabaseError"
    assert b"secret" not in response.content


def test_not_ready_while_migrations_wait(client, monkeypatch):
    monkeypatch.setattr(health, "_migrated", False)
    monkeypatch.setattr(health.MigrationExecutor, "migration_plan", lambda *_args: ["one"])
    response = client.get("/health/ready")
    assert response.status_code == 503
    assert "migrate" in response.json()["checks"]["migrations"]
    monkeypatch.undo()
    assert client.get("/health/ready").status_code == 200


def test_a_database_newer_than_the_code_is_named(client):
    """It goes on being served: the next release's schema bears this one's writes."""
    assert client.get("/health/ready").json()["notes"] == []
    recorder = MigrationRecorder(connection)
    recorder.record_applied("bookings", "9999_of_the_next_release")
    recorder.record_applied("bookings", "0000_squashed_long_ago")
    recorder.record_applied("gone", "9999_an_app_that_was_taken_out")
    response = client.get("/health/ready")
    assert response.status_code == 200
    [note] = response.json()["notes"]
    assert "newer than this code (bookings 9999_of_the_next_release)" in note


def test_not_ready_when_the_disk_is_nearly_full(client, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(health.shutil, "disk_usage", lambda _path: usage(10**10, 10**10, 10**7))
    response = client.get("/health/ready")
    assert response.status_code == 503
    assert response.json()["checks"]["disk"] == "only 9 MB are free"


def test_not_ready_without_the_cache_table(client, monkeypatch):
    monkeypatch.setattr(caches["default"], "_table", "missing_table")
    state = health.report()
    assert state["cache"].startswith("failed: ")


@pytest.fixture
def write_log(settings, tmp_path, monkeypatch):
    """The write-ahead log of a database file that stands in for the real one."""
    monkeypatch.setitem(settings.DATABASES, "default", {"NAME": tmp_path / "db.sqlite3"})
    return tmp_path / "db.sqlite3-wal"


def test_a_write_log_beyond_its_limit_is_told_with_its_size(write_log):
    """D-08"""
    assert health.write_log() is None
    write_log.touch()
    os.truncate(write_log, health.LOG_BYTES)
    assert health.write_log() is None
    os.truncate(write_log, 100 * 1024 * 1024)
    assert f"{write_log} has grown to 100 MB" in health.write_log()


def test_the_worker_warns_of_a_long_write_log_every_ten_minutes(write_log, caplog):
    """D-08: once, however many workers there are and however often they look."""
    write_log.touch()
    os.truncate(write_log, health.LOG_BYTES + 1)
    began = timezone.now()
    for minutes in (0, 0, 1, 9.9, 10, 19, 20):
        run_worker.housekeeping(began + timedelta(minutes=minutes))
    warnings = [record for record in caplog.records if "has grown to" in record.getMessage()]
    assert [record.levelname for record in warnings] == ["WARNING"] * 3


def test_a_short_write_log_is_nothing_to_warn_of(write_log, caplog):
    run_worker.housekeeping(timezone.now())
    assert "has grown to" not in caplog.text


def test_other_rooms_can_add_a_check():
    assert health.report({"worker": lambda: "silent for 20 minutes"})["worker"].startswith("silent")


def test_a_silent_worker_turns_it_red_within_15_minutes(client):
    """M-09"""
    now = timezone.now()
    Heartbeat.objects.create(name="worker", at=now - timedelta(minutes=14))
    assert client.get("/health/ready").status_code == 200
    Heartbeat.objects.update(at=now - timedelta(minutes=16))
    response = client.get("/health/ready")
    assert response.status_code == 503
    assert "no worker since" in response.json()["checks"]["worker"]


def test_untried_messages_turn_it_red(client):
    queue_message(make_booking(), "confirmed", due_at=timezone.now() - timedelta(minutes=16))
    assert client.get("/health/ready").status_code == 503
