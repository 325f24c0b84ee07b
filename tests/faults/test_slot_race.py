"""C-00 to C-09, C-11: a time is never given to two people, on the database of the run.

The clients race against four web processes. The negative control shows that they would collide.
"""

import time
from collections import Counter

import pytest

from tests.faults.crowd import (
    Caller,
    Times,
    at_check,
    booked,
    holding,
    quantile,
    race,
    reference,
    same_browser,
    sql_time,
    staff,
    together,
)
from tests.server import person

CLIENTS = 20
ADD_BY_PHONE = "/admin/bookings/booking/add/"


def rounds(gate, night):
    """The same test twice: short in every run, long at night."""
    return pytest.mark.parametrize("rounds", [gate, pytest.param(night, marks=pytest.mark.night)])


def statuses(answers):
    return sorted(answer.status for answer in answers)


def row(server, ref, columns):
    [found] = server.rows(f"SELECT {columns} FROM bookings_booking WHERE reference = '{ref}'")
    return found


def keeps(server, ref, start):
    """Whether that booking holds that time."""
    status, at = row(server, ref, "status, starts_at")
    return status in ("pending", "booked") and str(at)[:19] == sql_time(start)


def events(server, ref, action):
    [[number]] = server.rows(
        f"SELECT count(*) FROM clinic_auditevent WHERE object_key = '{ref}' AND action = '{action}'"
    )
    return number


def move(visitor, start):
    return lambda: visitor.post("/booking/reschedule/", {"start": start})


def cancel(visitor):
    return lambda: visitor.post("/booking/cancel/", {"reason": ""})


def confirm(visitor, pk):
    return lambda: visitor.post(f"/admin/bookings/booking/{pk}/confirm/", {})


@rounds(3, 50)
def test_twenty_clients_one_slot(server, times, tally, rounds):
    """C-01 on SQLite, C-02 on PostgreSQL: one wins, nineteen are shown other times."""
    visitors, seconds = [], []

    def press(visitor):
        began = time.monotonic()
        answer = visitor.book()
        seconds.append(time.monotonic() - began)
        return answer

    for start in times.many(rounds):
        visitors = at_check(server, [start] * CLIENTS, range(CLIENTS), visitors)
        answers = together([lambda visitor=visitor: press(visitor) for visitor in visitors])
        assert statuses(answers) == [302] + [409] * (CLIENTS - 1)
        lost = [answer for answer in answers if answer.status == 409]
        assert all("That time has just gone" in answer.text for answer in lost)
        assert all("The nearest free times" in answer.text for answer in lost)
        assert holding(server, start) == 1
        tally.add(rounds=1, won=1, lost=len(lost))
    tally["p95_seconds"] = round(quantile(seconds, 0.95), 3)


@pytest.mark.night
def test_overlapping_intervals(own_server, tally):
    """C-03: twenty times that overlap, a minute apart: one wins."""
    server = own_server()
    server.rows("UPDATE clinic_clinic SET slot_step = 1, consultation_minutes = 40")
    server.rows("UPDATE conditions_condition SET consultation_minutes = NULL")
    server.start()
    times, visitors = Times(server), []
    for _ in range(50):
        starts = times.in_a_row(CLIENTS)
        visitors = at_check(server, starts, range(CLIENTS), visitors)
        assert statuses(race(visitors)) == [302] + [409] * (CLIENTS - 1)
        assert sum(holding(server, start) for start in starts) == 1
        tally.add(rounds=1, won=1, lost=CLIENTS - 1)


@rounds(1, 50)
def test_any_practitioner_uses_every_free_one(server, times, tally, rounds):
    """C-04: as many win as are free, each with a person of their own."""
    visitors = []
    for _ in range(rounds):
        start, free = times.take("other", people=3)
        before = holding(server, start)
        visitors = at_check(server, [start] * CLIENTS, range(CLIENTS), visitors, condition="other")
        answers = race(visitors)
        assert statuses(answers) == [302] * len(free) + [409] * (CLIENTS - len(free))
        assert holding(server, start) == before + len(free)
        [[people]] = server.rows(
            "SELECT count(DISTINCT practitioner_id) FROM bookings_booking "
            f"WHERE starts_at = '{sql_time(start)}' AND status = 'pending'"
        )
        assert people == before + len(free)
        tally.add(rounds=1, won=len(free), lost=CLIENTS - len(free))


@pytest.mark.night
def test_twenty_networks_one_slot(own_server, tally):
    """C-01 with the limits of the shipped settings, each client in a network of its own."""
    for number in range(3):
        # A new one each time: above 60 requests an hour in all, it asks everybody for proof.
        server = own_server(env={"ABUSE_LIMITS": "true", "TRUSTED_PROXIES": "1"}).start()
        [start] = Times(server).many(1)
        callers = [Caller(server, f"203.0.{caller}.{number + 1}") for caller in range(CLIENTS)]
        at_check(server, [start] * CLIENTS, range(CLIENTS), callers)
        assert statuses(race(callers)) == [302] + [409] * (CLIENTS - 1)
        assert holding(server, start) == 1
        tally.add(rounds=1, won=1, lost=CLIENTS - 1)
        server.stop()


@rounds(3, 50)
def test_reschedule_race(server, times, tally, rounds):
    """C-05: two move into one time, and one moves where another books: nobody has none or two."""
    people, newcomer = [], None
    for number, start in enumerate(times.many(2)):
        visitor, ref = booked(server, start, number)
        people.append({"visitor": visitor, "ref": ref, "start": start})
    for _ in range(rounds):
        aim = times.take()[0]
        answers = together([move(one["visitor"], aim) for one in people])
        assert statuses(answers) == [302, 409]
        for one, answer in zip(people, answers, strict=True):
            one["start"] = aim if answer.status == 302 else one["start"]
            assert keeps(server, one["ref"], one["start"])
        assert holding(server, aim) == 1

        aim, one = times.take()[0], tally.dice.choice(people)
        [newcomer] = at_check(server, [aim], [3], newcomer and [newcomer])
        moved, made = together([move(one["visitor"], aim), newcomer.book])
        assert statuses([moved, made]) == [302, 409]
        one["start"] = aim if moved.status == 302 else one["start"]
        assert keeps(server, one["ref"], one["start"])
        assert holding(server, aim) == 1
        tally.add(rounds=2, move_won=int(moved.status == 302))


@rounds(3, 100)
def test_cancel_against_rebook(server, times, tally, rounds):
    """C-06: one gives a time back while another asks for it: it is free, or taken once."""
    waiting = None
    for aim in times.many(rounds):
        # Both saw it free; the first has it now, the other presses when it is given back.
        [waiting] = at_check(server, [aim], [2], waiting and [waiting])
        holder, _reference = booked(server, aim, 1)
        given, asked = together([cancel(holder), waiting.book])
        assert (given.status, asked.status) in ((200, 302), (200, 409))
        assert holding(server, aim) == int(asked.status == 302)
        tally.add(rounds=1, rebooked=int(asked.status == 302))


@pytest.mark.night
def test_desk_against_patient(server, times, tally):
    """C-07: two confirm at once, one confirms what is cancelled, desk and patient want one time."""
    desk, manager = staff(server, "frontdesk"), staff(server, "manager")
    waiting = None
    for number in range(34):
        one, two, three = times.many(3)
        _patient, ref = booked(server, one, number)
        [pk] = row(server, ref, "id")
        assert statuses(together([confirm(desk, pk), confirm(manager, pk)])) == [302, 302]
        assert row(server, ref, "status, sequence") == ("booked", 1)
        assert events(server, ref, "booking.confirmed") == 1

        patient, ref = booked(server, two, number)
        [pk] = row(server, ref, "id")
        yes, no = together([confirm(desk, pk), cancel(patient)])
        assert (yes.status, no.status) == (302, 200)
        assert row(server, ref, "status") == ("cancelled",)
        assert holding(server, two) == 0

        [waiting] = at_check(server, [three], [3], waiting and [waiting])
        call = {"condition": "bruxism", "visit_type": "in_person", "practitioner": ""}
        call |= person(number) | {"start": three, "step": "book"}
        desk.get(ADD_BY_PHONE)
        made, asked = together([lambda call=call: desk.post(ADD_BY_PHONE, call), waiting.book])
        assert (made.status, asked.status) in ((302, 409), (200, 302))
        assert made.status == 302 or "has just been taken" in made.text
        assert holding(server, three) == 1
        tally.add(rounds=3, desk_won=int(made.status == 302))


@pytest.mark.night
def test_practitioner_leaves_while_people_book(own_server, tally):
    """C-08: all are archived while twenty people book: what was accepted stays as it was."""
    server = own_server().start()
    times, archive = Times(server), "UPDATE clinic_practitioner SET archived = {}"
    for _ in range(10):
        starts = times.many(CLIENTS)
        visitors = at_check(server, starts, range(CLIENTS))
        press = [visitor.book for visitor in visitors]
        wait = tally.dice.random() / 4

        def leave(wait=wait):
            time.sleep(wait)
            server.rows(archive.format("true"))

        *answers, _none = together([*press, leave])
        for visitor, answer, start in zip(visitors, answers, starts, strict=True):
            assert answer.status in (302, 409)
            accepted = answer.status == 302
            assert holding(server, start) == int(accepted)
            if accepted:
                assert keeps(server, reference(visitor.get("/book/done/")), start)
            tally.add(accepted=int(accepted), refused=int(not accepted))
        server.rows(archive.format("false"))


def test_ten_cancels_of_one_booking(server, times):
    """C-09: pressed ten times at once, in ten tabs: one change, one mail each, one audit row."""
    visitor, ref = booked(server, times.take()[0], 1)
    visitor.get("/booking/cancel/")
    answers = together([cancel(same_browser(visitor)) for _ in range(10)])
    assert set(statuses(answers)) <= {200, 404, 409}
    assert any("is cancelled" in answer.text for answer in answers)
    assert row(server, ref, "status, sequence") == ("cancelled", 1)
    assert events(server, ref, "booking.cancelled") == 1
    kinds = server.rows(
        "SELECT kind FROM bookings_message m JOIN bookings_booking b ON b.id = m.booking_id "
        f"WHERE reference = '{ref}'"
    )
    counts = Counter(kind for [kind] in kinds)
    assert (counts["cancelled"], counts["desk_cancelled"]) == (1, 1)


@pytest.mark.only_on("postgresql")
def test_a_stricter_isolation_level_refuses_to_start(own_server):
    """C-11"""
    server = own_server()
    server.rows(
        f"ALTER DATABASE {server.database} SET default_transaction_isolation = 'repeatable read'"
    )
    with pytest.raises(AssertionError, match="clinic.E007"):
        server.manage("serve", "--prepare")


WITHOUT_GUARD = """
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from django.db import connection, connections
from bookings.models import Booking
from clinic.models import Practitioner
from tests.factories import make_clinic

names = ["ALTER TABLE bookings_booking DROP CONSTRAINT booking_no_overlap"]
if connection.vendor == "sqlite":
    names = [f"DROP TRIGGER booking_no_overlap_{when}" for when in ("insert", "update")]
with connection.cursor() as cursor:
    for statement in names:
        cursor.execute(statement)
make_clinic()
doctor = Practitioner.objects.create(name="Dr. Control", slug="control")
start, end = datetime(2027, 1, 4, 17, tzinfo=UTC), datetime(2027, 1, 4, 18, tzinfo=UTC)
barrier = threading.Barrier(8)

def check_then_insert(number):
    try:
        taken = Booking.objects.holding_time().filter(practitioner=doctor).exists()
        barrier.wait()
        if not taken:
            Booking.objects.create(
                location_id=1, practitioner=doctor, starts_at=start, ends_at=end, busy_from=start,
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
