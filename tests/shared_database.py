"""The test's database, for other processes: workers that are started, stopped and killed."""

import os
import sqlite3
import subprocess
import sys
import time
from urllib.parse import quote

from django.conf import settings
from django.db import connection


class SharedDatabase:
    """While it is entered, ``start()`` runs commands on what the test has stored.

    On SQLite the test's own database is in memory, so a file takes its place meanwhile: its
    content goes out on entering and comes back on leaving. On PostgreSQL all see the same one.
    The test needs ``django_db(transaction=True)`` and uses ``execute`` inside, not the ORM.
    """

    def __init__(self, folder, **environment):
        self.file = folder / "shared.sqlite3"
        self.on_file = connection.vendor == "sqlite"
        self.processes = []
        self.environment = os.environ | {"VAR_DIR": str(folder)} | environment
        self.environment["DATABASE_URL"] = f"sqlite:///{self.file}" if self.on_file else _url()

    def __enter__(self):
        if self.on_file:
            connection.ensure_connection()
            with sqlite3.connect(self.file) as target:
                connection.connection.backup(target)
            target.close()
        return self

    def __exit__(self, *_error):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
        if self.on_file:
            source = sqlite3.connect(self.file)
            source.backup(connection.connection)
            source.close()

    def start(self, *arguments):
        """``manage.py`` with these arguments, in a process of its own."""
        process = subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=settings.BASE_DIR,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes.append(process)
        return process

    def execute(self, sql):
        """Run one statement where the processes look; returns the first value of a query."""
        if not self.on_file:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchone()[0] if cursor.description else None
        there = sqlite3.connect(self.file, timeout=10)
        try:
            with there:
                row = there.execute(sql).fetchone()
        finally:
            there.close()
        return row[0] if row else None

    def wait_for(self, sql, seconds=30):
        """Wait until the query's first value is true."""
        end = time.monotonic() + seconds
        while not self.execute(sql):
            assert time.monotonic() < end, f"still not true after {seconds} s: {sql}"
            time.sleep(0.05)


def _url():
    database = connection.settings_dict
    user, password, host = (
        quote(database[key] or "", safe="") for key in ("USER", "PASSWORD", "HOST")
    )
    if database["HOST"].startswith("/"):
        return f"postgresql://{user}:{password}@/{database['NAME']}?host={database['HOST']}"
    return f"postgresql://{user}:{password}@{host}:{database['PORT'] or 5432}/{database['NAME']}"
