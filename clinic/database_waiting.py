"""How long a web process waits for its database: nobody hangs on one that is silent.

The database's own limits (settings.WEB_DATABASE_OPTIONS) end a statement that is slow and a lock
that does not come. They cannot end a wait for a server that is frozen, and neither can the network
while it lives: only the client can. So psycopg2 waits here, with two limits:

    a request       waits PATIENCE seconds in all, however many statements it makes
    the last thread that is left to this process gives up after a moment, while all others wait
                    and nothing comes back: static files and /health/live go on being answered

Both end in OperationalError, for which the site shows its honest 503. Commands and the worker wait
as long as it takes.
"""

import select
import threading
import time

from django.conf import settings
from django.db import connections

PATIENCE = 8  # seconds; longer than any limit of the database's own, so that those come first
MOMENT = 0.5  # seconds without any answer
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

    def is_for_the_last(self, thread, now):
        """Whether this thread came last, all others wait too, and nothing has come back lately."""
        since = list(self.waiting.values())
        mine = self.waiting[thread]
        if len(since) < self.threads or mine < max(since):
            return False
        if self.answered < self.found and now - self.found < NEXT_LOOK:
            return True
        if now - max(self.answered, mine) < MOMENT:
            return False
        self.found = now
        return True


_silence = Silence()
_request = threading.local()


def limit():
    """Apply the limits to this process; the WSGI application does so, once, as it starts."""
    connections.settings["default"]["OPTIONS"].update(settings.WEB_DATABASE_OPTIONS)
    if connections["default"].Database.__name__ == "psycopg2":
        from psycopg2.extensions import set_wait_callback

        set_wait_callback(wait)


def middleware(get_response):
    """Each request begins with all of its patience."""

    def answer(request):
        _request.waited = 0.0
        return get_response(request)

    return answer


def wait(connection):
    """Return when the server has answered. psycopg2 closes the connection of a wait that fails."""
    from psycopg2 import OperationalError
    from psycopg2.extensions import POLL_OK, POLL_READ

    thread, began = threading.get_ident(), time.monotonic()
    before = getattr(_request, "waited", 0.0)
    _silence.begin(thread, began)
    answered = False
    try:
        while (state := connection.poll()) != POLL_OK:
            now = time.monotonic()
            if before + now - began > PATIENCE or _silence.is_for_the_last(thread, now):
                raise OperationalError("the database is silent")
            _look(connection.fileno(), select.POLLIN if state == POLL_READ else select.POLLOUT)
        answered = True
    finally:
        now = time.monotonic()
        _silence.end(thread, now, answered=answered)
        _request.waited = before + now - began


def _look(descriptor, events):
    poller = select.poll()  # select() itself knows no descriptor above 1023
    poller.register(descriptor, events)
    poller.poll(STEP * 1000)
