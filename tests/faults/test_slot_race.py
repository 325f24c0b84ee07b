"""C-00 to C-04: a time is never given to two people, on the database that the run is about.

The clients race against four web processes. The negative control shows that they would collide.
"""

import re
import threading
from concurrent.futures import ThreadPoolExecutor

from tests.server import Visitor

CLIENTS = 20


def race(server, visitors):
    """All press "Book" at the same moment; returns their answers."""
    barrier = threading.Barrier(len(visitors))

    def press(visitor):
        barrier.wait()
        return visitor.book()

    with ThreadPoolExecutor(len(visitors)) as pool:
        return list(pool.map(press, visitors))


def offered(server, **ask):
    """Free instants of the first days, soonest first."""
    visitor = Visitor(server.port)
    condition = ask.get("condition", "bruxism")
    visitor.get("/book/")
    visitor.post("/book/", {"condition": condition, "visit_type": "in_person"})
    visitor.get("/book/signs/")
    visitor.post("/book/signs/", {"signs": "none"})
    visitor.get("/book/time/")
    found = []
    for day in sorted(set(re.findall(r'href="\?day=([0-9-]+)"', visitor.last.text))):
        visitor.get(f"/book/time/?day={day}")
        found += visitor.free_times()
    return sorted(set(found))


def ready(server, start, numbers, **ask):
    visitors = [Visitor(server.port) for _ in numbers]
    with ThreadPoolExecutor(8) as pool:
        pages = list(
            pool.map(
                lambda pair: pair[0].up_to_check(number=pair[1], start=start, **ask),
                zip(visitors, numbers, strict=True),
            )
        )
    assert all("Check your answers" in page.text for page in pages)
    return visitors


def holding(server, start):
    """How many bookings hold the instant, as the database has them."""
    return int(
        server.python(
            "from bookings.models import Booking\n"
            f"print(Booking.objects.holding_time().filter(starts_at='{start}').count())"
        )
    )


def test_twenty_clients_one_slot(server):
    """C-01 on SQLite, C-02 on PostgreSQL: one wins, nineteen are shown other times."""
    for number, start in enumerate(offered(server)[:3]):
        visitors = ready(server, start, range(number * CLIENTS, (number + 1) * CLIENTS))
        answers = race(server, visitors)
        won = [answer for answer in answers if answer.status == 302]
        lost = [answer for answer in answers if answer.status == 409]
        assert (len(won), len(lost)) == (1, CLIENTS - 1), [answer.status for answer in answers]
        assert all("That time has just gone" in answer.text for answer in lost)
        assert all("The nearest free times" in answer.text for answer in lost)
        assert holding(server, start) == 1


def test_any_practitioner_uses_every_free_one(server):
    """C-04: as many win as are free, each with a person of their own."""
    ask = {"condition": "other"}
    start = offered(server, condition="other")[-3]
    before = holding(server, start)
    free = int(
        server.python(
            "from bookings import availability\n"
            "from django.utils.dateparse import parse_datetime\n"
            f"at = parse_datetime('{start}')\n"
            "day = at.date()\n"
            "from datetime import timedelta\n"
            "slots = availability.free_slots(first_day=day - timedelta(days=1), last_day=day, "
            "visit_type='in_person')\n"
            "print(sum(slot.starts_at == at for slot in slots))"
        )
    )
    assert free >= 2, "the test needs a time with several practitioners free"
    answers = race(server, ready(server, start, range(200, 200 + CLIENTS), **ask))
    assert sorted(answer.status for answer in answers) == [302] * free + [409] * (CLIENTS - free)
    assert holding(server, start) == before + free
    assert server.python(
        "from bookings.models import Booking\n"
        f"rows = Booking.objects.holding_time().filter(starts_at='{start}')\n"
        "print(rows.count() == rows.values('practitioner').distinct().count())"
    ).strip() == "True"  # fmt: skip


WITHOUT_GUARD = """
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from django.db import connection, connections
from bookings.models import Booking
from clinic.models import Practitioner

names = ["ALTER TABLE bookings_booking DROP CONSTRAINT booking_no_overlap"]
if connection.vendor == "sqlite":
    names = [f"DROP TRIGGER booking_no_overlap_{when}" for when in ("insert", "update")]
with connection.cursor() as cursor:
    for statement in names:
        cursor.execute(statement)
doctor = Practitioner.objects.create(name="Dr. Control", slug="control")
start, end = datetime(2027, 1, 4, 17, tzinfo=UTC), datetime(2027, 1, 4, 18, tzinfo=UTC)
barrier = threading.Barrier(8)

def check_then_insert(number):
    try:
        taken = Booking.objects.holding_time().filter(practitioner=doctor).exists()
        barrier.wait()
        if not taken:
            Booking.objects.create(
                practitioner=doctor, starts_at=start, ends_at=end, busy_from=start,
                busy_until=end, status="pending", visit_type="phone",
            )
    finally:
        connections.close_all()

with ThreadPoolExecutor(8) as pool:
    list(pool.map(check_then_insert, range(8)))
print(Booking.objects.filter(practitioner=doctor).count())
"""


def test_race_appears_without_guard(unguarded):
    """C-00, the negative control: without lock and constraint the same race double-books."""
    assert int(unguarded.python(WITHOUT_GUARD)) > 1
