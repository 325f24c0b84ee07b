"""Health checks: always readable, honest about what is wrong, silent about people."""

from collections import namedtuple
from datetime import timedelta

import pytest
from django.core.cache import caches
from django.db import DatabaseError
from django.utils import timezone

from bookings.models import Heartbeat
from clinic import health
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
    with django_assert_max_num_queries(6) as captured:
        client.get("/health/ready")
    people = ("bookings_booking", "auth_user", "clinic_practitioner")
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
