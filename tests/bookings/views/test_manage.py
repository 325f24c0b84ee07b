"""The manage link: what it shows, what it needs, and what it never does."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import time_machine

from bookings import manage_links
from bookings.lifecycle import answers, contact, offers
from bookings.models import Booking, Message
from bookings.views import manage
from clinic.models import AuditEvent
from tests.factories import make_booking, make_clinic, make_concern, make_hours, make_practitioner

pytestmark = pytest.mark.django_db

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)
START = datetime(2027, 1, 6, 17, tzinfo=UTC)
HIDDEN = ["Zelda Quill", "zelda@example.org", "555-0177", "5550177", "Jaw pain", "my secret note"]


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def booking():
    make_clinic()
    make_hours()
    return make_booking(
        status="booked", starts_at=START, name="Zelda Quill", email="zelda@example.org",
        phone="+13235550177", message="my secret note", condition=make_concern(name="Jaw pain"),
        confirmed_at=NOW,
    )  # fmt: skip


@pytest.fixture
def opened(client, booking):
    """A browser that has followed the link, and no more."""
    response = client.get(f"/booking/{manage_links.issue(booking)}/")
    assert response.url == "/booking/"
    return client


@pytest.fixture
def identified(opened):
    assert opened.post("/booking/", {"fact": "zelda@example.org"}).url == "/booking/"
    return opened


def test_the_secret_leaves_the_address_at_once(opened):
    page = opened.get("/booking/")
    assert page.status_code == 200
    assert page["Cache-Control"] == "no-store, private"
    assert "noindex" in page["X-Robots-Tag"]


def test_without_the_second_fact_only_time_and_place_are_shown(opened, booking):
    """H-09"""
    page = opened.get("/booking/").content.decode()
    assert "Wednesday 6 January" in page
    assert booking.practitioner.name in page
    for value in HIDDEN:
        assert value not in page


@pytest.mark.parametrize(
    "fact", ["zelda@example.org", "ZELDA@example.org", "0177", "+1 323 555 0177"]
)
def test_the_second_fact_shows_the_rest(opened, fact):
    opened.post("/booking/", {"fact": fact})
    page = opened.get("/booking/").content.decode()
    assert "Zelda Quill" in page
    assert "Jaw pain" in page


@pytest.mark.parametrize("fact", ["other@example.org", "0178", "177", "", "@", "x" * 9000, "\x00"])
def test_a_wrong_fact_shows_nothing(opened, fact):
    response = opened.post("/booking/", {"fact": fact})
    assert response.status_code == 422
    assert "Zelda" not in opened.get("/booking/").content.decode()


def test_five_wrong_facts_lock_the_link_for_an_hour(opened, clock):
    for _ in range(5):
        opened.post("/booking/", {"fact": "0000"})
    response = opened.post("/booking/", {"fact": "0177"})
    assert "Too many tries" in response.content.decode()
    assert "Zelda" not in opened.get("/booking/").content.decode()


@pytest.mark.parametrize("path", ["/booking/cancel/", "/booking/reschedule/"])
def test_nothing_can_be_changed_without_the_second_fact(opened, booking, path):
    response = opened.post(path, {"start": "2027-01-07T17:00:00Z"})
    assert response.url == "/booking/"
    booking.refresh_from_db()
    assert (booking.status, booking.starts_at) == ("booked", START)


def test_get_changes_nothing(client, booking):
    """R-10: scanners follow every link, with every safe method."""
    secret = manage_links.issue(booking)
    for method in (client.get, client.head, client.options):
        for path in (
            f"/booking/{secret}/", "/booking/", "/booking/cancel/", "/booking/reschedule/",
            "/booking/calendar.ics", "/booking/reschedule/?start=2027-01-07T17:00:00Z",
        ):  # fmt: skip
            method(path)
    booking.refresh_from_db()
    assert (booking.status, booking.starts_at, booking.sequence) == ("booked", START, 0)
    assert not Message.objects.exists()
    assert not AuditEvent.objects.exists()


def test_cancel_in_two_presses(identified, booking):
    page = identified.get("/booking/cancel/").content.decode()
    assert "Yes, cancel it" in page
    response = identified.post("/booking/cancel/", {"reason": ""})
    assert "is cancelled" in response.content.decode()
    booking.refresh_from_db()
    assert (booking.status, booking.cancelled_by) == ("cancelled", "patient")
    assert Message.objects.filter(kind="cancelled").count() == 1


def test_a_cancelled_booking_says_so_and_takes_no_more(identified, booking):
    """R-07"""
    secret = manage_links.issue(booking)
    identified.post("/booking/cancel/", {"reason": "x"})
    again = identified.post("/booking/cancel/", {"reason": "x"})
    assert again.status_code == 200
    assert "is cancelled" in again.content.decode()
    assert identified.get(f"/booking/{secret}/").url == "/booking/"
    page = identified.get("/booking/").content.decode()
    assert "Cancelled" in page
    for gone in ("/booking/cancel/", "/booking/reschedule/", "/booking/reminders/"):
        assert gone not in page
    for hidden in HIDDEN:
        assert hidden not in page, "the link alone tells as little as ever"
    later = (START + timedelta(hours=1)).isoformat()
    assert identified.post("/booking/reschedule/", {"start": later}).status_code in (302, 409)
    booking.refresh_from_db()
    assert (booking.status, booking.starts_at) == ("cancelled", START)
    assert Message.objects.filter(kind="cancelled").count() == 1


def test_move(identified, booking):
    page = identified.get("/booking/reschedule/").content.decode()
    assert "Choose another time" in page
    assert (
        identified.post("/booking/reschedule/", {"start": "2027-01-07T17:30:00Z"}).url
        == "/booking/"
    )
    booking.refresh_from_db()
    assert booking.starts_at == datetime(2027, 1, 7, 17, 30, tzinfo=UTC)
    assert booking.status == "pending"
    assert "Thursday 7 January" in identified.get("/booking/").content.decode(), (
        "still signed in to it"
    )


def test_an_answer_is_promised_before_the_visit(identified, booking):
    Booking.objects.update(
        status="pending", confirmed_at=None, created_at=START - timedelta(hours=3)
    )
    page = identified.get("/booking/").content.decode()
    assert "We will e-mail you by Wednesday 6 January, 09:00" in page
    Booking.objects.update(created_at=START - timedelta(hours=30))
    page = identified.get("/booking/").content.decode()
    assert "We will e-mail you by Wednesday 6 January, 03:00" in page


def test_another_zone_can_be_chosen_to_move_in(identified, booking):
    page = identified.get("/booking/reschedule/?zone=Asia/Kolkata").content.decode()
    assert 'value="Asia/Kolkata" selected' in page
    assert 'value="America/Los_Angeles"' in page
    assert "Kolkata time" in page


def test_a_second_press_of_a_move_is_answered(identified, booking):
    """Its browser may not have seen the first answer, nor the cookie that came with it."""
    cookie = identified.cookies["manage"].value
    for _ in range(2):
        identified.cookies["manage"] = cookie
        moved = identified.post("/booking/reschedule/", {"start": "2027-01-07T17:30:00Z"})
        assert (moved.status_code, moved.url) == (302, "/booking/")
    booking.refresh_from_db()
    assert booking.sequence == 1
    assert Message.objects.filter(kind="received").count() == 1
    identified.cookies["manage"] = cookie
    assert "Thursday 7 January" in identified.get("/booking/").content.decode()


def test_a_refused_move_says_why_and_keeps_the_old_time(identified, booking):
    make_booking(practitioner=booking.practitioner, starts_at=START + timedelta(hours=1))
    for start in ("2027-01-06T18:00:00Z", "x", "2027-01-01T17:00:00Z"):
        response = identified.post("/booking/reschedule/", {"start": start})
        assert response.status_code == 409
        assert "There is a problem" in response.content.decode()
    booking.refresh_from_db()
    assert (booking.starts_at, booking.status) == (START, "booked")


def test_the_deadline_is_shown_and_enforced(identified, booking, clock):
    assert "13:00" not in identified.get("/booking/").content.decode()
    assert "Wednesday 6 January, 05:00" in identified.get("/booking/").content.decode()
    clock.move_to(START - timedelta(hours=3))
    identified.get(f"/booking/{manage_links.issue(booking)}/")
    identified.post("/booking/", {"fact": "0177"})
    assert "too late" in identified.get("/booking/").content.decode()
    response = identified.post("/booking/cancel/", {"reason": ""})
    assert response.status_code == 409
    booking.refresh_from_db()
    assert booking.status == "booked"


@pytest.mark.parametrize("secret", ["x", "x" * 43, "A" * 5000, "%2e%2e", "ÅÄÖ", "-1"])
def test_unknown_links_answer_alike(client, booking, secret):
    response = client.get(f"/booking/{secret}/")
    assert response.status_code == 404
    assert "does not open a booking" in response.content.decode()


def test_every_altered_letter_is_refused(client, booking):
    """R-05"""
    secret = manage_links.issue(booking)
    for place in range(len(secret)):
        other = "A" if secret[place] != "A" else "B"
        altered = secret[:place] + other + secret[place + 1 :]
        assert client.get(f"/booking/{altered}/").status_code == 404
    for altered in (secret[:-1], secret + "A", secret.swapcase()):
        assert client.get(f"/booking/{altered}/").status_code == 404


def test_another_bookings_ids_change_nothing(identified, booking):
    """R-08: the link selects the booking, never an id in the request."""
    other = make_booking(starts_at=START + timedelta(days=1), practitioner=make_practitioner())
    for key in ("id", "pk", "booking", "booking_id", "reference", "uid", "link"):
        for value in (other.pk, other.reference, str(other.uid)):
            identified.post(f"/booking/reschedule/?{key}={value}", {key: value, "start": "x"})
            assert other.name not in identified.get(f"/booking/?{key}={value}").content.decode()
    other.refresh_from_db()
    assert other.status == "booked"


def test_a_forged_cookie_opens_nothing(client, booking):
    link = manage_links.look_up(manage_links.issue(booking))
    for forged in (f"{link.pk}:1", f"{link.pk}:1:abc", "", "x", f"{link.pk}:1:1abcde:" + "x" * 43):
        client.cookies["manage"] = forged
        assert client.get("/booking/").status_code == 404


def test_the_link_ends_after_the_visit(client, booking, clock):
    """R-06"""
    secret = manage_links.issue(booking)
    clock.move_to(booking.ends_at + timedelta(hours=24, minutes=1))
    assert client.get(f"/booking/{secret}/").status_code == 404


def test_old_links_die_when_the_booking_changes(client, booking):
    """R-09"""
    secret = manage_links.issue(booking)
    answers.reschedule(booking, start=START + timedelta(hours=1), by="system", now=NOW)
    assert client.get(f"/booking/{secret}/").status_code == 404


def test_the_secret_of_the_browser_that_moved_dies_too(client, booking):
    """R-09"""
    secret = manage_links.issue(booking)
    client.get(f"/booking/{secret}/")
    client.post("/booking/", {"fact": "zelda@example.org"})
    client.post("/booking/reschedule/", {"start": "2027-01-07T17:30:00Z"})
    assert client.get("/booking/").status_code == 200
    assert client.get(f"/booking/{secret}/").status_code == 404


def test_the_answer_to_a_lost_link_takes_as_long_either_way(client, booking, monkeypatch):
    """What a known address costs more is waited for an unknown one too."""
    clock = SimpleNamespace(now=0.0, waits=[])
    monkeypatch.setattr(
        manage, "time", SimpleNamespace(monotonic=lambda: clock.now, sleep=clock.waits.append)
    )

    def mail_links(email):
        clock.now += 0.03 if email == "zelda@example.org" else 0.001

    monkeypatch.setattr(contact, "mail_lost_links", mail_links)
    for email, waits in (("zelda@example.org", 0.07), ("nobody@example.org", 0.099)):
        client.post("/booking/lost/", {"email": email})
        assert clock.waits.pop() == pytest.approx(waits)


# --- reminders ------------------------------------------------------------------------------------


def test_reminders_are_stopped_and_sent_again_from_the_mailbox_without_a_second_fact(
    opened, booking
):
    assert "Stop reminders" in opened.get("/booking/").content.decode()
    for wanted, words in (("no", "Send me reminders"), ("yes", "Stop reminders")):
        assert opened.post("/booking/reminders/", {"wanted": wanted}).url == "/booking/"
        booking.refresh_from_db()
        assert booking.wants_reminders == (wanted == "yes")
        assert words in opened.get("/booking/").content.decode()
    actions = AuditEvent.objects.filter(action__startswith="booking.reminders").order_by("pk")
    assert [event.action for event in actions] == ["booking.reminders_off", "booking.reminders_on"]


def test_a_link_that_opens_nothing_stops_no_reminders(client, booking):
    assert client.post("/booking/reminders/", {"wanted": "no"}).status_code == 404
    assert client.get("/booking/reminders/").status_code == 405


def test_lost_link_never_tells_whether_an_address_is_known(client, booking):
    known = client.post("/booking/lost/", {"email": "zelda@example.org"})
    unknown = client.post("/booking/lost/", {"email": "nobody@example.org"})
    assert known.content == unknown.content
    assert Message.objects.filter(kind="link", booking=booking).count() == 1
    for _ in range(6):
        client.post("/booking/lost/", {"email": "zelda@example.org"})
    assert Message.objects.filter(kind="link").count() <= 3


def test_bookings_are_never_deleted(identified, booking):
    identified.post("/booking/cancel/", {"reason": ""})
    assert Booking.objects.filter(pk=booking.pk).exists()


# --- offers ---------------------------------------------------------------------------------------


@pytest.fixture
def offered(identified, booking):
    booking.status = "pending"
    booking.save()
    times = [(START + timedelta(hours=hours), booking.practitioner) for hours in (1, 2, 3)]
    offers.offer(booking, times=times, by="system", now=NOW)
    return booking.offers.order_by("starts_at")


def test_an_offered_time_is_taken_with_one_press(identified, booking, offered):
    page = identified.get("/booking/").content.decode()
    assert "The clinic offers you these times" in page
    assert page.count('name="offer"') == 3
    assert identified.post("/booking/choose/", {"offer": offered[1].uid}).url == "/booking/"
    booking.refresh_from_db()
    assert (booking.status, booking.starts_at) == ("booked", START + timedelta(hours=2))
    assert "offers you" not in identified.get("/booking/").content.decode()


def test_offers_are_seen_but_not_taken_without_the_second_fact(opened, booking):
    booking.status = "pending"
    booking.save()
    times = [(START + timedelta(hours=1), booking.practitioner)]
    offers.offer(booking, times=times, by="system", now=NOW)
    page = opened.get("/booking/").content.decode()
    assert "offers you" in page
    assert 'name="offer"' not in page
    assert opened.post("/booking/choose/", {"offer": booking.offers.get().uid}).url == "/booking/"
    booking.refresh_from_db()
    assert booking.starts_at == START


@pytest.mark.parametrize("wanted", ["", "x", "00000000-0000-0000-0000-000000000000", "\x00"])
def test_an_unknown_offer_says_so(identified, booking, offered, wanted):
    response = identified.post("/booking/choose/", {"offer": wanted})
    assert response.status_code == 409
    assert "Choose one of the times" in response.content.decode()


def test_an_ended_offer_says_so(identified, booking, offered, clock):
    uid = offered[0].uid
    Booking.objects.filter(offered_for=booking).update(hold_until=NOW)
    response = identified.post("/booking/choose/", {"offer": uid})
    assert response.status_code == 409
    assert "This offer has ended" in response.content.decode()


def test_a_second_press_on_an_offer_is_answered(identified, booking, offered):
    cookie, uid = identified.cookies["manage"].value, offered[1].uid
    for _ in range(2):
        identified.cookies["manage"] = cookie
        assert identified.post("/booking/choose/", {"offer": uid}).url == "/booking/"
    assert Message.objects.filter(kind="confirmed", booking=booking).count() == 1
