"""How long a web process waits for its database: nobody hangs on one that is silent.

The database's own limits (settings.WEB_DATABASE_OPTIONS) end a statement that is slow and a lock
that does not come. They cannot end a wait for a server that is frozen, and neither can the network
while it lives: only the client can. So psycopg2 waits here, with two limits:

    a request       waits PATIENCE seconds in all, however many statements it makes
    the last thread that is left to this process gives up after a moment, while all others wait,
                    nothing comes back, and the server is not at work for it: static files and
                    /health/live go on being answered

Both end in OperationalError, for which the site shows its honest 503. Commands and the worker wait
as long as it takes. SQLite has no server; what is waited for there, by the same two limits, is its
lock for writing, which a forgotten shell can hold.
"""

import os
import pathlib
import select
import threading
import time
from contextlib import contextmanager, suppress

import psycopg2
from django.conf import settings
from django.db import OperationalError, connection, connections
from psycopg2.extensions import POLL_OK, POLL_READ, set_wait_callback

PATIENCE = 8  # seconds; longer than any limit of the database's own, so that those come first
MOMENT = 0.4  # seconds without any answer
QUESTION = 0.25  # seconds for asking whether the server is at work
NEXT_LOOK = 1  # seconds for which the last thread then takes the silence for granted
QUEUE = "6s"  # for a lock that requests hold in turn; shorter than PATIENCE
THREADS = 4  # of one web process
STEP = 0.1  # seconds between looks at the limits
WRITE_LOCK = "120"


class Silence:
    """What the threads of this process know of the database: who waits, and what came back when."""

    def __init__(self, threads=THREADS):
        self.threads = threads
        self.waiting = {}  # since when, by thread
        self.answered = self.found = float("-inf")  # when something came back, when nothing did

    def begin(self, thread, now):
        self.waiting[thread] = now

    def end(self, thread, now, *, answered):
        self.waiting.pop(thread, None)
        if answered:
            self.answered = now

    def is_for_the_last(self, thread, now, at_work):
        """Return whether this thread came last, the others wait too, and nothing comes back.

        ``at_work`` asks the server whether it works for this thread: a queue for a lock is no
        silence.
        """
        since = list(self.waiting.values())
        mine = self.waiting[thread]
        if len(since) < self.threads or mine < max(since):
            return False
        if self.answered < self.found and now - self.found < NEXT_LOOK:
            return True
        if now - max(self.answered, mine) < MOMENT:
            return False
        if at_work():
            self.answered = now
            return False
        self.found = now
        return True


_silence = Silence()
_request = threading.local()


_web = False  # whether this is a web process


def limit():
    """Apply the limits to this process; the WSGI application does so, once, as it starts."""
    global _web
    _web = True
    connections.settings["default"]["OPTIONS"].update(settings.WEB_DATABASE_OPTIONS)
    if connections["default"].Database is psycopg2:
        set_wait_callback(wait)


def middleware(get_response):
    """Each request begins with all of its patience."""

    def answer(request):
        _request.waited = 0.0
        if not _web or connections["default"].Database is psycopg2:
            return get_response(request)
        with connections["default"].execute_wrapper(wait_for_the_lock):
            return get_response(request)

    return answer


@contextmanager
def _patience(at_work):
    """Enter the wait of this thread; yields what tells whether to give it up."""
    thread, began = threading.get_ident(), time.monotonic()
    before = getattr(_request, "waited", 0.0)

    def is_over():
        now = time.monotonic()
        return before + now - began > PATIENCE or _silence.is_for_the_last(thread, now, at_work)

    _silence.begin(thread, began)
    answered = False
    try:
        yield is_over
        answered = True
    finally:
        now = time.monotonic()
        _silence.end(thread, now, answered=answered)
        _request.waited = before + now - began


def wait(connection):
    """Return when the server has answered. psycopg2 closes the connection of a wait that fails."""
    if getattr(_request, "asking", False):
        end = time.monotonic() + QUESTION
        _wait(connection, lambda: time.monotonic() > end)
        return
    with _patience(lambda: _at_work(connection)) as is_silent:
        _wait(connection, is_silent)


@contextmanager
def queueing():
    """Lock inside what every request of this kind locks: a queue that moves on is waited for.

    PostgreSQL's limit for one lock is meant for somebody who holds it and does nothing. Needs a
    transaction. SQLite's one lock is waited for like this anyway.
    """
    if connection.Database is not psycopg2:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SET LOCAL lock_timeout = %s; SET LOCAL statement_timeout = %s", [QUEUE, QUEUE]
        )
        yield
        cursor.execute("SET LOCAL lock_timeout = DEFAULT; SET LOCAL statement_timeout = DEFAULT")


def wait_for_the_lock(execute, sql, params, many, context):
    """Run a statement of Django's on SQLite, which has one lock for all who write.

    SQLite itself would wait for it without asking us, so it is told to wait in short steps.
    """
    connection = context["connection"]
    if connection.in_atomic_block or sql.startswith("SELECT"):  # has the lock, or needs none
        return execute(sql, params, many, context)
    connection.connection.execute(f"PRAGMA busy_timeout = {STEP * 500:.0f}")
    try:
        with _patience(_moves_on) as is_over:
            while True:
                try:
                    return execute(sql, params, many, context)
                except OperationalError as error:
                    if "locked" not in str(error) or is_over():
                        raise
    finally:
        connection.connection.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000}")


def _moves_on():
    """Return whether the queue for SQLite's lock moves on.

    One of this site's web processes holds the lock, or somebody stored something a moment ago.
    """
    name = settings.DATABASES["default"]["NAME"]
    with suppress(OSError):
        return _is_ours(_who_writes(name)) or time.time() - os.stat(f"{name}-wal").st_mtime < MOMENT
    return False


def _who_writes(name):
    """Return who holds the lock for writing; None if nobody does, or the system hides it.

    The lock is byte 120 of the shared memory (SQLite, "WAL-Index File Format"). It is looked up in
    Linux's list of locks: opening the file ourselves and closing it would drop SQLite's own locks.
    """
    inode = os.stat(f"{name}-shm").st_ino
    with open("/proc/locks") as locks:
        for line in locks:
            # 1: POSIX  ADVISORY  WRITE 4711 08:01:1234 120 120; a "->" marks one that waits
            fields = line.split()
            if fields[3] == "WRITE" and fields[5].endswith(f":{inode}") and fields[6] == WRITE_LOCK:
                return int(fields[4])
    return None


def _is_ours(process):
    """Return whether it is this process, or one that the same server started."""
    if process in (None, os.getpid()):
        return process is not None
    stat = pathlib.Path(f"/proc/{process}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1]) == os.getppid()


def _wait(connection, is_silent):
    while (state := connection.poll()) != POLL_OK:
        if is_silent():
            raise psycopg2.OperationalError("the database is silent")
        _look(connection.fileno(), select.POLLIN if state == POLL_READ else select.POLLOUT)


def _at_work(connection):
    """Return whether the server runs the statement of this connection, or waits for a lock for it.

    One that has not even read the statement says "idle"; one that is frozen says nothing.
    """
    _request.asking = True
    try:
        asks = psycopg2.connect(**connections["default"].get_connection_params())
        try:
            cursor = asks.cursor()
            cursor.execute(
                "SELECT state FROM pg_stat_activity WHERE pid = %s", [connection.info.backend_pid]
            )
            return cursor.fetchone() == ("active",)
        finally:
            asks.close()
    except psycopg2.Error:
        return False
    finally:
        _request.asking = False


def _look(descriptor, events):
    poller = select.poll()  # select() itself knows no descriptor above 1023
    poller.register(descriptor, events)
    poller.poll(STEP * 1000)
