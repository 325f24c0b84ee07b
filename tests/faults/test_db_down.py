"""D-02, D-03, D-04, D-07: the database is away, full of others, or locked by somebody.

The site waits a little, then says so and names the phone number; it never claims a booking.
"""

import sqlite3
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.sessions.models import Session
from django.db import IntegrityError, InterfaceError, OperationalError

from bookings.views import patient_answers
from clinic import checks
from tests.factories import make_clinic, make_concern, make_practitioner
from tests.faults.crowd import (
    PHONE,
    Times,
    assert_honest,
    at_check,
    booked,
    holding,
    seconds_of,
    together,
)
from tests.server import Visitor

PAGES = ("/", "/conditions/", "/conditions/bruxism/", "/book/", "/booking/", "/contact/", "/admin/")
STOPPED_SECONDS = 600  # far longer than the site keeps a connection


# --- which failure is told how --------------------------------------------------------------------


@pytest.fixture
def visitor(client, db):
    """A visitor who has seen a page and has a session."""
    make_clinic(phone="+13235550142")
    make_concern(slug="jaw-pain").practitioners.add(make_practitioner())
    client.raise_request_exception = False
    client.get("/contact/")
    client.session.save()
    return client


def begin(visitor):
    form = "condition=jaw-pain&visit_type=in_person"
    return visitor.post("/book/", form, content_type="application/x-www-form-urlencoded")


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_session_that_cannot_be_stored_is_an_outage(visitor, monkeypatch, error):
    """D-05, D-07: after the view has answered; Django calls it a deleted session, and 400."""
    assert begin(visitor).status_code == 302

    def fail(*_args, **_kwargs):
        raise error("could not be written")

    monkeypatch.setattr(Session, "save", fail)
    answer = begin(visitor)
    assert answer.status_code == 503
    assert PHONE in answer.content.decode()


def test_a_session_that_is_gone_is_not_an_outage(visitor, monkeypatch):
    begin(visitor)
    real = Session.save

    def logged_out_meanwhile(session, *args, **kwargs):
        Session.objects.all().delete()
        return real(session, *args, **kwargs)

    monkeypatch.setattr(Session, "save", logged_out_meanwhile)
    assert begin(visitor).status_code == 400


@pytest.mark.parametrize(
    ("error", "status"),
    [(OperationalError, 503), (InterfaceError, 503), (IntegrityError, 500), (ValueError, 500)],
)
def test_errors_of_the_database_and_errors_of_ours(visitor, monkeypatch, error, status):
    def fail(*_args, **_kwargs):
        raise error("the canary of this text")

    monkeypatch.setattr(patient_answers, "load", fail)
    answer = visitor.get("/book/")
    page = answer.content.decode()
    assert answer.status_code == status
    assert PHONE in page
    assert "canary" not in page


def test_the_start_up_check_names_a_file_that_cannot_be_written(settings, tmp_path, monkeypatch):
    """D-06"""
    file = tmp_path / "db.sqlite3"
    monkeypatch.setitem(settings.DATABASES, "default", {"NAME": str(file)})
    file.touch()
    assert checks.database_file_is_writable(None) == []
    monkeypatch.setattr(checks.os, "access", lambda *_args: False)
    [problem] = checks.database_file_is_writable(None)
    assert str(file) in problem.msg


# --- real servers ---------------------------------------------------------------------------------


@pytest.mark.night
@pytest.mark.only_on("postgresql")
def test_database_stopped(own_postgres, own_server, tally):
    """D-02: PostgreSQL is away for ten minutes; every page says so; it works without a restart."""
    server = own_server(pg_url=own_postgres.url, like=None).prepare().start()
    start = Times(server).take()[0]
    [visitor] = at_check(server, [start], [1])
    own_postgres.stop()
    end = time.monotonic() + STOPPED_SECONDS
    while True:
        for path in PAGES:
            assert_honest(Visitor(server.port).get(path))
            tally.add(honest_pages=1)
        assert_honest(visitor.book())
        tally.add(honest_presses=1)
        assert Visitor(server.port).get("/health/live").status == 200
        assert Visitor(server.port).get("/health/ready").status == 503
        if time.monotonic() >= end:
            break
        time.sleep(5)
    tally["seconds_away"] = STOPPED_SECONDS
    own_postgres.start()
    back = time.monotonic()
    while Visitor(server.port).get("/health/ready").status != 200:
        assert time.monotonic() - back < 5
    tally["seconds_to_recover"] = round(time.monotonic() - back, 2)
    for path in PAGES[:3]:
        assert Visitor(server.port).get(path).status == 200
    assert visitor.book().status == 302
    assert holding(server, start) == 1


@pytest.mark.night
@pytest.mark.only_on("postgresql")
def test_too_few_connections(own_postgres, own_server, tally):
    """D-03: eight connections for sixteen threads and sixty visitors: 503 at worst, never slow."""
    server = own_server(pg_url=own_postgres.url, like=None).prepare()
    own_postgres.set(max_connections=8, superuser_reserved_connections=0)
    server.start()

    def visit(number):
        found = []
        for path in PAGES * 3:
            answer, seconds = seconds_of(lambda path=path: Visitor(server.port).get(path))
            found.append((answer.status, seconds))
        return found

    with ThreadPoolExecutor(60) as pool:
        found = [pair for pairs in pool.map(visit, range(60)) for pair in pairs]
    server.stop()
    own_postgres.set(max_connections=100)  # what it held may take a while to end
    counts = Counter(status for status, _seconds in found)
    tally.update({str(status): number for status, number in counts.items()})
    tally["slowest_seconds"] = round(max(seconds for _status, seconds in found), 1)
    # 404: the page of a manage link without one; 302: the admin's sign-in.
    assert set(counts) <= {200, 302, 303, 404, 409, 503}
    assert counts[503], "the test says nothing: there were connections for all"
    assert tally["slowest_seconds"] <= 10


@pytest.mark.only_on("postgresql")
def test_practitioner_locked_by_another_session(server, times):
    """D-04: somebody holds the rows that a booking needs for a minute: 503 within 5 s."""
    import psycopg2

    start = times.take()[0]
    [visitor] = at_check(server, [start], [1])
    other = psycopg2.connect(server.env["DATABASE_URL"])
    try:
        other.cursor().execute("SELECT 1 FROM clinic_practitioner FOR UPDATE")
        answer, seconds = seconds_of(visitor.book)
        assert_honest(answer)
        assert seconds < 5
        assert Visitor(server.port).get("/book/").status == 200
    finally:
        other.close()
    assert visitor.book().status == 302
    assert holding(server, start) == 1


@pytest.mark.only_on("sqlite")
def test_database_locked_by_a_shell(server, times):
    """D-07: a shell holds SQLite's write lock: each form waits, then answers within 10 s."""
    start = times.take()[0]
    [books] = at_check(server, [start], [1])
    cancels, _reference = booked(server, times.take()[0], 2)
    begins, asks = Visitor(server.port), Visitor(server.port)
    begins.get("/book/")
    asks.get("/booking/lost/")
    form = {"condition": "bruxism", "visit_type": "in_person"}
    shell = sqlite3.connect(server.folder / "db.sqlite3", isolation_level=None)
    shell.execute("BEGIN IMMEDIATE")
    try:
        actions = [
            lambda: books.book(),
            lambda: cancels.post("/booking/cancel/", {"reason": ""}),
            lambda: begins.post("/book/", form),
            lambda: asks.post("/booking/lost/", {"email": "pat2@example.org"}),
            lambda: Visitor(server.port).get(f"/booking/{'x' * 43}/"),
        ]
        found = together([lambda action=action: seconds_of(action) for action in actions])
        assert Visitor(server.port).get("/conditions/bruxism/").status == 200
    finally:
        shell.close()
    for answer, seconds in found:
        assert_honest(answer)
        assert seconds <= 10
    assert holding(server, start) == 0
    assert books.book().status == 302
    assert holding(server, start) == 1


@pytest.mark.only_on("sqlite")
def test_a_crowd_while_a_shell_holds_the_lock(server):
    """More write than there are threads: nobody waits long, reading and static files go on."""
    crowd = [Visitor(server.port) for _ in range(24)]
    for visitor in crowd:
        visitor.get("/book/")
    form = {"condition": "bruxism", "visit_type": "in_person"}
    style = crowd[0].get("/").text.split('rel="stylesheet" href="')[1].split('"')[0]
    shell = sqlite3.connect(server.folder / "db.sqlite3", isolation_level=None)
    shell.execute("BEGIN IMMEDIATE")
    try:
        with ThreadPoolExecutor(len(crowd)) as pool:
            asked = [
                pool.submit(seconds_of, lambda visitor=visitor: visitor.post("/book/", form))
                for visitor in crowd
            ]
            time.sleep(1)
            end, cheap = time.monotonic() + 9, []
            while time.monotonic() < end:
                for path in (style, "/health/live", "/conditions/bruxism/"):
                    cheap.append(seconds_of(lambda path=path: Visitor(server.port).get(path)))
                time.sleep(0.2)
    finally:
        shell.close()
    for future in asked:
        answer, seconds = future.result()
        assert_honest(answer)
        assert seconds < 10
    assert {answer.status for answer, _seconds in cheap} == {200}
    assert max(seconds for _answer, seconds in cheap) < 1
    assert crowd[0].post("/book/", form).status == 302
