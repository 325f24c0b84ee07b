"""What must work before the site takes visitors. Each check returns None, or what is wrong.

They read no table of people, so the answer may be public.
"""

import functools
import shutil
from pathlib import Path

from django.conf import settings
from django.core.cache import caches
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

FREE_BYTES = 200 * 1024 * 1024  # below this a booking may fail to reach the disk
LOG_BYTES = 64 * 1024 * 1024  # journal_size_limit in settings.py: a log in good order is no longer

_migrated = False


def database():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()


def migrations():
    """Asked until the answer is yes: a running process cannot become unmigrated."""
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return "migrations are waiting: run manage.py migrate"
        _migrated = True
    return None


@functools.cache
def _newest_known():
    """Return the name of the newest migration of each app in this code."""
    newest = {}
    for app, name in MigrationLoader(None).disk_migrations:
        newest[app] = max(name, newest.get(app, ""))
    return newest


def newer_schema():
    """Migrations in the database that this code does not have, in words, or None.

    It is no check of readiness: the release before goes on working on a newer schema, and would
    otherwise be taken out of service the moment that the first machine is updated.
    """
    newest = _newest_known()
    # By number: older ones may be gone because they were squashed.
    newer = sorted(
        f"{app} {name}"
        for app, name in MigrationRecorder(connection).applied_migrations()
        if app in newest and name > newest[app]
    )
    if not newer:
        return None
    return f"the database is newer than this code ({', '.join(newer)}): finish the update"


def cache():
    """Look into the table that holds the rate limits."""
    caches["default"].get("health")


def disk():
    free = shutil.disk_usage(settings.VAR_DIR).free
    if free < FREE_BYTES:
        return f"only {free // 1024 // 1024} MB are free"
    return None


def write_log():
    """Warn of a long write-ahead log; the site works with one, so it is no check of
    readiness. A database without a file has none here.
    """
    file = Path(f"{settings.DATABASES['default']['NAME']}-wal")
    size = file.stat().st_size if file.is_file() else 0
    if size <= LOG_BYTES:
        return None
    return (
        f"{file} has grown to {size // 1024 // 1024} MB: some process keeps a read of the database "
        "open. Look for a forgotten shell or a copy under way, and end it; the file then shrinks "
        "by itself. Until then reads get slower and the disk fills."
    )


CHECKS = {"database": database, "migrations": migrations, "cache": cache, "disk": disk}


def notes():
    """Return what an operator should know though the site can be used; none if it fails."""
    try:
        found = newer_schema()
    except DatabaseError:  # the checks say so
        return []
    return [found] if found else []


def report(more=None):
    """Return the state of each check by name: "ok" or what is wrong; ``more`` adds checks."""
    state = {}
    for name, check in (CHECKS | (more or {})).items():
        try:
            state[name] = check() or "ok"
        except Exception as error:  # whatever is wrong is the answer
            state[name] = f"failed: {type(error).__name__}"
    return state
