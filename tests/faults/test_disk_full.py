"""D-05, D-06, D-08: the disk is full, SQLite's file cannot be written, a reader never ends.

Pages are still served; nothing is shown as booked that is not; space or rights given back are
enough, without a restart.
"""

import os
import sqlite3
import subprocess
import sys

import pytest

from tests.faults.crowd import Times, assert_honest, at_check, holding
from tests.server import ROOT, Visitor

pytestmark = [pytest.mark.night, pytest.mark.only_on("sqlite")]

MB = 1024 * 1024


def run(*command):
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 MB. Only root can mount one; without it this is an error, not a skip."""
    folder = tmp_path / "disk"
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        run("umount", "--lazy", str(folder))


def sound(server):
    with sqlite3.connect(server.folder / "db.sqlite3") as database:
        return database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_disk_full(small_disk, own_server, tally):
    """D-05: no false confirmation on a full disk; reads go on; it works once there is space."""
    server = own_server(folder=small_disk / "site")
    server.start()
    starts = Times(server).many(40)
    visitors = at_check(server, starts, range(40))
    with open(small_disk / "filler", "wb", buffering=0) as filler:
        for size in (MB, 4096, 1):
            try:
                while True:
                    filler.write(b"x" * size)
            except OSError:
                continue
    confirmed = []
    for visitor, start in zip(visitors, starts, strict=True):
        answer = visitor.book()
        if answer.status == 302:
            confirmed.append(start)
        else:
            assert_honest(answer)
            tally.add(refused=1)
    tally["confirmed"] = len(confirmed)
    assert tally["refused"] > 0, "the disk was not full"
    for path in ("/", "/conditions/", "/conditions/bruxism/", "/book/"):
        assert Visitor(server.port).get(path).status == 200
    assert Visitor(server.port).get("/health/ready").status == 503
    (small_disk / "filler").unlink()
    for visitor, start in zip(visitors, starts, strict=True):
        if start not in confirmed:
            answer = visitor.book()
            assert answer.status == 302, answer.text[:300]
        assert holding(server, start) == 1
    assert sound(server)


def read_only(path):
    """Take the right to write away, from root as well; returns what gives it back."""
    if os.geteuid():
        mode = path.stat().st_mode
        path.chmod(mode & ~0o222)
        return lambda: path.chmod(mode)
    run("mount", "--bind", str(path), str(path))
    run("mount", "-o", "remount,bind,ro", str(path))
    return lambda: run("umount", "--lazy", str(path))


@pytest.mark.parametrize("which", ["file", "folder"])
def test_not_writable(own_server, tally, tmp_path, which):
    """D-06: SQLite's file or its folder is read-only: the site says so, the check names it."""
    server = own_server().start()
    start = Times(server).take()[0]
    [visitor] = at_check(server, [start], [1])
    server.stop()
    path = server.folder / "db.sqlite3" if which == "file" else server.folder
    give_back = read_only(path)
    try:
        server.start(log=tmp_path / "server.log")
        assert_honest(visitor.book())
        assert Visitor(server.port).get("/conditions/bruxism/").status == 200
        with pytest.raises(AssertionError, match=f"(?s)clinic.E0.*{path}"):
            server.manage("check")
        server.stop()
    finally:
        give_back()
    server.start()
    assert visitor.book().status == 302
    assert holding(server, start) == 1
    assert sound(server)
    tally.add(refused=1)


WRITES = """
from bookings.models import Booking
from clinic.models import AuditEvent
from django.utils import timezone
for number in range(10000):
    AuditEvent.objects.create(
        at=timezone.now(), actor_label="test", action=f"test.{number % 97}", object_type="test",
        object_key=str(number * 7919 % 10007),
    )
"""


def warnings_of_worker(server):
    """How often a worker that looks once says that the log is long."""
    done = subprocess.run(
        [sys.executable, "manage.py", "run_worker", "--once"],
        cwd=ROOT, env=server.env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stderr.count("db.sqlite3-wal has grown to")


def test_reader_that_never_ends(own_server, tally):
    """D-08: one reader stays open for 10,000 writes: the worker warns; the log shrinks after it."""
    server = own_server()
    log = server.folder / "db.sqlite3-wal"
    reader = sqlite3.connect(server.folder / "db.sqlite3", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM bookings_booking").fetchone()
    server.python(WRITES)
    tally["mb_while_open"] = log.stat().st_size // MB
    tally["warnings"] = sum(warnings_of_worker(server) for _ in range(3))
    reader.execute("COMMIT")
    server.start()
    [visitor] = at_check(server, [Times(server).take()[0]], [1])
    assert visitor.book().status == 302
    tally["mb_afterwards"] = log.stat().st_size // MB
    reader.close()
    assert tally["mb_while_open"] > 64, "too little was written to say anything"
    assert tally["mb_afterwards"] <= 64
    assert tally["warnings"] == 1, "three looks within ten minutes"
    server.stop()
    assert sound(server)
