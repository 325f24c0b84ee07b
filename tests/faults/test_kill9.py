"""K-01, K-02, K-05: the web server is killed in the middle of a booking, or asked to stop.

Nothing that was shown as booked is ever missing, and nothing is booked by half or twice.
(K-03 and K-04, the mail worker, are in test_mail_faults.py.)
"""

import contextlib
import http.client
import os
import signal
import socket
import sqlite3
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.faults.crowd import Times, at_check, holding, made_with, reference, same_browser
from tests.server import Visitor

STEPS = ("before lock", "after insert", "before commit", "after commit")
GONE = (OSError, http.client.HTTPException)


def press_until_answered(visitor, seconds=60):
    """What a person does: press again, with the same key, until the site answers."""
    return until_answered(visitor.book, seconds)


def until_answered(ask, seconds=60):
    """The first answer that is neither a broken connection nor a 503."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(*GONE):
            answer = ask()
            if answer.status != 503:
                return answer
        assert time.monotonic() < end, "no answer"
        time.sleep(0.05)


@contextlib.contextmanager
def kept_running(server):
    """Starts it again as a supervisor does: granian ends when one place dies twice in 5.5 s."""
    done = threading.Event()

    def watch():
        while not done.wait(0.2):
            if server.process.poll() is not None:
                with contextlib.suppress(AssertionError):  # slow; whoever waits for it has patience
                    server.start()

    keeper = threading.Thread(target=watch)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()


def at_check_at_last(server, start, number, seconds=60):
    """A visitor on the check page, even if all processes have just been killed."""
    end = time.monotonic() + seconds
    while True:
        server.wait(seconds)
        visitor, page = Visitor(server.port), None
        with contextlib.suppress(*GONE):
            page = visitor.up_to_check(number=number, start=start)
            if "Check your answers" in page.text:
                return visitor
        assert time.monotonic() < end, page and (page.status, page.location)


@pytest.mark.parametrize("random_kills", [4, pytest.param(196, marks=pytest.mark.night)])
def test_web_killed_mid_booking(own_server, tally, random_kills):
    """K-01: a worker dies at each step of a booking and at random moments; the patient retries."""
    server = own_server(application="tests.faults.killing_wsgi").start()
    times, killed, shown = Times(server), 0, []
    moments = [str(tally.dice.randrange(80)) for _ in range(random_kills)]
    with kept_running(server):
        for number, moment in enumerate([*STEPS, *moments]):
            start = times.take()[0]
            visitor = at_check_at_last(server, start, number)
            key, tab = visitor.key, same_browser(visitor)
            (server.folder / "trap").write_text(moment)
            try:
                first = tab.book()
            except GONE:
                first = None
                killed += 1
            if first is not None and first.status == 302:
                shown.append(key)  # it was acknowledged before the process died
            answer = press_until_answered(visitor)
            assert (answer.status, answer.location) == (302, "/book/done/"), (moment, answer.status)
            assert reference(until_answered(partial(visitor.get, "/book/done/")))
            assert made_with(server, key) == (1, 1), moment
            assert holding(server, start) == 1
            tally.add(kills=1)
    assert not (server.folder / "trap").exists()
    assert killed >= len(STEPS)
    tally["in_the_middle"], tally["acknowledged_first"] = killed, len(shown)
    if not server.database:
        server.stop()
        with sqlite3.connect(server.folder / "db.sqlite3") as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def command_line(pid):
    with open(f"/proc/{pid}/cmdline") as file:
        return file.read().split("\0")


@pytest.fixture
def supervised(own_server):
    """The site as `make run` starts it: web server and worker under one supervisor."""
    server = own_server()
    server.command = lambda: [
        sys.executable, "manage.py", "serve", "--port", str(server.port)
    ]  # fmt: skip
    return server.start()


@pytest.mark.night
def test_web_master_killed_under_load(supervised, tally):
    """K-02: the web server's first process is killed; the supervisor starts it again."""
    server, times = supervised, Times(supervised)
    [master] = [pid for pid in children(server.process.pid) if "granian" in command_line(pid)]
    starts = times.many(8)
    visitors = at_check(server, starts, range(8))
    with ThreadPoolExecutor(8) as pool:
        pressed = [pool.submit(press_until_answered, visitor) for visitor in visitors]
        time.sleep(tally.dice.random() / 10)
        os.kill(master, signal.SIGKILL)
        killed_at = time.monotonic()
        time.sleep(0.3)  # what still lives of it may answer a little longer
        server.wait(10)
        tally["seconds_to_first_200"] = round(time.monotonic() - killed_at, 1)
        answers = [one.result() for one in pressed]
    assert {answer.status for answer in answers} == {302}
    assert [holding(server, start) for start in starts] == [1] * 8
    [new] = [pid for pid in children(server.process.pid) if "granian" in command_line(pid)]
    assert new != master
    assert tally["seconds_to_first_200"] <= 5


@pytest.mark.night
def test_asked_to_stop_under_load(supervised, tally):
    """K-05: SIGTERM while requests are under way: each that was taken in is answered."""
    server, answered, requests = supervised, [], 100
    begun = threading.Barrier(requests + 1)

    def visit(number):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        path = "/book/" if number % 2 else "/conditions/bruxism/"
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        )
        begun.wait()
        with connection, connection.makefile("rb") as file:
            answered.append(file.readline())

    with ThreadPoolExecutor(requests) as pool:
        visits = [pool.submit(visit, number) for number in range(requests)]
        begun.wait()
        asked_at = time.monotonic()
        server.process.terminate()
        for one in visits:
            one.result()
    server.process.wait(30)
    tally["requests"], tally["answered"] = requests, len(answered)
    tally["seconds_to_exit"] = round(time.monotonic() - asked_at, 1)
    assert set(answered) == {b"HTTP/1.1 200 OK\r\n"}
    assert server.process.returncode == 0
