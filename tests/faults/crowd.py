"""Many visitors at once: bring them to the last step, let them press at the same moment."""

import re
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from bookings.models import hashed_key
from tests.server import Visitor, person

PHONE = 'href="tel:+13235550142"'

FREE = """
from datetime import timedelta
from tests.factories import here, slot_search
from conditions.models import Condition
from django.utils import timezone
first = timezone.localdate(timezone=here().zone)
condition = Condition.objects.filter(slug={condition!r}).first()
search = slot_search(condition=condition, visit_type="in_person")
for slot in search.free(first + timedelta(days=2), first + timedelta(days={days} - 2)):
    print(f"{{slot.starts_at:%Y-%m-%dT%H:%M:%SZ}}", slot.practitioner.slug)
"""


class Times:
    """Free times of a server, each handed out once; it books half a year ahead for that."""

    DAYS = 180

    def __init__(self, server):
        server.rows(f"UPDATE clinic_clinic SET horizon_days = {self.DAYS}")
        self.server, self.left, self.taken = server, {}, set()

    def _load(self, condition):
        free = {}
        for line in self.server.python(FREE.format(condition=condition, days=self.DAYS)).split(
            "\n"
        ):
            if line:
                start, who = line.split()
                free.setdefault(start, []).append(who)
        self.left[condition] = sorted(free.items())

    def take(self, condition="bruxism", people=1):
        """The next (start, slugs of who is free) with just, or at least, that many people."""
        if condition not in self.left:
            self._load(condition)
        left = self.left[condition]
        for place, (start, who) in enumerate(left):
            enough = len(who) == people or (people > 1 and len(who) > people)
            if enough and start not in self.taken:
                del left[place]
                self.taken.add(start)
                return start, who
        raise AssertionError(f"no time left with {people} of {condition}")

    def many(self, count, condition="bruxism"):
        return [self.take(condition)[0] for _ in range(count)]

    def in_a_row(self, count, condition="bruxism"):
        """That many times of one person, each offered and a minute after the one before."""
        run = []
        while len(run) < count:
            start = datetime.fromisoformat(self.take(condition)[0])
            run = [*run, start] if run and start - run[-1] == timedelta(minutes=1) else [start]
        # What follows within the hour would overlap with the one that is taken.
        self.left[condition] = [
            pair
            for pair in self.left[condition]
            if datetime.fromisoformat(pair[0]) > run[-1] + timedelta(hours=1)
        ]
        return [f"{start:%Y-%m-%dT%H:%M:%SZ}" for start in run]


def together(actions):
    """Do all at the same moment, each in a thread; returns what each returned."""
    barrier = threading.Barrier(len(actions))

    def act(action):
        barrier.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(act, actions))


def at_check(server, starts, numbers, visitors=None, **ask):
    """Visitors on the check page, the n-th with the n-th start; known ones are reused."""
    visitors = visitors or [Visitor(server.port) for _ in numbers]

    def bring(visitor, start, number):
        if visitor.last is not None and visitor.last.status == 409:
            return visitor.up_to_check_again(start, ask.get("who", ""))
        return visitor.up_to_check(number=number, start=start, **ask)

    with ThreadPoolExecutor(4) as pool:
        pages = list(pool.map(bring, visitors, starts, numbers))
    assert all("Check your answers" in page.text for page in pages), [p.status for p in pages]
    return visitors


def race(visitors):
    """All press "Book" at the same moment; returns their answers."""
    return together([visitor.book for visitor in visitors])


def sql_time(start):
    """The instant as both databases write and read it in UTC."""
    return start.replace("T", " ").removesuffix("Z")


def holding(server, start):
    """How many bookings hold the instant, as the database has them."""
    held = "('proposed', 'pending', 'booked', 'arrived')"
    [[number]] = server.rows(
        f"SELECT count(*) FROM bookings_booking WHERE starts_at = '{sql_time(start)}' "
        f"AND status IN {held}"
    )
    return number


def made_with(server, key):
    """How many bookings and messages to their patients that key has made."""
    stored = hashed_key(uuid.UUID(key)).hex
    key = f"replace(CAST(idempotency_key AS text), '-', '') = '{stored}'"
    [[bookings]] = server.rows(f"SELECT count(*) FROM bookings_booking WHERE {key}")
    [[messages]] = server.rows(
        "SELECT count(*) FROM bookings_message m JOIN bookings_booking b ON b.id = m.booking_id "
        f"WHERE kind = 'received' AND {key}"
    )
    return bookings, messages


def reference(page):
    """The reference on the confirmation."""
    found = re.search(r"\b([2-9A-Z]{4}-[2-9A-Z]{4})\b", page.text)
    return found.group(1).replace("-", "") if found else None


def booked(server, start, number, **ask):
    """A visitor with a booking at that time, and its reference."""
    [visitor] = at_check(server, [start], [number], **ask)
    assert visitor.book().status == 302
    return visitor, reference(visitor.get("/book/done/"))


def same_browser(visitor):
    """Another tab of the visitor's browser."""
    tab = Visitor(visitor.port)
    tab.cookies, tab.token, tab.key = dict(visitor.cookies), visitor.token, visitor.key
    return tab


STAFF_SESSION = """
from django.conf import settings
from clinic.models import User
from django.contrib.sessions.backends.db import SessionStore
user = User.objects.get(username={username!r})
session = SessionStore()
session["_auth_user_id"] = str(user.pk)
session["_auth_user_backend"] = settings.AUTHENTICATION_BACKENDS[0]
session["_auth_user_hash"] = user.get_session_auth_hash()
session.save()
print(session.session_key)
"""


def staff(server, username):
    """One of the starter's demo accounts, signed in."""
    visitor = Visitor(server.port)
    visitor.cookies["session"] = server.python(STAFF_SESSION.format(username=username)).strip()
    assert visitor.get("/admin/bookings/booking/desk/").status == 200
    return visitor


def quantile(values, part):
    return sorted(values)[int(part * (len(values) - 1))]


class Caller(Visitor):
    """A visitor with an address of their own, as the proxy reports it."""

    def __init__(self, server, address):
        super().__init__(server.port)
        self.address = address

    def send(self, method, path, body=None, headers=None, **options):
        headers = (headers or {}) | {"X-Forwarded-For": f"8.8.8.8, {self.address}"}
        return super().send(method, path, body, headers, **options)

    def up_to_details(self, start=""):
        self.get("/book/")
        self.post("/book/", {"condition": "other", "visit_type": "in_person"})
        self.post("/book/signs/", {"signs": "none"})
        if start:
            self.post("/book/time/", {"start": start})

    def up_to_press(self, number, start, **details):
        self.up_to_details(start)
        self.post("/book/details/", person(number) | details)
        return self.get("/book/check/")


def assert_honest(answer):
    """A 503 page with the number, when to try again, and nothing of the inside."""
    assert answer.status == 503, answer.text[:300]
    assert PHONE in answer.text
    assert "you have a consultation only if you saw a reference" in answer.text
    assert answer.headers["Retry-After"] == "30"
    for inside in ("Traceback", "Error", "psycopg2", "sqlite3", "connection", "django"):
        assert inside not in answer.text


def seconds_of(action):
    began = time.monotonic()
    return action(), time.monotonic() - began
