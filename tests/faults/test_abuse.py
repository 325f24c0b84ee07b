"""L-01, L-06, C-10, R-13: a flood beside real people, people who are never doubted, exact limits.

Each person or program speaks from an address of its own, behind one trusted proxy, as in production.
"""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from bookings import manage_links
from bookings.models import Booking, Message
from tests.bookings.guest import Guest
from tests.factories import (
    make_booking,
    make_clinic,
    make_concern,
    make_gate,
    make_hours,
    make_practitioner,
)
from tests.faults.crowd import Caller, together
from tests.server import person

# --- L-06: people ---------------------------------------------------------------------------------

NOW = datetime(2027, 1, 4, 15, tzinfo=UTC)


class People:
    """The ways in which people book, one after another; each returns when its booking is made."""

    def __init__(self, clock, dice):
        self.clock, self.dice, self.number = clock, dice, 0
        self.free = iter(
            datetime(2027, 1, 12, 17, tzinfo=UTC) + timedelta(days=day, minutes=30 * place)
            for day in range(45)
            for place in range(16)
        )

    def somebody(self, *, fastest, slowest, **person):
        self.number += 1
        guest = Guest(self.clock, self.number, network=self.network(), **person)
        guest.wait = lambda seconds=None: self.clock.shift(self.dice.uniform(fastest, slowest))
        return guest

    def network(self):
        return f"100.{self.dice.randrange(64, 128)}.{self.number % 250}.{self.number % 200}"

    def books(self, guest):
        answer = guest.book(next(self.free))
        return self.went_well(guest, answer)

    def went_well(self, guest, answer):
        """Booked, not asked to prove anything, and told so."""
        assert (answer.status_code, answer["Location"]) == (302, "/book/done/")
        assert "Please confirm your e-mail" not in guest.page("/book/done/")
        assert not guest.made().is_unverified
        return guest

    def with_autofill(self):
        """Everything known by heart and filled at once: about two seconds a page."""
        self.books(self.somebody(fastest=1.6, slowest=3))

    def types_slowly(self):
        """Twenty minutes a page, with one hand or a head pointer."""
        self.books(self.somebody(fastest=300, slowest=1200))

    def with_a_screen_reader(self):
        """Hears each page to its end, skips the hidden field, sends the fields in another order."""
        guest = self.somebody(fastest=40, slowest=120)
        del guest.person["website"]
        guest.person = dict(reversed(guest.person.items()))
        self.books(guest)

    def corrects_mistakes(self):
        guest = self.somebody(fastest=5, slowest=60)
        guest.choose(next(self.free))
        for wrong in ({"phone": "323 555"}, {"email": "pat@example"}, {"consent": ""}):
            assert guest.send("details/", guest.person | wrong).status_code == 422
        guest.send("details/", guest.person)
        self.went_well(guest, guest.press())

    def goes_back(self):
        """Back from the last page to the first and the time, then forward again."""
        guest = self.somebody(fastest=3, slowest=30)
        guest.choose(next(self.free))
        guest.send("details/", guest.person)
        for step in ("check/", "details/", "time/", "signs/", ""):
            guest.page(f"/book/{step}")
        guest.choose(next(self.free))
        guest.send("details/", guest.person | {"message": "Changed my mind"})
        self.went_well(guest, guest.press())
        assert guest.made().message == "Changed my mind"

    def presses_twice(self):
        guest = self.books(self.somebody(fastest=2, slowest=20))
        for _ in range(2):
            self.went_well(guest, guest.client.post("/book/check/", {"key": guest.key}))

    def loses_the_race(self):
        """Twice the time goes while they type; the answers stay."""
        guest = self.somebody(fastest=3, slowest=30)
        for _ in range(2):
            start = next(self.free)
            guest.choose(start)
            guest.send("details/", guest.person)
            made = make_booking(starts_at=start, practitioner=self.doctor)
            assert guest.press().status_code == 409
            made.delete()
        self.books(guest)

    def is_a_family(self):
        """Four at one kitchen table, each with an address, two of them with one phone."""
        network, shared = self.network(), f"+1 323 557 {self.number:04}"
        for place in range(4):
            guest = self.somebody(fastest=3, slowest=40, **({"phone": shared} if place < 2 else {}))
            guest.client.defaults["REMOTE_ADDR"] = network
            self.books(guest)

    def books_for_two(self):
        """For themselves and for a child, with one address and one phone."""
        guest = self.books(self.somebody(fastest=3, slowest=40))
        guest.person["name"] = "A child"
        self.books(guest)

    def changes_their_mind(self):
        """Cancels with the mailed link, and books another time."""
        guest = self.books(self.somebody(fastest=3, slowest=40))
        guest.client.get(f"/booking/{manage_links.issue(guest.made())}/")
        guest.client.post("/booking/", {"fact": guest.person["email"]})
        guest.client.post("/booking/cancel/", {"reason": "Wrong day"})
        assert guest.made().status == "cancelled"
        self.books(guest)

    def changes_it_at_once(self):
        """Moves it from the confirmation page, without opening the mail."""
        guest = self.books(self.somebody(fastest=3, slowest=40))
        start = next(self.free)
        moved = {"start": f"{start:%Y-%m-%dT%H:%M:%SZ}"}
        assert guest.client.post("/booking/reschedule/", moved)["Location"] == "/booking/"
        assert guest.made().starts_at == start

    def loses_the_link(self):
        guest = self.books(self.somebody(fastest=3, slowest=40))
        guest.client.post("/booking/lost/", {"email": guest.person["email"]})
        assert guest.made().messages.filter(kind=Message.Kind.LINK).count() == 1
        mistyped = f"{manage_links.issue(guest.made())[:-2]}xx"
        assert guest.client.get(f"/booking/{mistyped}/").status_code == 404
        assert guest.client.get(f"/booking/{manage_links.issue(guest.made())}/").status_code == 302

    def wants_a_call(self):
        guest = self.somebody(fastest=3, slowest=60)
        self.went_well(guest, guest.ask_for_call(email=""))

    def comes_back_after_lunch(self):
        guest = self.somebody(fastest=3, slowest=30)
        guest.choose(next(self.free))
        self.clock.shift(timedelta(hours=3))
        guest.send("details/", guest.person)
        self.went_well(guest, guest.press())

    WAYS = (
        with_autofill, types_slowly, with_a_screen_reader, corrects_mistakes, goes_back,
        presses_twice, loses_the_race, is_a_family, books_for_two, changes_their_mind,
        changes_it_at_once, loses_the_link, wants_a_call, comes_back_after_lunch,
    )  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("journeys", [28, pytest.param(200, marks=pytest.mark.night)])
def test_no_person_is_taken_for_a_program(settings, tally, journeys):
    """L-06: 0 of 200 scripted human journeys asked for proof or refused; here each way in turn."""
    settings.ABUSE_LIMITS = settings.NETWORK_LIMITS = True
    make_clinic(languages_spoken="English", horizon_days=60)
    make_hours()
    make_gate()
    condition = make_concern(slug="jaw-pain")
    doctor = make_practitioner()
    condition.practitioners.add(doctor)
    with time_machine.travel(NOW, tick=False) as clock:
        people = People(clock, tally.dice)
        people.doctor = doctor
        for number in range(journeys):
            People.WAYS[number % len(People.WAYS)](people)
            clock.shift(timedelta(minutes=tally.dice.randrange(1, 30)))
            if number % 40 == 39:  # the clinic sees its patients: their times are theirs no more
                clock.shift(timedelta(hours=12))
    assert not Message.objects.filter(kind=Message.Kind.VERIFY).exists()
    assert not Booking.objects.filter(hold_until__isnull=False).exists()
    tally.add(journeys=journeys, bookings=Booking.objects.count(), asked_or_refused=0)


# --- C-10: many at the same moment ----------------------------------------------------------------


@pytest.fixture
def guarded(own_server):
    """A server with the limits on and one proxy in front."""
    return own_server(env={"ABUSE_LIMITS": "true", "TRUSTED_PROXIES": "1"}).start()


FREE = """
from datetime import timedelta
from tests.factories import slot_search
from django.utils import timezone
day = timezone.localdate() + timedelta(days=3)
slots = slot_search(visit_type="in_person").free(day, day + timedelta(days=50))
print(*sorted({f"{slot.starts_at:%Y-%m-%dT%H:%M:%SZ}" for slot in slots if slot.starts_at.minute == 0}))
"""


def free_times(server):
    return server.python(FREE).split()


def count(server, what):
    [[number]] = server.rows(f"SELECT count(*) FROM {what}")
    return number


def statuses(answers):
    return sorted(answer.status for answer in answers)


def test_one_person_presses_twenty_times_at_once(guarded):
    """C-10: twenty browsers and networks, one mailbox in many spellings: all alike, three mails."""
    starts, callers = free_times(guarded), []
    for number in range(20):
        callers.append(Caller(guarded, f"203.0.{number}.1"))
        email = f"{'Pat.Same' if number % 2 else 'pat.same'}+{number}@example.org"
        page = callers[-1].up_to_press(number, starts[number], email=email)
        assert "Check your answers" in page.text
    answers = together([caller.book for caller in callers])
    assert {(answer.status, answer.location) for answer in answers} == {(302, "/book/done/")}
    assert count(guarded, "bookings_booking") == 20
    mails = "bookings_message WHERE kind IN ('verify', 'received') AND state = 'queued'"
    assert count(guarded, mails) == 3


@pytest.mark.only_on("postgresql")
def test_a_press_waits_longer_for_its_turn_than_for_a_row(guarded):
    """A queue of presses on a slow machine moves on; SQLite's crowds are in test_db_down.py."""
    import psycopg2

    starts = free_times(guarded)
    callers = [Caller(guarded, f"203.0.{number}.1") for number in range(2)]
    for number, caller in enumerate(callers):
        caller.up_to_press(number, starts[number])
    assert callers[0].book().location == "/book/done/"  # so that there are counts to lock
    others = psycopg2.connect(guarded.env["DATABASE_URL"])
    try:
        others.cursor().execute("SELECT 1 FROM bookings_ratecount FOR UPDATE")
        with ThreadPoolExecutor(1) as pool:
            press = pool.submit(callers[1].book)
            time.sleep(4)  # the limit for one row is 3
            others.rollback()
            assert press.result().location == "/book/done/"
    finally:
        others.close()


def test_one_network_presses_twelve_times_at_once(guarded):
    """C-10: five are taken, three are held for proof, the rest is told to call."""
    starts = free_times(guarded)
    callers = [Caller(guarded, f"203.0.113.{number}") for number in range(12)]
    for number, caller in enumerate(callers):
        caller.up_to_press(number, starts[number])
    time.sleep(6)  # as slow as people are
    answers = together([caller.book for caller in callers])
    assert statuses(answers) == [302] * 8 + [429] * 4
    assert count(guarded, "bookings_booking WHERE hold_until IS NULL") == 5
    assert count(guarded, "bookings_booking WHERE hold_until IS NOT NULL") == 3
    assert count(guarded, "bookings_message WHERE kind = 'verify'") == 3


def test_one_mailbox_asks_for_twenty_links_at_once(guarded):
    """C-10, L-04: one mail went with the booking, so two are left."""
    visitor = Caller(guarded, "203.0.113.1")
    visitor.up_to_press(1, free_times(guarded)[0])
    visitor.book()
    callers = [Caller(guarded, f"203.0.{number}.1") for number in range(20)]
    for caller in callers:
        caller.get("/booking/lost/")
    email = person(1)["email"]
    answers = together(
        [
            lambda caller=caller: caller.post("/booking/lost/", {"email": email})
            for caller in callers
        ]
    )
    assert statuses(answers) == [200] * 20
    assert len({re.sub(r"token.*?>", "", answer.text) for answer in answers}) == 1
    assert count(guarded, "bookings_message WHERE kind = 'link'") == 2


A_LINK = """
from bookings import manage_links
from bookings.lifecycle import requests
from conditions import editions
from tests.factories import here, slot_search
slot = slot_search(visit_type="in_person").next()
print(manage_links.issue(requests.request(
    requests.Person(name="Pat", email="pat@example.org", phone="+13235550177"),
    requests.Request(
        location=here(), start=slot.starts_at, practitioner=slot.practitioner, visit_type="in_person",
        consent_version="1", asked=editions.emergency_signs(None),
    ),
)))
"""


def test_twenty_guesses_at_a_second_fact_at_once(guarded):
    """C-10: five are looked at."""
    secret = guarded.python(A_LINK).strip()
    callers = [Caller(guarded, f"203.0.{number}.1") for number in range(20)]
    for caller in callers:
        caller.get(f"/booking/{secret}/")
        caller.get("/booking/")
    answers = together(
        [
            lambda caller=caller, fact=f"{fact:04}": caller.post("/booking/", {"fact": fact})
            for fact, caller in enumerate(callers)
        ]
    )
    assert statuses(answers) == [422] * 20
    assert sum("does not match this booking" in answer.text for answer in answers) == 5
    assert sum("Too many tries" in answer.text for answer in answers) == 15


@pytest.mark.parametrize("tries", [100, pytest.param(10_000, marks=pytest.mark.night)])
def test_a_walk_through_unknown_links(guarded, tally, tries):
    """R-13: 60 a minute are answered, eight at a time; the real link opens from elsewhere."""
    secret = guarded.python(A_LINK).strip()

    def walk(number):
        caller = Caller(guarded, f"203.0.113.{number % 250}")
        return caller.get(f"/booking/{number:x>43}/").status

    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(walk, range(tries)))
    minutes = (time.monotonic() - began) // 60 + 1
    assert set(got) == {404, 429}
    assert 60 <= got.count(404) <= 60 * minutes
    elsewhere = Caller(guarded, "198.51.100.1")
    assert elsewhere.get(f"/booking/{secret}/").location == "/booking/"
    tally.add(tried=tries, answered=got.count(404))


# --- L-01: a flood --------------------------------------------------------------------------------


def patient(server, number, start, pause):
    """A person, who proves the mailbox when asked. Says whether it worked."""
    caller = Caller(server, f"198.51.{number}.7")
    caller.up_to_press(10_000 + number, start)
    time.sleep(pause)
    if caller.book().status != 302:
        return False
    if "Please confirm your e-mail" in caller.get("/book/done/").text:
        caller.get(f"/booking/{mailed_secret(server, 10_000 + number)}/")
        caller.get("/booking/")
        caller.post("/booking/prove/", {})
    return "We are holding your time" in caller.get("/book/done/").text


MAILED = """
from bookings import manage_links
from bookings.models import Booking
print(manage_links.issue(Booking.objects.get(email={email!r}, hold_until__isnull=False)))
"""


def mailed_secret(server, number):
    """What the worker would have mailed; it is not part of this test."""
    return server.python(MAILED.format(email=person(number)["email"])).strip()


class Flood:
    """Programs that book as fast as they are let, each request with a new name and address."""

    def __init__(self, server, starts, networks):
        self.server, self.starts, self.networks = server, starts, networks
        self.seen = []

    def one(self, number):
        caller = Caller(self.server, self.networks[number % len(self.networks)])
        details = {
            "email": f"bot{number}@spam{number % 97}.example",
            "phone": f"+1 323 {200 + number // 10_000} {number % 10_000:04}",
        }
        page = caller.up_to_press(number, self.starts[number % len(self.starts)], **details)
        answer = caller.book() if 'name="key"' in page.text else page
        self.seen.append(answer.status)
        return answer.status


@pytest.mark.parametrize(
    ("bots", "networks", "patients", "seconds"),
    [(30, 6, 3, 7), pytest.param(2500, 201, 50, 600, marks=pytest.mark.night)],
)
def test_real_people_book_beside_a_flood(guarded, tally, bots, networks, patients, seconds):
    """L-01: one network and two hundred flood the form; people get through, nothing breaks."""
    starts = free_times(guarded)
    mine, theirs = starts[:patients], starts[patients:]
    addresses = [f"203.{number // 250}.{number % 250}.9" for number in range(networks)]
    # The first network sends a fifth of it all.
    flood = Flood(guarded, theirs, [addresses[0]] * (networks // 4) + addresses[1:])
    pause = seconds * 3 / patients  # three at a time, over the length of the flood
    with ThreadPoolExecutor(8) as programs, ThreadPoolExecutor(3) as people:
        flooding = [programs.submit(flood.one, number) for number in range(bots)]
        worked = list(people.map(lambda pair: patient(guarded, *pair, pause), enumerate(mine)))
        for one in flooding:
            one.result()
    assert sum(worked) >= 0.99 * patients
    assert not [status for status in flood.seen if status >= 500]
    held = count(guarded, "bookings_booking WHERE email LIKE 'bot%' AND hold_until IS NOT NULL")
    firm = count(guarded, "bookings_booking WHERE email LIKE 'bot%' AND hold_until IS NULL")
    assert firm == 0, "each of them was too fast"
    assert held <= 3 * networks
    tally.add(bots=bots, held=held, refused=flood.seen.count(429), people=sum(worked))
