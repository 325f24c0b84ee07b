"""L-05: hours of ordinary visits leave the server as it was: no memory, no files, no errors more.

FAULTS_LONG_RUN_SECONDS sets how long; ten minutes by default, two hours before a release.
"""

import os
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

import pytest

from tests.faults.crowd import Times
from tests.server import Visitor

SECONDS = int(os.environ.get("FAULTS_LONG_RUN_SECONDS", "600"))
A_SECOND = 10  # requests
MOST_BOOKINGS = 300  # so many times are free in half a year
PAGES = (
    "/", "/conditions/", "/conditions/bruxism/", "/conditions/restless-legs/", "/guides/safety/",
    "/book/?condition=bruxism", "/practitioners/", "/contact/", "/booking/lost/", "/sitemap.xml",
    "/booking/" + "x" * 43 + "/", "/nowhere/",
)  # fmt: skip


def processes(group):
    """The processes that a server started, itself among them."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[2]) == group:
            yield folder


def weight(server):
    """Resident memory in kB and open files of the server's processes."""
    kilobytes = files = 0
    for folder in processes(server.process.pid):
        status = (folder / "status").read_text()
        kilobytes += int(status.partition("VmRSS:")[2].split()[0])
        files += len(list((folder / "fd").iterdir()))
    return kilobytes, files


class Visits:
    """A page, a page, …, a booking from the first step to the last: as many a second as asked."""

    def __init__(self, server, starts):
        self.server, self.starts = server, iter(starts)
        self.pages, self.statuses, self.took = cycle(PAGES), Counter(), []

    def timed(self, ask):
        began = time.monotonic()
        answer = ask()
        self.took.append(time.monotonic() - began)
        self.statuses[answer.status] += 1

    def page(self, path):
        self.timed(lambda: Visitor(self.server.port).get(path))

    def booking(self, number, start):
        visitor = Visitor(self.server.port)
        visitor.up_to_check(number=number, start=start)
        self.timed(visitor.book)
        self.timed(lambda: visitor.get("/book/done/"))

    def go_on(self, seconds):
        """For so long; every fiftieth visit is a booking, of about ten requests."""
        end, number = time.monotonic() + seconds, 0
        with ThreadPoolExecutor(4) as pool:
            while (now := time.monotonic()) < end:
                start = next(self.starts, None) if number % 50 == 0 else None
                if start:
                    waiting = pool.submit(self.booking, len(self.took), start)
                else:
                    waiting = pool.submit(self.page, next(self.pages))
                number += 1
                time.sleep(max(0, now + 1 / A_SECOND - time.monotonic()))
            waiting.result()


@pytest.mark.night
def test_visits_leave_nothing_behind(own_server, tally):
    """L-05: ten visits a second, booking among them: memory and files stay as they were."""
    server = own_server(workers=2).start()
    times = Times(server)
    visits = Visits(server, times.many(min(SECONDS * A_SECOND // 50 + 20, MOST_BOOKINGS)))
    visits.go_on(min(SECONDS / 4, 120))  # caches fill, threads start
    before = weight(server)
    visits.go_on(SECONDS)
    after = weight(server)
    percentiles = statistics.quantiles(visits.took, n=20)
    tally.add(
        seconds=SECONDS, requests=len(visits.took), booked=visits.statuses[302],
        p95_seconds=round(percentiles[-1], 3),
        kilobytes_before=before[0], kilobytes_after=after[0], files=after[1],
    )  # fmt: skip
    assert not [status for status in visits.statuses if status >= 500]
    assert visits.statuses[302] >= min(SECONDS // 10, MOST_BOOKINGS)
    assert after[0] <= before[0] * 1.05
    assert after[1] <= before[1] + 2
