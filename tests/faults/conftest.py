"""Servers on the database that the run is about, a seed for each test, and the night's report.

Tests marked ``night`` are the long rounds; they write reports/faults.json when they run alone
(`make faults`). A whole run replaces what is there about its database; a run of some tests replaces
what is there about them.
"""

import json
import os
import random
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings

from tests.faults.crowd import Times
from tests.faults.postgres import OwnPostgres
from tests.server import Server

REPORT = settings.BASE_DIR / "reports" / "faults.json"
_results = {}


def _pg_url():
    return os.environ.get("TEST_PG_URL", "") if os.environ.get("DATABASE_URL") else ""


def _vendor():
    return "postgresql" if _pg_url() else "sqlite"


def new_server(**options):
    options = {"pg_url": _pg_url(), "workers": 4} | options
    folder = options.pop("folder", None) or tempfile.mkdtemp(prefix="clinic-server-")
    return Server(folder, **options)


# --- servers --------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def prepared():
    """The starter clinic, loaded once; it never runs, so that others can be copied from it."""
    made = new_server()
    try:
        yield made.prepare()
    finally:
        made.close()


@pytest.fixture(scope="session")
def running(prepared):
    made = new_server(like=prepared)
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture
def server(running):
    """The shipped server with the starter clinic, shared by all tests; sound after each (C-12)."""
    yield running
    running.manage("check_invariants")


@pytest.fixture
def own_server(prepared):
    """Makes a server that a test may break; sound in the end, unless the test stopped it."""
    made = []

    def make(**options):
        made.append(new_server(**({"like": prepared} | options)))
        return made[-1]

    try:
        yield make
        for one in made:
            one.manage("check_invariants")
    finally:
        for one in made:
            one.close()


@pytest.fixture
def own_postgres():
    """A database server that a test may stop and start."""
    made = OwnPostgres()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def times(running):
    """Hands out free times of the shared server, each once."""
    return Times(running)


@pytest.fixture
def unguarded():
    """A database of its own, to be spoiled; no web server runs on it."""
    made = new_server()
    try:
        made.manage("migrate", "-v", "0")
        yield made
    finally:
        made.close()


# --- what a run did -------------------------------------------------------------------------------


class Tally(dict):
    """Counts of one test for the report; ``dice`` are the random numbers of its seed."""

    def __init__(self, seed):
        self.seed, self.dice = seed, random.Random(seed)

    def add(self, **counts):
        for name, number in counts.items():
            self[name] = self.get(name, 0) + number


@pytest.fixture
def tally(request):
    """FAULTS_SEED repeats the random numbers of a run that failed; each run prints its own."""
    seed = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"FAULTS_SEED={seed}")
    request.node.tally = Tally(seed)
    return request.node.tally


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = (yield).get_result()
    for server in Server.running if outcome.failed else ():
        log = Path(server.log.name).read_text(errors="replace")
        outcome.sections.append(("end of a server's log", log[-3000:]))
    if item.get_closest_marker("night") and (outcome.when == "call" or outcome.failed):
        tally = getattr(item, "tally", None)
        _results[item.nodeid] = {
            "database": _vendor(),
            "test": item.nodeid,
            "what": (item.function.__doc__ or "").strip().splitlines()[0],
            "seed": tally.seed if tally else None,
            "counts": dict(tally or {}),
            "seconds": round(outcome.duration, 1),
            "verdict": "failed" if outcome.failed else "passed",
        }


def _is_whole(session):
    """Whether this run chose every long round there is, and came to the end of each."""
    narrowing = ("keyword", "deselect", "ignore", "ignore_glob", "lf")
    chosen = any(session.config.getoption(name, None) for name in narrowing)
    everywhere = session.config.args_source is not pytest.Config.ArgsSource.ARGS
    ran = {item.nodeid for item in session.items} == set(_results)
    return everywhere and not chosen and ran


def merged(old, new, *, whole):
    """The rows of an earlier report, and the new ones in the place of those that they outdate."""
    databases = {row["database"] for row in new}
    again = {(row["database"], row["test"]) for row in new}
    kept = [
        row
        for row in old
        if (
            row["database"] not in databases
            if whole
            else (row["database"], row["test"]) not in again
        )
    ]
    return sorted(kept + new, key=lambda row: (row["test"], row["database"]))


def pytest_sessionfinish(session):
    if session.config.option.markexpr != "night" or not _results:
        return
    old = json.loads(REPORT.read_text())["results"] if REPORT.exists() else []
    results = merged(old, list(_results.values()), whole=_is_whole(session))
    content = {"written": f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}", "results": results}
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(content, indent=1) + "\n")
