"""H-01 to H-03, H-07: what a patient typed is where it belongs, nowhere else, and goes for good.

Where it belongs is what clinic.personal_data lists.
"""

import re
from urllib.parse import urlencode

import pytest

from tests.server import Visitor

CANARY = {
    "name": "ZZQXWVName Quetzalcoatl",
    "email": "zzqxwvmail@canary.example",
    "phone": "+1 323 555 0188",
    "language": "English",
    "message": "ZZQXWVnote about my jaw",
    "consent": "on",
}
TRACES = re.compile(r"zzqxwv|quetzalcoatl|5550188|555-0188|bruxism", re.IGNORECASE)


@pytest.fixture(scope="module")
def walked(running):
    """The whole way, with every mistake on it; the addresses that were asked for."""
    visitor, paths = Visitor(running.port), []
    ask = visitor.send

    def send(method, path, *rest, **more):
        paths.append(path)
        answer = ask(method, path, *rest, **more)
        if answer.location:
            paths.append(answer.location)
        return answer

    visitor.send = send
    visitor.get("/book/")
    visitor.post("/book/", {"condition": "bruxism", "visit_type": "video"})
    visitor.get("/book/signs/")
    visitor.post("/book/signs/", {"signs": "none"})
    visitor.get("/book/time/")
    visitor.post("/book/time/", {"start": visitor.free_times()[-1]})
    visitor.get("/book/details/")
    visitor.post("/book/details/", CANARY | {"email": "zzqxwvmail@"})
    visitor.post("/book/details/", CANARY | {"message": "ZZQXWV" * 1000})
    visitor.post("/book/details/", CANARY)
    visitor.get("/book/check/")
    assert visitor.book().status == 302
    assert "holding your time" in visitor.get("/book/done/").text
    assert visitor.get("/booking/").status == 200
    visitor.get("/booking/ZZQXWVNameZZQXWVNameZZQXWVNameZZQXWVNameZZQXWVName/")
    visitor.send("POST", "/book/check/", urlencode({"name": CANARY["name"]}),
                 {"Content-Type": "application/x-www-form-urlencoded"})  # fmt: skip
    return paths


def test_no_address_holds_health_or_personal_data(walked):
    """H-03; the concern of a page that is read is public, and no step repeats it."""
    private = [path for path in walked if path.startswith(("/book/", "/booking/"))]
    assert len(private) > 15
    assert [
        path for path in private if TRACES.search(path) and "ZZQXWVNameZZQXWV" not in path
    ] == []


def test_no_log_line_holds_it(running, walked):
    """H-01: nor the secret of a link that was tried."""
    running.manage("run_worker", "--once")
    log = (running.folder / "server.log").read_text(errors="replace")
    assert TRACES.search(log) is None


def test_nothing_is_left_in_sessions_and_cache(running, walked):
    found = running.python(
        "from django.contrib.sessions.models import Session\n"
        "from django.db import connection\n"
        "print([s.get_decoded() for s in Session.objects.all()])\n"
        "with connection.cursor() as c:\n"
        "    c.execute('SELECT cache_key, value FROM cache')\n"
        "    print(c.fetchall())\n"
    )
    found, visitors = re.subn(r"'browser': '[\w-]{43}'", "", found)  # random: any letters at all
    assert visitors
    # Other tests leave visitors on their way, with a concern and nothing else.
    assert re.search("zzqxwv|quetzalcoatl|555.{0,1}0188", found, re.IGNORECASE) is None


def test_audit_and_messages_hold_codes_only(running, walked):
    found = running.python(
        "from clinic.models import AuditEvent\n"
        "from bookings.models import Message\n"
        "print(list(AuditEvent.objects.values('action', 'actor_label', 'object_key', 'details')))\n"
        "print(list(Message.objects.values()))\n"
    )
    assert "booking.requested" in found
    assert TRACES.search(found) is None


TABLES = """
from django.apps import apps
from clinic import personal_data
for model in apps.get_models():
    declared = set(personal_data.columns(model))
    for row in model.objects.values():
        for name, value in row.items():
            print(model._meta.label, name, name in declared, repr(value))
"""


def test_only_columns_that_are_declared_hold_it(running, walked):
    """In every table there is; what is erased and exported is the same list."""
    typed = re.compile("zzqxwv|quetzalcoatl|5550188|323-555-0188", re.IGNORECASE)
    found = [line.split(" ", 3) for line in running.python(TABLES).splitlines()]
    holding = {
        (table, name, declared)
        for table, name, declared, text in found
        if name != "session_key" and typed.search(text)  # random letters
    }
    assert {name for table, name, _ in holding if table == "bookings.Booking"} == {
        "name", "email", "phone", "message",
    }  # fmt: skip
    assert [column for column in holding if column[2] != "True"] == []


ERASE = """
from bookings.lifecycle import answers, erasure
from bookings.models import Booking
booking = Booking.objects.get(email="zzqxwvmail@canary.example")
Booking.objects.filter(pk=booking.pk).update(staff_note="ZZQXWVstaff")
answers.cancel(booking, by="desk", cancelled_by="clinic", reason="ZZQXWVreason")
erasure.erase(booking, by="system", reason="asked")
"""


def files_that_hold(folder, words):
    """Names of the files in the folder that hold one of the words, in whatever case."""
    pattern = re.compile(words, re.IGNORECASE)
    return [
        path.name
        for path in folder.rglob("*")
        if path.is_file() and "static" not in path.parts and pattern.search(path.read_bytes())
    ]


def test_who_is_erased_is_in_no_file(own_server):
    """H-07: the database and its write-ahead log as bytes, files of mails, the log, the anchors."""
    server = own_server().start()
    visitor = Visitor(server.port)
    visitor.up_to_check(number=1, start=first_time(visitor))
    visitor.get("/book/details/")
    visitor.post("/book/details/", CANARY)
    visitor.get("/book/check/")
    assert visitor.book().status == 302
    server.manage("run_worker", "--once")
    before = files_that_hold(server.folder, rb"zzqxwv|quetzalcoatl")
    assert len(before) >= (1 if server.database else 2)  # mails; the database, where it is a file
    server.python(ERASE)
    server.manage("erase_due")
    assert files_that_hold(server.folder, rb"zzqxwv|quetzalcoatl|5550188|555-0188") == []
    assert not re.search("zzqxwv|quetzalcoatl|5550188", server.python(TABLES), re.IGNORECASE)
    assert visitor.get("/booking/").status == 404


def first_time(visitor):
    visitor.get("/book/?condition=bruxism")
    visitor.post("/book/", {"condition": "bruxism", "visit_type": "in_person"})
    visitor.get("/book/signs/")
    visitor.post("/book/signs/", {"signs": "none"})
    visitor.get("/book/time/")
    return visitor.free_times()[-1]


def test_a_page_that_is_not_there_tells_nothing(running, walked):
    """H-02: nor does it repeat what was asked for."""
    visitor = Visitor(running.port)
    visitor.cookies["session"] = "ZZQXWVNameZZQXWVName"
    for path in ("/nothing/ZZQXWVName/", "/conditions/ZZQXWVName/", "/book/ZZQXWVName/"):
        answer = visitor.get(path)
        assert answer.status == 404
        assert "ZZQXWV" not in answer.text
        assert "Traceback" not in answer.text


def test_an_error_page_tells_nothing(own_server):
    """H-02: a view fails with a patient's words in its exception, its frame, and what was posted."""
    server = own_server(application="tests.faults.failing_wsgi").start()
    visitor = Visitor(server.port)
    visitor.cookies["session"] = "ZZQXWVNameZZQXWVName"
    for answer in (visitor.get("/fails/"), visitor.post("/fails/", CANARY)):
        assert answer.status == 500
        assert "Something went wrong" in answer.text
        for text in (answer.text, str(answer.headers)):
            assert TRACES.search(text) is None
            for trace in ("Traceback", "ValueError", "KeyError", "failing_wsgi", "cannot store"):
                assert trace not in text
    server.stop()
    log = (server.folder / "server.log").read_text(errors="replace")
    assert TRACES.search(log) is None
    assert "cannot store" not in log
    assert "Traceback" not in log
    assert len(re.findall(r"Internal Server Error: /fails/ \[ValueError in fail, line", log)) == 2
