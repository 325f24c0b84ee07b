"""A shipped server a module, on the database that the run is about."""

import os
import tempfile

import pytest

from tests.server import Server


@pytest.fixture(scope="module")
def server():
    pg_url = os.environ.get("TEST_PG_URL", "") if os.environ.get("DATABASE_URL") else ""
    made = Server(tempfile.mkdtemp(prefix="clinic-server-"), pg_url=pg_url, workers=4)
    try:
        made.prepare().start()
        yield made
    finally:
        made.close()
