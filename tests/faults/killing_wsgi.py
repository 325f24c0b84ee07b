"""The site with a trap: on request, its process dies by SIGKILL in the middle of a booking.

A file named ``trap`` in VAR_DIR says where: "before lock", "after insert", "before commit",
"after commit", or milliseconds after the request came.
One request takes the file and springs the trap; all others pass.
"""

import os
import signal
import threading
import uuid
from pathlib import Path

from clinic.wsgi import application as site

TRAP = Path(os.environ["VAR_DIR"]) / "trap"
_plan = threading.local()


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at(step):
    if getattr(_plan, "step", "") == step:
        _die()


def _set_traps():
    from django.db.backends.base.base import BaseDatabaseWrapper

    from bookings.lifecycle import locking

    lock, store = locking.lock_practitioners, locking.save_or_slot_taken
    commit = BaseDatabaseWrapper._commit

    def trapped_lock(candidates):
        _die_at("before lock")
        return lock(candidates)

    def trapped_store(*args, **kwargs):
        store(*args, **kwargs)
        _plan.stored = True
        _die_at("after insert")

    def trapped_commit(self):
        deciding, _plan.stored = getattr(_plan, "stored", False), False
        if deciding:
            _die_at("before commit")
        commit(self)
        if deciding:
            _die_at("after commit")

    locking.lock_practitioners, locking.save_or_slot_taken = trapped_lock, trapped_store
    BaseDatabaseWrapper._commit = trapped_commit


def _spring():
    """The plan in the trap for the one request that takes it, or ""."""
    mine = TRAP.with_name(f"sprung-{uuid.uuid4().hex}")
    try:
        TRAP.rename(mine)
    except FileNotFoundError:
        return ""
    return mine.read_text()


def application(environ, start_response):
    _plan.step, _plan.stored = "", False
    if environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"] == "/book/check/":
        _plan.step = _spring()
        if _plan.step.isdigit():
            threading.Timer(int(_plan.step) / 1000, _die).start()
    return site(environ, start_response)


_set_traps()
