"""How long a web process waits for its database: nobody hangs on one that is silent.

The database's own limits (settings.WEB_DATABASE_OPTIONS) end a statement that is slow and a lock
that does not come. They cannot end a wait for a server that is frozen, and neither can the network
while it lives: only the client can. So psycopg2 waits here, with two limits:

    a request       waits PATIENCE seconds in all, however many statements it makes
    the last thread that is left to this process gives up after a moment, while all others wait,
                    nothing comes back, and the server is not at work for it: static files and
                    /health/live go on being answered

Both end in OperationalError, for which the site shows its honest 503. Commands and the worker wait
as long as it takes.
"""

import select
import threading
import time

import psycopg2
from django.conf import settings
from django.db import connections
from psycopg2.extensions import POLL_OK, POLL_READ, set_wait_callback

PATIENCE = 8  # seconds; longer than any limit of the database's own, so that those come first
MOMENT = 0.4  # seconds without any answer
QUESTION = 0.25  # seconds for asking whether the server is at work
NEXT_LOOK = 1  # seconds for which the last thread then takes the silence for granted
THREADS = 4  # of one web process
STEP = 0.1  # seconds between looks at the limits


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
        """Whether this thread came last, all others wait too, and nothing comes back to anybody.

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


def limit():
    """Apply the limits to this process; the WSGI application does so, once, as it starts."""
    connections.settings["default"]["OPTIONS"].update(settings.WEB_DATABASE_OPTIONS)
    if connections["default"].Database is psycopg2:
        set_wait_callback(wait)


def middleware(get_response):
    """Each request begins with all of its patience."""

    def answer(request):
        _request.waited = 0.0
        return get_response(request)

    return answer


def wait(connection):
    """Return when the server has answered. psycopg2 closes the connection of a wait that fails."""
    if getattr(_request, "asking", False):
        end = time.monotonic() + QUESTION
        return _wait(connection, lambda: time.monotonic() > end)
    thread, began = threading.get_ident(), time.monotonic()
    before = getattr(_request, "waited", 0.0)

    def is_silent():
        now = time.monotonic()
        return before + now - began > PATIENCE or _silence.is_for_the_last(
            thread, now, lambda: _at_work(connection)
        )

    _silence.begin(thread, began)
    answered = False
    try:
        _wait(connection, is_silent)
        answered = True
    finally:
        now = time.monotonic()
        _silence.end(thread, now, answered=answered)
        _request.waited = before + now - began


def _wait(connection, is_silent):
    while (state := connection.poll()) != POLL_OK:
        if is_silent():
            raise psycopg2.OperationalError("the database is silent")
        _look(connection.fileno(), select.POLLIN if state == POLL_READ else select.POLLOUT)


def _at_work(connection):
    """Whether the server runs the statement of this connection, or waits for a lock for it.

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
