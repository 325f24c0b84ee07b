"""PostgreSQL keeps its connections and says nothing more: frozen as a whole, or one session of it.

Nobody waits longer than ten seconds, what needs no database is answered at once, and the site
works again without a restart.
"""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.faults.crowd import assert_honest, seconds_of
from tests.server import Visitor

pytestmark = pytest.mark.only_on("postgresql")

LONGEST = 10  # seconds that a request may wait
AT_ONCE = 1  # second


@contextmanager
def frozen(*processes):
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def sessions(postgres):
    """The processes of everybody who is connected, but for the one who asks."""
    import psycopg2

    asks = psycopg2.connect(postgres.url)
    try:
        cursor = asks.cursor()
        cursor.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return [pid for (pid,) in cursor.fetchall()]
    finally:
        asks.close()


def postmaster(postgres):
    return int((postgres.folder / "postmaster.pid").read_text().split()[0])


def static_file(server):
    page = Visitor(server.port).get("/").text
    return page.split('rel="stylesheet" href="')[1].split('"')[0]


def visit(server, path):
    return seconds_of(lambda: Visitor(server.port).get(path))


def test_the_whole_server_frozen(own_postgres, own_server):
    server = own_server(pg_url=own_postgres.url, like=None, workers=2).prepare().start()
    style = static_file(server)
    with ThreadPoolExecutor(30) as pool:
        list(pool.map(lambda _: Visitor(server.port).get("/book/"), range(30)))  # all connect
        with frozen(postmaster(own_postgres), *sessions(own_postgres)):
            pages = [pool.submit(visit, server, "/book/") for _ in range(24)]
            time.sleep(AT_ONCE)
            cheap, end = [], time.monotonic() + 12
            while time.monotonic() < end:
                cheap += [visit(server, path) for path in (style, "/health/live")]
                time.sleep(0.2)
            ready, seconds = visit(server, "/health/ready")
            assert (ready.status, seconds < LONGEST) == (503, True)
    for page in pages:
        answer, seconds = page.result()
        assert_honest(answer)
        assert seconds < LONGEST
    assert {answer.status for answer, _seconds in cheap} == {200}
    assert max(seconds for _answer, seconds in cheap) < AT_ONCE
    end = time.monotonic() + 5
    while Visitor(server.port).get("/health/ready").status != 200:
        assert time.monotonic() < end
    assert Visitor(server.port).get("/book/").status == 200


def test_one_session_frozen(own_postgres, own_server):
    """The request whose session it is ends honestly; everybody else is served meanwhile."""
    server = own_server(pg_url=own_postgres.url, like=None, workers=1).prepare().start()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: Visitor(server.port).get("/book/"), range(16)))
        [mine, *_others] = sessions(own_postgres)
        with frozen(mine):
            found = list(pool.map(lambda _: visit(server, "/book/"), range(60)))
            statuses = [answer.status for answer, _seconds in found]
            assert statuses.count(503) == 1
            assert statuses.count(200) == len(statuses) - 1
            assert max(seconds for _answer, seconds in found) < LONGEST
            assert_honest(next(answer for answer, _seconds in found if answer.status == 503))
