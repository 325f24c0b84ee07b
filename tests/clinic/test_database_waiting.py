"""How long web processes wait for their database, and that nothing else is cut short."""

import os
import sqlite3
import subprocess
import sys
import time

import pytest

from clinic import database_waiting
from clinic.database_waiting import MOMENT, NEXT_LOOK, PATIENCE, Silence


def frozen():
    return False


def waiting(*since):
    """Four threads of which each waits since then."""
    silence = Silence(threads=4)
    for thread, moment in enumerate(since):
        silence.begin(thread, moment)
    return silence


def test_a_thread_that_is_not_the_last_one_waits():
    silence = waiting(0, 0.1, 0.2)
    assert not silence.is_for_the_last(2, PATIENCE, frozen)


def test_the_last_thread_gives_up_after_a_moment_and_the_others_wait():
    silence = waiting(0, 0.1, 0.2, 0.3)
    assert not silence.is_for_the_last(3, 0.3 + MOMENT * 0.9, frozen)
    assert silence.is_for_the_last(3, 0.3 + MOMENT * 1.1, frozen)
    assert [silence.is_for_the_last(thread, 2, frozen) for thread in range(3)] == [False] * 3


def test_who_comes_next_is_told_at_once_for_a_while():
    silence = waiting(0, 0.1, 0.2, 0.3)
    assert silence.is_for_the_last(3, 1, frozen)
    silence.end(3, 1, answered=False)
    silence.begin(3, 1.1)
    assert silence.is_for_the_last(3, 1.1, frozen)
    silence.end(3, 1.1, answered=False)
    silence.begin(3, 1 + NEXT_LOOK)
    assert not silence.is_for_the_last(3, 1 + NEXT_LOOK, frozen)


def test_an_answer_to_anybody_ends_the_silence():
    """Three wait for a lock, the database is well."""
    silence = waiting(0, 0.1, 0.2, 0.3)
    assert silence.is_for_the_last(3, 1, frozen)
    silence.end(3, 1, answered=False)
    silence.end(0, 1.1, answered=True)
    silence.begin(0, 1.2)
    silence.begin(3, 1.3)
    assert not silence.is_for_the_last(3, 1.3, frozen)
    assert not silence.is_for_the_last(3, 1.3 + MOMENT / 2, frozen)


def test_a_queue_for_a_lock_is_no_silence():
    silence = waiting(0, 0.1, 0.2, 0.3)
    asked = []
    for moment in (0.5, 0.8, 0.9, 1.3):
        assert not silence.is_for_the_last(3, moment, lambda: asked.append(1) or True)
    assert len(asked) == 2


def test_only_web_processes_have_a_limit_for_statements(settings, monkeypatch):
    """Migrations, dumps and the erasing of old data may take their time."""
    options = dict(settings.DATABASES["default"]["OPTIONS"])
    assert "statement_timeout" not in str(options)
    monkeypatch.setitem(database_waiting.connections.settings["default"], "OPTIONS", dict(options))
    monkeypatch.setattr(database_waiting, "set_wait_callback", lambda callback: None)
    monkeypatch.setattr(database_waiting, "_web", False)
    database_waiting.limit()
    limited = database_waiting.connections.settings["default"]["OPTIONS"]
    assert limited == options | settings.WEB_DATABASE_OPTIONS != options


HOLD = """
import sqlite3, sys
shell = sqlite3.connect(sys.argv[1], isolation_level=None)
shell.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def database(tmp_path, settings, monkeypatch):
    """A SQLite file to which nobody has written for a while."""
    path = tmp_path / "db.sqlite3"
    mine = sqlite3.connect(path, isolation_level=None)
    mine.execute("PRAGMA journal_mode = wal")
    mine.execute("CREATE TABLE t (a)")
    os.utime(f"{path}-wal", (0, time.time() - 60))
    monkeypatch.setitem(settings.DATABASES["default"], "NAME", path)
    yield mine
    mine.close()


@pytest.fixture
def other(database, settings):
    """Another process, which holds the lock of that file."""
    command = [sys.executable, "-c", HOLD, settings.DATABASES["default"]["NAME"]]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.communicate()


def test_a_shell_that_holds_the_lock_moves_nothing_on(other):
    assert not database_waiting._moves_on()


def test_a_process_of_the_same_server_holds_it_for_a_moment(other, monkeypatch):
    """However slow the machine: a crowd on two processes is a queue."""
    monkeypatch.setattr(os, "getppid", os.getpid)
    assert database_waiting._moves_on()


def test_another_thread_of_this_process_holds_it_for_a_moment(database):
    database.execute("BEGIN IMMEDIATE")
    assert database_waiting._moves_on()


def test_nobody_holds_it_and_nothing_is_stored(database, settings):
    assert not database_waiting._moves_on()
    os.utime(f"{settings.DATABASES['default']['NAME']}-wal")
    assert database_waiting._moves_on()
