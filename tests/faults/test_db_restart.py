"""D-01: PostgreSQL restarts, also without warning, while eight people book.

What was shown as booked is stored, nothing is booked twice, and the site needs no restart.
"""

import http.client
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.crowd import Times, made_with, reference, same_browser
from tests.server import Visitor

pytestmark = [pytest.mark.night, pytest.mark.only_on("postgresql")]

CLIENTS = 8
SECONDS = 12
GONE = (OSError, http.client.HTTPException)


class Person:
    """Books one time after the other; whatever fails is tried again, with the same key."""

    def __init__(self, server, times, number):
        self.server, self.times, self.number = server, times, number
        self.shown, self.retries, self.odd = [], 0, []

    def book_until(self, end):
        while time.monotonic() < end:
            try:
                self._book_one()
            except GONE:
                self.retries += 1

    def _book_one(self):
        start, visitor = self.times.pop(), Visitor(self.server.port)
        while True:
            page = visitor.up_to_check(number=self.number, start=start)
            if "Check your answers" in page.text:
                break
            if page.status == 200 or page.status not in (302, 503):
                self.odd.append(page.status)
            self.retries += 1
            time.sleep(0.1)
        key = visitor.key
        while True:
            tab = same_browser(visitor)
            answer = tab.book()
            if answer.status == 302:
                break
            if answer.status != 503:
                self.odd.append(answer.status)
                return
            self.retries += 1
            time.sleep(0.1)
        page = tab.get("/book/done/")
        while page.status == 503:
            page = tab.get("/book/done/")
        self.shown.append((key, reference(page)))


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_restart_under_load(own_postgres, own_server, tally, how):
    """D-01: three restarts under eight clients; acknowledged and missing 0, booked twice 0."""
    server = own_server(pg_url=own_postgres.url, like=None).prepare().start()
    times = Times(server).many(250)
    people = [Person(server, times, number) for number in range(CLIENTS)]
    end = time.monotonic() + SECONDS
    with ThreadPoolExecutor(CLIENTS) as pool:
        working = [pool.submit(person.book_until, end) for person in people]
        for _ in range(3):
            time.sleep(SECONDS / 5 + tally.dice.random())
            own_postgres.control("restart", "-m", how)
            restarted_at = time.monotonic()
            while Visitor(server.port).get("/health/ready").status != 200:
                assert time.monotonic() - restarted_at < 5, "not back after 5 s"
            tally["slowest_return"] = max(
                tally.get("slowest_return", 0), round(time.monotonic() - restarted_at, 2)
            )
        for one in working:
            one.result()
    assert [person.odd for person in people] == [[]] * CLIENTS
    shown = [pair for person in people for pair in person.shown]
    assert len(shown) > CLIENTS
    for key, ref in shown:
        assert made_with(server, key) == (1, 1)
        assert server.rows(f"SELECT 1 FROM bookings_booking WHERE reference = '{ref}'")
    [[stored]] = server.rows("SELECT count(*) FROM bookings_booking WHERE source = 'web'")
    tally.add(shown=len(shown), missing=0, stored=stored, restarts=3)
    tally.add(retries=sum(person.retries for person in people))
