"""The limits, each at its edge: exact, gone when its time is over, and said in plain words."""

import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from bookings import manage_links, rate_limits
from bookings.desk import inbox
from bookings.lifecycle import answers as lifecycle_answers
from bookings.messaging import outbox, queue
from bookings.messaging.channels import TryAgain
from bookings.messaging.channels import email as smtp
from bookings.models import Booking, ManageLink, Message, RateCount
from tests.bookings.conftest import FormClient
from tests.bookings.guest import Guest
from tests.factories import (
    here,
    make_booking,
    make_clinic,
    make_concern,
    make_gate,
    make_hours,
    make_practitioner,
)

pytestmark = pytest.mark.django_db

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)  # Monday 04:00 in Los Angeles
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PHONE_OF_CLINIC = "+1 323-555-0142"
TO_PATIENTS = {"received", "confirmed", "changed", "cancelled", "callback", "link", "verify"}


def start_number(number):
    """The number-th half hour of the clinic's days from tomorrow on, 16 a day."""
    day, place = divmod(number, 16)
    return datetime(2027, 1, 5, 17, tzinfo=UTC) + timedelta(days=day, minutes=30 * place)


@pytest.fixture(autouse=True)
def clock(settings):
    settings.ABUSE_LIMITS = settings.NETWORK_LIMITS = True
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def doctor(db):
    make_clinic(languages_spoken="English", horizon_days=60)
    make_gate()
    make_hours()
    condition = make_concern(slug="jaw-pain", name="Jaw pain")
    condition.practitioners.add(make_practitioner(slug="doctor"))
    return condition.practitioners.get()


def is_refused(response, words):
    page = response.content.decode()
    assert response.status_code == 429, response.status_code
    assert words in page
    assert PHONE_OF_CLINIC in page
    return True


def mails_to_patients():
    return Message.objects.filter(kind__in=TO_PATIENTS, state__in=["queued", "sent"]).count()


# --- one person -----------------------------------------------------------------------------------

SAME_MAILBOX = [
    "pat.example@example.org", "Pat.Example@EXAMPLE.org", "pat.example+a@example.org",
    "PAT.EXAMPLE+two+three@example.org",
]  # fmt: skip
SAME_GMAIL = ["patexample@gmail.com", "pat.example+x@gmail.com", "p.a.t.example@GoogleMail.com"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("pat.example@example.org", "patexample@example.org"),
        ("pat@example.org", "pat@example.com"),
        ("pat@example.org", "pat-b@example.org"),
        ("p_t@example.org", "pat@example.org"),
        ("pat@sub.example.org", "pat@example.org"),
        ("+a@example.org", "+b@example.org"),
    ],
)
def test_other_addresses_are_other_people(one, other):
    assert rate_limits.mailbox(one) != rate_limits.mailbox(other)


@pytest.mark.parametrize("spellings", [SAME_MAILBOX, SAME_GMAIL])
def test_spellings_of_one_mailbox(spellings):
    assert len({rate_limits.mailbox(spelling) for spelling in spellings}) == 1


def nothing(email, phone):
    """Nobody knows them."""


def ahead(number, proved):
    def known(email, phone):
        for place in range(number):
            make_booking(
                email=email, phone=phone, starts_at=start_number(100 + place), verified_at=proved
            )

    return known


def called(email, phone):
    for _ in range(5):
        make_booking(email=email, phone=phone, status="waitlist")


def mailed(email, phone):
    for _ in range(5):
        with rate_limits.mailing(email):
            pass


def refused(email, phone):
    make_booking(email=email, phone=phone, status="cancelled", cancelled_by="clinic", cancelled_at=NOW)  # fmt: skip


HISTORIES = [ahead(1, None), ahead(2, NOW), ahead(5, NOW), ahead(5, None), called, mailed, refused]


def story(clock, way, history):
    """All that the browser of somebody is told who asks twice and then looks, moves and cancels."""
    clock.move_to(NOW)
    email, phone = "victim@example.org", "+13235550199"
    history(email, phone)
    told = []
    for number in range(3):
        guest = Guest(clock, 200 + number, email=email, phone=phone, pause=2, **way)
        if way:  # looks like a program: has to prove the mailbox
            answer = guest.book(start_number(number))
        elif number == 1:
            answer = guest.ask_for_call()
        else:
            answer = guest.book(start_number(number))
        told.append((answer.status_code, answer.url))
        told.append(guest.page("/book/done/"))
        told.append(guest.page("/booking/"))
        if number != 1:
            start = f"{start_number(20 + number):%Y-%m-%dT%H:%M:%SZ}"
            moved = guest.client.post("/booking/reschedule/", {"start": start})
            told += [moved.status_code, guest.page("/booking/")]
        told.append(guest.client.post("/booking/cancel/", {"reason": ""}).content.decode())
    lost = guest.client.post("/booking/lost/", {"email": email})
    told.append(lost.content.decode())
    hidden = re.compile(r'value="[^"]{64}"|nonce="[^"]*"|[2-9A-Z]{4}-[2-9A-Z]{4}')
    return [hidden.sub("", text) if isinstance(text, str) else text for text in told]


@pytest.mark.parametrize("way", [{}, {"website": "x"}], ids=["a person", "a program"])
def test_the_answer_never_tells_whether_an_address_or_number_is_known(clock, way):
    """Status, address and page, letter by letter, whatever is stored about them."""
    stories = []
    for history in (nothing, *HISTORIES):
        stories.append(story(clock, way, history))
        ManageLink.objects.all().delete()
        Message.objects.all().delete()
        Booking.objects.all().delete()
        RateCount.objects.all().delete()
    assert (302, "/book/done/") in stories[0]
    for told in stories[1:]:
        assert told == stories[0]


def test_the_answer_asks_the_database_as_often(clock):
    """Nor does the clock tell: the presses make the same queries for known and unknown people."""
    numbers = []
    for number, history in enumerate((nothing, nothing, ahead(5, None), ahead(2, NOW), called)):
        person = {"email": f"v{number}@example.org", "phone": f"+1323555018{number}"}
        history(**person)
        booked, called_back = (Guest(clock, 10 * number + add, **person) for add in (1, 2))
        booked.choose(start_number(number))
        booked.send("details/", booked.person)
        called_back.choose()
        with CaptureQueriesContext(connection) as presses:
            assert booked.press().url == "/book/done/"
            answer = called_back.send("call/", called_back.person | {"call_when": "x"})
            assert answer.url == "/book/done/"
        numbers.append(len(presses))
    assert len(set(numbers[1:])) == 1, numbers  # the first fills caches


def test_what_strangers_ask_for_counts_against_nobody(clock):
    """Requests and call-backs with somebody's address and number; then they book themselves."""
    victim = {"email": "victim@example.org", "phone": "+13235550199"}
    for number in range(4):
        stranger = Guest(clock, 60 + number, **victim)
        stranger.ask_for_call() if number % 2 else stranger.book(start_number(number))
    themselves = Guest(clock, 1, **victim)
    assert themselves.book(start_number(9)).url == "/book/done/"
    assert not themselves.made().is_unverified
    assert themselves.ask_for_call().url == "/book/done/"


def proves(guest, start):
    """Book as somebody who has to prove the mailbox, and press there."""
    guest.person["website"] = "x"
    assert guest.book(start).url == "/book/done/"
    secret = manage_links.issue(guest.made())
    reader = FormClient()
    reader.get(f"/booking/{secret}/")
    return reader.post("/booking/prove/")


@pytest.mark.parametrize("spellings", [SAME_MAILBOX, SAME_GMAIL])
def test_one_mailbox_proves_two_consultations_ahead(clock, spellings):
    """L-02: however it is spelled; the third is told so where only its owner reads it."""
    guests = [
        Guest(clock, number, email=email) for number, email in enumerate([*spellings, *spellings])
    ]
    answers = [proves(guest, start_number(number)) for number, guest in enumerate(guests[:4])]
    assert [answer.status_code for answer in answers] == [302, 302, 429, 429]
    assert is_refused(answers[2], "You already have two consultations")
    assert Booking.objects.exclude(verified_at=None).count() == 2
    assert guests[2].made().is_unverified
    clock.shift(timedelta(minutes=15))
    assert guests[2].made().has_lapsed()
    lifecycle_answers.cancel(guests[0].made(), by="system", cancelled_by="clinic")
    assert proves(guests[4], start_number(9)).status_code == 302


def test_a_second_press_in_the_mail_is_answered_like_the_first(clock):
    guest = Guest(clock, 1, website="x")
    guest.book(start_number(0))
    secret = manage_links.issue(guest.made())
    for place in (1, 2):
        make_booking(email=guest.person["email"], starts_at=start_number(place))
    for _ in range(2):
        reader = FormClient()
        reader.get(f"/booking/{secret}/")
        assert reader.post("/booking/prove/").status_code == 302
        Booking.objects.filter(verified_at=None).update(verified_at=NOW)


def test_what_is_over_lapsed_or_not_proved_does_not_count(clock, doctor):
    mine = {"email": "guest1@example.org", "practitioner": doctor, "verified_at": NOW - DAY}
    make_booking(starts_at=NOW - DAY, **mine)
    make_booking(starts_at=start_number(1), **mine)
    make_booking(status="pending", starts_at=start_number(2), hold_until=NOW, **mine)
    make_booking(starts_at=start_number(4), **mine | {"verified_at": None})
    assert proves(Guest(clock, 1), start_number(3)).status_code == 302


def test_the_second_fact_from_a_mailed_link_proves_too():
    booking = make_booking(email="pat@example.org", starts_at=start_number(3))
    reader = FormClient()
    reader.get(f"/booking/{manage_links.issue(booking)}/")
    booking.refresh_from_db()
    assert booking.verified_at is None, "by a press, not by looking"
    reader.post("/booking/", {"fact": "pat@example.org"})
    booking.refresh_from_db()
    assert booking.verified_at == NOW


def test_the_same_press_twice_counts_once(clock):
    """R-01 under limits: a second booking is still possible, and nobody was counted twice."""
    guest = Guest(clock, 1)
    guest.book(start_number(0))
    for _ in range(10):
        assert guest.client.post("/book/check/", {"key": guest.key}).url == "/book/done/"
    assert Booking.objects.count() == 1
    assert guest.book(start_number(1)).url == "/book/done/"


def test_a_time_that_was_taken_is_not_counted(clock, doctor):
    guest = Guest(clock, 1)
    guest.choose(start_number(0))
    guest.send("details/", guest.person)
    make_booking(starts_at=start_number(0), practitioner=doctor)
    for _ in range(8):
        stale = guest.client.session
        stale["booking"] = stale["booking"] | {"start": f"{start_number(0):%Y-%m-%dT%H:%M:%SZ}"}
        stale.save()
        assert guest.press().status_code == 409
    assert guest.book(start_number(3)).url == "/book/done/"
    assert not guest.made().is_unverified


# --- one mailbox ----------------------------------------------------------------------------------


def test_a_hundred_requests_send_one_victim_three_mails(clock):
    """L-04: bookings, call-backs, cancelling and moving as whoever typed the address, lost links."""
    victim = "victim@example.org"
    for number in range(25):
        guest = Guest(clock, number, email=victim.replace("@", f"+{number}@"), pause=2)
        if number % 3:
            guest.book(start_number(number))
        else:
            guest.ask_for_call()
        if ManageLink.objects.filter(
            browser=manage_links.browser_digest(guest.client.session)
        ).exists():
            guest.page("/book/done/")
            for path in ("/booking/reschedule/", "/booking/cancel/"):
                start = f"{start_number(200 + number):%Y-%m-%dT%H:%M:%SZ}"
                guest.client.post(path, {"start": start, "reason": "x"})
        guest.client.post("/booking/lost/", {"email": victim})
        guest.client.post("/booking/lost/", {"email": victim.replace("@", "+0@")})
    assert mails_to_patients() == 3


def test_the_day_of_a_mailbox_is_any_24_hours(clock):
    make_booking(email="pat@example.org", starts_at=start_number(60))
    client = FormClient()

    def ask_at(hours):
        clock.move_to(NOW + timedelta(hours=hours))
        client.post("/booking/lost/", {"email": "pat@example.org"})
        return Message.objects.count()

    assert [ask_at(hours) for hours in (0, 10, 20, 21, 23.9)] == [1, 2, 3, 3, 3]
    assert [ask_at(hours) for hours in (24.1, 24.2, 34.1, 44.1)] == [4, 4, 5, 6]


def fill(email):
    for number in range(3):
        with rate_limits.mailing(email.replace("@", f"+{number}@")) as may_mail:
            assert may_mail


def test_above_the_limit_the_request_is_taken_and_the_desk_phones(clock, mailoutbox):
    fill("guest1@example.org")
    guest = Guest(clock, 1)
    assert guest.book(start_number(0)).url == "/book/done/"
    message = guest.made().messages.get(kind="received")
    assert (message.state, message.error) == ("failed", "Enough mails were sent to this mailbox today")  # fmt: skip
    assert guest.made().messages.get(kind="desk_new").state == "queued"
    outbox.drain()
    assert [mail.to for mail in mailoutbox] == [["desk@lindenvale.example"]]
    assert [item.booking for item in inbox.unreached()] == [guest.made()]


def test_above_the_limit_what_has_to_be_proved_ends_by_itself(clock, mailoutbox):
    fill("guest1@example.org")
    guest = Guest(clock, 1, website="x")
    assert guest.book(start_number(0)).url == "/book/done/"
    outbox.drain()
    assert mailoutbox == []
    assert inbox.unreached() == []
    clock.shift(timedelta(minutes=15))
    assert guest.made().has_lapsed()


@pytest.mark.parametrize(("opened", "state"), [(False, "failed"), (True, "queued")])
def test_whoever_has_opened_the_mail_is_always_written_to(clock, opened, state):
    """The limit is about strangers: the link out of the mailbox shows that it is theirs."""
    fill("guest1@example.org")
    guest = Guest(clock, 1)
    guest.book(start_number(0))
    if opened:
        guest.client.get(f"/booking/{manage_links.issue(guest.made())}/")
        guest.client.post("/booking/", {"fact": "guest1@example.org"})
    answer = guest.client.post("/booking/cancel/", {"reason": ""})
    assert "is cancelled" in answer.content.decode()
    assert guest.made().status == "cancelled"
    assert guest.made().messages.get(kind="cancelled").state == state


def test_nothing_follows_by_itself_what_was_withheld(clock, mailoutbox):
    """Reminders, refusals: the same three made-up bookings are mailed about, and no other."""
    make_clinic(confirm_at_once=True)
    for number in range(6):
        Guest(clock, number, email=f"victim+{number}@example.org").book(start_number(60 + number))
        outbox.drain()
    clock.move_to(start_number(60) - timedelta(hours=3))
    outbox.drain()
    for booking in Booking.objects.all():
        lifecycle_answers.cancel(booking, by="system", cancelled_by="clinic")
    outbox.drain()
    told = {mail.to[0] for mail in mailoutbox if "victim" in mail.to[0]}
    assert told == {f"victim+{number}@example.org" for number in range(3)}
    assert Message.objects.filter(kind="reminder", state="sent").exists()
    assert len(inbox.unreached()) == 3


def test_once_the_desk_has_phoned_reminders_go_out(clock, mailoutbox):
    make_clinic(confirm_at_once=True)
    fill("guest1@example.org")
    guest = Guest(clock, 1)
    guest.book(start_number(60))
    queue.acknowledge(guest.made().messages.get(state="failed"), by="system")
    clock.move_to(start_number(60) - timedelta(hours=3))
    outbox.drain()
    assert guest.made().messages.filter(kind="reminder", state="sent").exists()


def test_a_lost_link_comes_for_what_the_owner_opened_before(clock):
    """Whatever strangers asked for since with the address."""
    mine = make_booking(email="pat@example.org", starts_at=start_number(60), verified_at=NOW - DAY)
    for place in range(5):
        make_booking(email="pat@example.org", starts_at=start_number(70 + place))
    FormClient().post("/booking/lost/", {"email": "pat@example.org"})
    assert Message.objects.filter(kind="link").earliest("pk").booking == mine


def test_a_booking_is_moved_five_times_an_hour(clock):
    guest = Guest(clock, 1)
    guest.book(start_number(0))
    others = Guest(clock, 2)
    others.book(start_number(40))

    def move(who, place):
        start = f"{start_number(place):%Y-%m-%dT%H:%M:%SZ}"
        return who.client.post("/booking/reschedule/", {"start": start})

    assert [move(guest, place).status_code for place in range(1, 6)] == [302] * 5
    assert is_refused(move(guest, 6), "Moved several times already")
    assert guest.made().starts_at == start_number(5)
    assert move(others, 41).status_code == 302, "each booking has its own"
    assert "is cancelled" in guest.client.post("/booking/cancel/", {"reason": ""}).content.decode()


def test_the_desk_gets_so_many_mails_an_hour_and_sees_the_rest(clock, monkeypatch, mailoutbox):
    monkeypatch.setattr(rate_limits, "DESK_MAILS", (rate_limits.Limit(3, HOUR),))
    for number in range(6):
        assert Guest(clock, number).ask_for_call(email="").url == "/book/done/"
    outbox.drain()
    assert len(mailoutbox) == 3
    assert len(inbox.waiting_requests(Booking.objects.all(), here(), NOW)) == 6
    clock.shift(HOUR)
    Guest(clock, 9).ask_for_call(email="")
    outbox.drain()
    assert len(mailoutbox) == 4


def test_a_mail_to_the_desk_is_counted_once_however_often_it_is_tried(clock, monkeypatch):
    monkeypatch.setattr(rate_limits, "DESK_MAILS", (rate_limits.Limit(1, HOUR),))
    Guest(clock, 1).ask_for_call(email="")
    with monkeypatch.context() as broken:
        broken.setattr(smtp.MailConnection, "open", lambda *_: TryAgain("down", server_down=True))
        outbox.drain()
    clock.shift(timedelta(minutes=15))
    outbox.drain()
    assert Message.objects.get(kind="desk_new").state == "sent"


def test_a_call_back_without_mailbox_can_be_cancelled(clock):
    guest = Guest(clock, 1)
    guest.ask_for_call(email="")
    guest.page("/book/done/")
    assert guest.client.post("/booking/cancel/", {"reason": ""}).status_code == 200
    assert guest.made().status == "cancelled"


# --- one network ----------------------------------------------------------------------------------


def asked(guest, start):
    """Book, and say whether the mailbox has to be proved."""
    assert guest.book(start).url == "/book/done/"
    return guest.made().is_unverified


def test_the_sixth_of_a_network_in_an_hour_is_asked(clock):
    got = [
        asked(Guest(clock, number, network=f"203.0.113.{number}"), start_number(number))
        for number in range(8)
    ]
    assert got == [False] * 5 + [True] * 3
    assert not asked(Guest(clock, 20, network="203.0.114.1"), start_number(20)), "another network"
    clock.shift(HOUR)
    assert not asked(Guest(clock, 21, network="203.0.113.1"), start_number(21)), "an hour later"


def others_ask(count, network="192.0.2.1", every=timedelta(0), clock=None):
    """So many other people's requests, counted without their pages."""
    for _ in range(count):
        with rate_limits.admitted(network=network, email="", key=uuid.uuid4()) as admission:
            assert admission == rate_limits.Admission()
        if every:
            clock.shift(every)


def test_the_twenty_first_of_a_network_in_a_day_is_asked(clock):
    others_ask(19, network="2001:db8:7::/48", every=timedelta(minutes=15), clock=clock)
    assert not asked(Guest(clock, 1, network="2001:db8:7:1::1"), start_number(1))
    clock.shift(HOUR)
    assert asked(Guest(clock, 2, network="2001:db8:7:ffff::9"), start_number(2)), "the same /48"
    assert not asked(Guest(clock, 3, network="2001:db8:8::9"), start_number(3))
    clock.move_to(NOW + DAY + HOUR)
    assert not asked(Guest(clock, 4, network="2001:db8:7::2"), start_number(4))


def test_a_network_holds_three_unverified_times(clock):
    """AC-08: exactly; then a page with the phone, and again after 15 minutes."""
    bots = [Guest(clock, number, network="203.0.113.9", website="x") for number in range(5)]
    answers = [bot.book(start_number(number)).status_code for number, bot in enumerate(bots)]
    assert answers == [302] * 3 + [429] * 2
    last = bots[-1]
    assert is_refused(last.press(), "Too many requests from your connection")
    assert "Note 4" in last.page("/book/details/")
    clock.shift(timedelta(minutes=15))
    assert last.press().url == "/book/done/"


def test_a_network_gets_thirty_call_backs_an_hour(clock):
    answers = [
        Guest(clock, number, network="203.0.113.9", pause=4).ask_for_call(email="").status_code
        for number in range(33)
    ]
    assert answers == [302] * 30 + [429] * 3
    assert Booking.objects.count() == 30
    clock.shift(HOUR)
    assert Guest(clock, 50, network="203.0.113.9").ask_for_call(email="").status_code == 302


def test_everybody_is_asked_after_sixty_in_an_hour(clock):
    for number in range(59):
        others_ask(1, network=f"10.0.{number}.0/24")
    assert not asked(Guest(clock, 1, pause=2), start_number(1))
    assert asked(Guest(clock, 2, pause=2), start_number(2))
    clock.shift(HOUR)
    assert not asked(Guest(clock, 3), start_number(3))


def test_everybody_is_asked_after_a_hundred_and_fifty_in_a_day(clock):
    for number in range(149):
        others_ask(1, network=f"10.0.{number}.0/24", every=timedelta(minutes=2), clock=clock)
    clock.shift(HOUR)
    assert not asked(Guest(clock, 1), start_number(1))
    assert asked(Guest(clock, 2), start_number(2))


@pytest.mark.parametrize(
    ("hops", "peer", "chain", "network"),
    [
        (0, "203.0.113.5", "198.51.100.1", "203.0.113.0/24"),
        (1, "127.0.0.1", "198.51.100.1", "198.51.100.0/24"),
        (1, "127.0.0.1", "8.8.8.8, 198.51.100.1", "198.51.100.0/24"),
        (2, "127.0.0.1", "8.8.8.8, 198.51.100.1, 10.0.0.1", "198.51.100.0/24"),
        (2, "127.0.0.1", "198.51.100.1", "127.0.0.0/24"),
        (1, "127.0.0.1", "", "127.0.0.0/24"),
        (1, "127.0.0.1", "8.8.8.8, rubbish", "127.0.0.0/24"),
        (1, "127.0.0.1", "198.51.100.1:4711", "198.51.100.0/24"),
        (1, "127.0.0.1", "2001:db8:1:2:3::4", "2001:db8:1::/48"),
        (1, "127.0.0.1", "[2001:db8:1:2:3::4]:4711", "2001:db8:1::/48"),
        (1, "127.0.0.1", "::ffff:198.51.100.1", "198.51.100.0/24"),
        (0, "", "198.51.100.1", "unknown"),
    ],
)
def test_whose_network_it_is(settings, hops, peer, chain, network):
    """W-14"""
    settings.TRUSTED_PROXIES = hops
    request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=chain)
    assert rate_limits.network_of(request) == network


@pytest.mark.parametrize("hops", [0, 1])
def test_forged_headers_do_not_get_around_a_limit(settings, clock, hops):
    """W-14: a hundred chains, one visitor."""
    settings.TRUSTED_PROXIES = hops
    found = set()
    for number in range(100):
        forged = f"10.{number}.0.1, 192.0.2.{number}" + ", 203.0.113.7" * hops
        request = RequestFactory().get(
            "/", REMOTE_ADDR="203.0.113.7", HTTP_X_FORWARDED_FOR=forged,
            HTTP_X_REAL_IP=f"10.0.0.{number}", HTTP_FORWARDED=f"for=10.0.0.{number}",
            HTTP_CLIENT_IP=f"10.0.0.{number}",
        )  # fmt: skip
        found.add(rate_limits.network_of(request))
    assert found == {"203.0.113.0/24"}


# --- what looks like a program --------------------------------------------------------------------


def test_people_are_not_asked(clock):
    for number, pause in enumerate((1.6, 3, 30, 600)):
        assert not asked(Guest(clock, number, pause=pause), start_number(number))
    assert set(Message.objects.values_list("kind", flat=True)) == {"received", "desk_new"}


@pytest.mark.parametrize("guest", [{"pause": 1}, {"website": "https://spam.example"}, {"website": "\x00"}])  # fmt: skip
def test_programs_are_asked_and_not_refused(clock, guest):
    assert asked(Guest(clock, 1, **guest), start_number(0))
    assert list(Message.objects.values_list("kind", flat=True)) == ["verify"]


def test_a_second_booking_is_timed_anew(clock):
    guest = Guest(clock, 1)
    assert not asked(guest, start_number(0))
    guest.pause = 1
    assert asked(guest, start_number(1))


@pytest.mark.parametrize("step", ["details", "call"])
def test_the_field_for_programs_is_nobody_elses(clock, step):
    """No eye, keyboard or screen reader meets it, no browser fills it, and it is always empty."""
    guest = Guest(clock, 1, website="x")
    guest.choose(start_number(0))
    guest.send("details/", guest.person)
    page = guest.page(f"/book/{step}/")
    [field] = re.findall(r"<div hidden>.*?</div>", page, re.DOTALL)
    assert "Leave this field empty" in field
    assert 'tabindex="-1"' in field
    assert 'autocomplete="off"' in field
    assert "value" not in field
    assert page.count('name="website"') == 1


def test_on_this_machine_alone_pace_and_network_say_nothing(settings):
    """A site that only loopback reaches: everybody is one address, and trying it is no abuse."""
    settings.NETWORK_LIMITS = False
    with rate_limits.admitted(
        network="127.0.0.0/24", email="a@example.org", key=uuid.uuid4(), scripted=True
    ) as admission:
        assert admission.verify_within is None


def test_switched_off_nobody_is_asked(clock, settings):
    settings.ABUSE_LIMITS = False
    for number in range(8):
        guest = Guest(clock, 1, pause=0, website="x")
        assert not asked(guest, start_number(number))
    assert not RateCount.objects.exists()


# --- proving --------------------------------------------------------------------------------------


@pytest.fixture
def doubted(clock):
    guest = Guest(clock, 1, website="x")
    guest.book(start_number(0))
    return guest


def mailed_link(mailoutbox):
    outbox.drain()
    return re.search(r"http://\S+?(/booking/[\w-]{43}/)", mailoutbox[-1].body).group(1)


def test_the_page_says_until_when_the_time_is_held(doubted):
    page = doubted.page("/book/done/")
    until = doubted.made().hold_until - timedelta(hours=8)
    assert "Please confirm your e-mail" in page
    assert f"<b>{until:%H:%M}</b> (Los Angeles time)" in page
    assert "guest1@example.org" in page
    assert doubted.made().spoken_reference in page
    assert "calendar.ics" not in page


def test_one_press_from_the_mailbox_makes_it_a_request(doubted, mailoutbox):
    path = mailed_link(mailoutbox)
    reader = FormClient()
    assert reader.get(path).url == "/booking/"
    page = reader.get("/booking/").content.decode()
    assert page.count("<button") == 1
    assert "Yes, this is my booking" in page
    assert "Guest 1" not in page
    assert "Jaw pain" not in page
    assert reader.post("/booking/prove/").url == "/booking/"
    booking = doubted.made()
    assert (booking.status, booking.hold_until) == ("pending", None)
    kinds = sorted(Message.objects.values_list("kind", flat=True))
    assert kinds == ["desk_new", "received", "verify"]
    assert "Waiting for the clinic to confirm" in reader.get("/booking/").content.decode()
    assert reader.post("/booking/prove/").url == "/booking/", "pressing again is harmless"
    assert Message.objects.count() == 3
    assert "We are holding your time" in doubted.page("/book/done/")


def test_mail_scanners_verify_nothing(doubted, mailoutbox):
    """R-10: every safe method on every address."""
    path = mailed_link(mailoutbox)
    scanner = FormClient()
    for method in (scanner.get, scanner.head, scanner.options):
        for address in (path, "/booking/", "/booking/prove/"):
            method(address)
    assert doubted.made().is_unverified


def test_the_browser_that_asked_cannot_prove_change_or_cancel(doubted):
    doubted.page("/book/done/")
    for path in ("/booking/prove/", "/booking/cancel/", "/booking/reschedule/"):
        assert doubted.client.post(path, {"reason": "", "start": "x"}).status_code == 404
    assert doubted.client.get("/booking/calendar.ics").status_code == 404
    assert doubted.made().is_unverified


def test_nothing_else_can_be_done_before_the_proof(doubted, mailoutbox):
    reader = FormClient()
    reader.get(mailed_link(mailoutbox))
    reader.post("/booking/", {"fact": "guest1@example.org"})
    for path in ("/booking/cancel/", "/booking/reschedule/"):
        assert reader.get(path).url == "/booking/"
        start = f"{start_number(5):%Y-%m-%dT%H:%M:%SZ}"
        assert reader.post(path, {"start": start, "reason": ""}).url == "/booking/"
    assert doubted.made().is_unverified


def test_an_unverified_time_is_free_after_15_minutes_without_a_worker(doubted, clock, mailoutbox):
    """L-03"""
    path = mailed_link(mailoutbox)
    made, other = doubted.made(), Guest(clock, 2, pause=2)
    value = f"{start_number(0):%Y-%m-%dT%H:%M:%SZ}"
    other.choose()
    day = f"/book/time/?day={start_number(0):%Y-%m-%d}"
    clock.move_to(made.hold_until - timedelta(seconds=1))
    assert value not in other.page(day)
    clock.move_to(made.hold_until)
    assert value in other.page(day)
    assert "This time is no longer held" in doubted.page("/book/done/")
    other.send("time/", {"start": value})
    other.send("details/", other.person)
    assert other.press().url == "/book/done/"
    assert other.made().starts_at == made.starts_at
    late = FormClient()
    late.get(path)
    assert "This time is no longer held" in late.get("/booking/").content.decode()
    assert late.post("/booking/prove/").url == "/booking/"
    assert doubted.made().status == "cancelled"


def test_a_late_press_is_told_so(doubted, clock, mailoutbox):
    reader = FormClient()
    reader.get(mailed_link(mailoutbox))
    assert "Yes, this is my booking" in reader.get("/booking/").content.decode()
    clock.shift(timedelta(minutes=15))
    assert reader.post("/booking/prove/").url == "/booking/"
    assert "This time is no longer held" in reader.get("/booking/").content.decode()
    assert list(Message.objects.values_list("kind", flat=True)) == ["verify"]


def test_where_requests_are_confirmed_at_once_the_press_confirms(doubted, mailoutbox):
    make_clinic(confirm_at_once=True)
    reader = FormClient()
    reader.get(mailed_link(mailoutbox))
    reader.post("/booking/prove/")
    assert doubted.made().status == "booked"


# --- guesses --------------------------------------------------------------------------------------


def test_five_wrong_facts_an_hour(clock):
    booking = make_booking(starts_at=start_number(40), phone="+13235550177")
    one, other = manage_links.issue(booking), manage_links.issue(booking)
    client = FormClient()
    client.get(f"/booking/{one}/")

    def try_it(fact):
        response = client.post("/booking/", {"fact": fact})
        return "right" if response.status_code == 302 else response.content.decode()

    for number in range(5):
        assert "does not match" in try_it(f"000{number}")
        clock.shift(timedelta(minutes=5))
    assert all("Too many tries" in try_it(fact) for fact in ("0177", "0009"))
    clock.move_to(NOW + timedelta(minutes=60))
    client.get(f"/booking/{one}/")
    assert "does not match" in try_it("0009"), "the first of the five is an hour old"
    assert "Too many tries" in try_it("0177")
    client.get(f"/booking/{other}/")
    assert try_it("0177") == "right", "another link has tries of its own"
    assert ManageLink.objects.filter(browser="").count() == 2


def test_sixty_unknown_links_a_minute(clock):
    """R-13: then nothing more opens from there; elsewhere the real link does."""
    secret = manage_links.issue(make_booking(starts_at=start_number(0)))
    guesser = FormClient(REMOTE_ADDR="203.0.113.9")
    got = [guesser.get(f"/booking/{number:043}/").status_code for number in range(70)]
    assert got == [404] * 60 + [429] * 10
    assert is_refused(guesser.get(f"/booking/{secret}/"), "Please wait one minute")
    assert FormClient(REMOTE_ADDR="203.0.112.9").get(f"/booking/{secret}/").url == "/booking/"
    clock.shift(timedelta(minutes=1))
    assert guesser.get(f"/booking/{secret}/").url == "/booking/"


# --- what is kept ---------------------------------------------------------------------------------


def test_a_tally_tells_nothing_and_goes_after_a_day(clock, settings):
    Guest(clock, 1).book(start_number(0))
    kept = str(list(RateCount.objects.values())) + str(list(RateCount.objects.values_list("key")))
    assert not re.search(r"guest1|example\.org|3235550001|198\.51", kept)
    keys = set(RateCount.objects.values_list("key", flat=True))
    assert all(re.fullmatch(r"[0-9a-f]{64}", key) for key in keys)
    settings.SECRET_KEY = "another key of the same site, which makes other digests"  # noqa: S105
    assert rate_limits._key("mailbox", "guest1@example.org") not in keys
    clock.shift(DAY - timedelta(seconds=60))
    assert rate_limits.purge(datetime.now(UTC)) == 0
    clock.shift(timedelta(seconds=61))
    assert rate_limits.purge(datetime.now(UTC)) == len(keys)
