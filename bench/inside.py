"""What has to run inside Django, on the database of the server that is measured.

``python -m bench`` calls these in processes of their own (manage.py shell); each prints one JSON
object. Queries are counted here: what a page asks the database does not depend on the server.
"""

import json
import re
import statistics
import time
from dataclasses import asdict
from datetime import timedelta
from urllib.parse import urlencode

import django
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.core.cache import caches
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from bookings import times
from bookings.availability.search import SlotSearch
from bookings.forms import OTHER
from bookings.models import Booking, Message
from bookings.views import patient_answers
from clinic import languages
from clinic.models import Location, Practitioner, User
from conditions import editions
from conditions.models import Edition
from tests.server import person

from . import data

TRANSACTION_CONTROL = re.compile(r"(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b")
BOOKINGS = Booking._meta.db_table
WITHOUT_INDEX = re.compile(rf"(SCAN {BOOKINGS}(?! USING)|Seq Scan on {BOOKINGS}\b)")


def answer(**values):
    print(json.dumps(values))


def prepare(practitioners):
    """Employ people, sign the manager in; prints where everything is."""
    data.employ(practitioners)
    slug = (
        Edition.objects.conditions().live().order_by("position").values_list("slug", flat=True)[0]
    )
    answer(
        condition=reverse("conditions:condition", args=[slug]),
        staff=_cookie(_signed_in(User.objects.get(username="manager"))),
        visitor=_cookie(_at_step_two()),
        database=_database_version(),
        django=django.get_version(),
        languages=languages.codes(),
    )


def _database_version():
    if hasattr(connection, "pg_version"):
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('server_version'), current_setting('fsync'),"
                           " current_setting('shared_buffers')")  # fmt: skip
            return "PostgreSQL {} (fsync {}, shared_buffers {})".format(*cursor.fetchone())
    return "SQLite " + ".".join(str(part) for part in connection.get_database_version())


def _cookie(session):
    session.create()
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"


def _signed_in(user):
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    return session


def _at_step_two():
    session = SessionStore()
    answers = patient_answers.Answers(
        condition=OTHER,
        visit_type="in_person",
        red_flags_read=OTHER,
        asked=editions.emergency_signs(None).edition.pk,
    )
    session[patient_answers.SESSION_KEY] = asdict(answers)
    return session


def grow(size, starts):
    """Fill the table up to ``size``; prints free starts to book, and the desk's addresses."""
    began = time.perf_counter()
    data.grow(size)
    _tidy()
    seconds = time.perf_counter() - began
    answer(
        seconds=seconds,
        rows=Booking.objects.count(),
        starts=_free_starts(starts),
        desk=_desk_pages(),
    )


def _tidy():
    """What PostgreSQL's autovacuum does by itself a minute after such a load."""
    if hasattr(connection, "pg_version"):
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def _free_starts(count):
    """Different free instants between one and seven weeks ahead, spread evenly."""
    today = timezone.localdate(timezone=Location.objects.current().zone)
    found = SlotSearch(location=Location.objects.current(), visit_type="in_person").free(
        today + timedelta(days=7), today + timedelta(days=49)
    )
    instants = sorted({slot.starts_at for slot in found})
    step = max(1, len(instants) // count)
    return [times.value_of(instant) for instant in instants[::step][:count]]


def _desk_pages():
    """Address by name; None where the admin has no such page."""
    working_day = timezone.localdate() + timedelta(days=1)
    while working_day.isoweekday() > 5:
        working_day += timedelta(days=1)
    oldest = Booking.objects.exclude(status="waitlist").order_by("pk").first()
    known = data.name_of(11).replace(" ", "+")
    return {
        "day board": _address("admin:desk", f"?day={working_day}"),
        "inbox": _address("admin:bookings_booking_changelist", "?day=waiting"),
        "booking list": _address("admin:bookings_booking_changelist"),
        "search by name": _address("admin:bookings_booking_changelist", f"?q={known}"),
        "search by reference": _address(
            "admin:bookings_booking_changelist", f"?q={oldest.reference}"
        ),
    }


def _address(name, query=""):
    try:
        return reverse(name) + query
    except NoReverseMatch:
        return None


# --- counting -------------------------------------------------------------------------------------


class Plans:
    """Notes the statements whose plan reads the whole table of bookings."""

    def __init__(self):
        self.whole = set()
        self.busy = False

    def _reads_all(self, plan, number):
        """A scan right under a limit, without a filter, ends when the limit is reached."""
        above, below = plan[max(number - 1, 0)], "".join(plan[number + 1 : number + 2])
        bounded = "Limit" in above and "Filter" not in below
        return WITHOUT_INDEX.search(plan[number]) and not bounded

    def __call__(self, execute, sql, params, many, context):
        if sql.startswith("SELECT") and not many and not self.busy:
            self.busy = True
            explain = "EXPLAIN " if hasattr(connection, "pg_version") else "EXPLAIN QUERY PLAN "
            with connection.cursor() as cursor:
                cursor.execute(explain + sql, params)
                plan = [str(row) for row in cursor.fetchall()]
            if any(self._reads_all(plan, number) for number in range(len(plan))):
                self.whole.add(sql)
            self.busy = False
        return execute(sql, params, many, context)


def _asked(captured):
    """The statements that ask or change something: all but the control of transactions."""
    return [q["sql"] for q in captured if not TRANSACTION_CONTROL.match(q["sql"])]


def _page(cookie, path, headers=None):
    """(status, queries in a fresh process, queries when this process's memory is filled)."""
    client, counts, status = Client(HTTP_HOST="127.0.0.1"), [], 0
    caches["memory"].clear()
    for _ in range(2):
        extra = {"HTTP_COOKIE": cookie} if cookie else {}
        with CaptureQueriesContext(connection) as captured:
            response = client.get(path, headers=headers or {}, **extra)
        status = response.status_code
        counts.append(len(_asked(captured.captured_queries)))
    return {
        "status": status,
        "cold": counts[0],
        "warm": counts[1],
        "etag": response.get("ETag", ""),
    }


def count(pages, search):
    """Prints the queries of each page, of the search for times, and of one booking."""
    found = {name: _page(cookie, path) for name, (cookie, path) in pages.items() if path}
    plans = Plans()
    for name, (cookie, path) in pages.items():
        if path and name.startswith("desk"):
            caches["memory"].clear()
            plans.whole.clear()
            with connection.execute_wrapper(plans):
                Client(HTTP_HOST="127.0.0.1").get(path, HTTP_COOKIE=cookie)
            found[name]["whole"] = sorted(sql[:300] for sql in plans.whole)
    with CaptureQueriesContext(connection) as captured:
        first = timezone.localdate() + timedelta(days=7)
        SlotSearch(location=Location.objects.current(), visit_type="in_person").free(
            first, first + timedelta(days=6)
        )
    found["search"] = {"status": 200, "cold": len(captured), "warm": len(captured)}
    found["book"] = _book(search)
    answer(**found)


def _book(start):
    """The queries of the last press, and of the transaction in it that stores the booking."""
    client = Client(HTTP_HOST="127.0.0.1")

    def post(path, answers):
        return client.post(path, urlencode(answers), "application/x-www-form-urlencoded")

    post("/book/", {"condition": OTHER, "visit_type": "in_person"})
    post("/book/signs/", {"signs": "none"})
    post("/book/time/", {"start": start, "practitioner": ""})
    post("/book/details/", person(99))
    key = client.session[patient_answers.SESSION_KEY]["key"]
    with CaptureQueriesContext(connection) as captured:
        response = post("/book/check/", {"key": key})
    statements, decided, inside = [], [], False
    for query in captured.captured_queries:
        sql = query["sql"]
        if sql.startswith("BEGIN"):
            statements, inside = [], True
        elif sql.startswith("COMMIT"):
            if any(s.startswith(f'INSERT INTO "{BOOKINGS}"') for s in statements):
                decided = statements
            inside = False
        elif inside and not TRANSACTION_CONTROL.match(sql):
            statements.append(sql)
    return {
        "status": response.status_code,
        "warm": len(decided),
        "whole_request": len(_asked(captured.captured_queries)),
    }


# --- the pure part of the search --------------------------------------------------------------------


def wide(practitioners, days):
    """Free times of many people for many days: queries, and CPU of what needs no database."""
    before = set(Practitioner.objects.bookable().values_list("pk", flat=True))
    data.employ(practitioners)
    data.fill_coming_days(list(Practitioner.objects.bookable().exclude(pk__in=before)))
    first = timezone.localdate()
    last = first + timedelta(days=days)
    with CaptureQueriesContext(connection) as captured:
        slots = SlotSearch(location=Location.objects.current(), visit_type="in_person").free(
            first, last
        )
    cpu = []
    for _ in range(15):
        search = SlotSearch(location=Location.objects.current(), visit_type="in_person")
        held, _rules = search._held(search.first_day, search.last_day), search._rules
        began = time.process_time()
        search._slots(search.first_day, search.last_day, held)
        cpu.append((time.process_time() - began) * 1000)
    Practitioner.objects.exclude(pk__in=before).update(accepts_bookings=False)
    answer(queries=len(captured), slots=len(slots), cpu=statistics.median(cpu), worst=max(cpu))


# --- the outbox -----------------------------------------------------------------------------------


def fill_outbox(count):
    """Put ``count`` due messages into the outbox, each of a booking of its own; drop older ones."""
    now = timezone.now()
    Message.objects.waiting().update(state=Message.State.DROPPED)
    kinds = {"booked": Message.Kind.CONFIRMED, "pending": Message.Kind.RECEIVED}
    made = data.far_future(count)
    Message.objects.bulk_create(
        [
            Message(
                booking_id=key, kind=kinds[status], key=f"{key}:bench", created_at=now, due_at=now
            )
            for key, status in made
        ],
        batch_size=1000,
    )
    _tidy()
    answer(messages=len(made))
