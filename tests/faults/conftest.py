"""A shipped server a module, on the database that the run is about."""

import os
import tempfile

import pytest

from tests.server import Server


def _server():
    pg_url = os.environ.get("TEST_PG_URL", "") if os.environ.get("DATABASE_URL") else ""
    return Server(tempfile.mkdtemp(prefix="clinic-server-"), pg_url=pg_url, workers=4)


@pytest.fixture(scope="module")
def server():
    made = _server()
    try:
        made.prepare().start()
        yield made
    finally:
        made.close()


@pytest.fixture
def unguarded():
    """A database of its own, to be spoiled; no web server runs on it."""
    made = _server()
    try:
        made.manage("migrate", "-v", "0")
        yield made
    finally:
        made.close()
