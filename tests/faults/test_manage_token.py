"""R-05 to R-14: a manage link opens one booking, only when a person uses it, and only while it lives.

tests/bookings/views/test_manage.py and test_links.py hold what one page or function does; here is what
an attacker, a mail scanner or a copy of the database can do.
"""

import random
import string
from collections import Counter
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import cycle, islice, product
from urllib.parse import urlencode

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection

from bookings import manage_links
from bookings.lifecycle import answers as lifecycle_answers
from bookings.lifecycle import contact
from bookings.messaging import outbox
from bookings.models import Booking, ManageLink, Message
from clinic.models import AuditEvent
from tests.factories import make_booking, make_clinic, make_hours, make_practitioner
from tests.faults.crowd import booked
from tests.server import Visitor

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)
START = datetime(2027, 1, 6, 17, tzinfo=UTC)
HIDDEN = (
    "Zelda",
    "Quill",
    "zelda@example.org",
    "5550177",
    "555 0177",
    "555-0177",
    "my secret note",
)
FORM = "application/x-www-form-urlencoded"
SCANNERS = (
    "Mozilla/5.0 (compatible; Microsoft Office/16.0; SafeLinks)",
    "Barracuda Sentinel (EE)",
    "Mozilla/5.0 (compatible; Proofpoint URL Defense)",
    "Slackbot-LinkExpanding 1.0",
    "WhatsApp/2.23",
    "facebookexternalhit/1.1",
    "curl/8.5.0",
    "",
)


@pytest.fixture
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def booking(db, clock):
    make_clinic(phone="+13235550142")
    make_hours()
    return make_booking(
        status="booked", starts_at=START, name="Zelda Quill", email="zelda@example.org",
        phone="+13235550177", message="my secret note", confirmed_at=NOW,
    )  # fmt: skip


@pytest.fixture
def identified(client, booking):
    """A browser that opened the link and gave the second fact."""
    client.get(f"/booking/{manage_links.issue(booking)}/")
    post(client, "/booking/", fact="zelda@example.org")
    assert "Zelda Quill" in client.get("/booking/").content.decode()
    return client


def post(client, path, **data):
    return client.post(path, urlencode(data), content_type=FORM)


def state():
    """All that a request could have changed."""
    return (
        list(Booking.objects.order_by("pk").values_list("status", "starts_at", "sequence")),
        Message.objects.count(),
        AuditEvent.objects.count(),
        ManageLink.objects.filter(revoked_at=None).count(),
    )


def alterations(secret, dice):
    """Without end: one or several letters changed, cut, longer, in another case or order."""
    letters = string.ascii_letters + string.digits + "-_=/+ %é"
    while True:
        text = list(secret)
        for _ in range(dice.choice([1, 1, 2, 5])):
            text[dice.randrange(len(text))] = dice.choice(letters)
        text = "".join(text)
        cut = dice.randrange(1, len(secret))
        altered = dice.choice(
            [text, text, text, secret[:cut], secret[cut:] + secret[:cut], secret + text[:cut],
             secret.upper(), secret.swapcase(), f" {secret}", f"{secret}\n"]
        )  # fmt: skip
        if altered != secret:
            yield altered


@pytest.mark.parametrize("number", [1000, pytest.param(10_000, marks=pytest.mark.night)])
def test_altered_links_open_nothing(booking, tally, number):
    """R-05: every alteration of a valid link is refused."""
    secret = manage_links.issue(booking)
    for altered in islice(alterations(secret, tally.dice), number):
        assert manage_links.look_up(altered) is None
        tally.add(refused=1)
    assert manage_links.look_up(secret)


def test_what_does_not_open_answers_alike(client, booking):
    """R-05, R-06: altered, expired, revoked, erased, of nobody: one page, with the phone number."""
    secret = manage_links.issue(booking)
    revoked, erased = make_booking(), make_booking(erased_at=NOW)
    dead = [
        manage_links.issue(revoked),
        manage_links.issue(erased),
        "x" * 43,
        secret[:-1],
        secret.swapcase(),
    ]
    # What others know or could compute of it opens nothing either.
    link = manage_links.look_up(secret)
    dead += [link.digest, booking.reference, str(booking.uid), str(booking.pk), str(link.pk)]
    manage_links.revoke_links_of(revoked)
    answers = [client.get(f"/booking/{text}/") for text in dead]
    with time_machine.travel(booking.ends_at + timedelta(hours=24, seconds=1)):
        answers.append(client.get(f"/booking/{secret}/"))
    assert {answer.status_code for answer in answers} == {404}
    [page] = {answer.content for answer in answers}
    assert b"tel:+13235550142" in page
    assert not [value for value in HIDDEN if value.encode() in page]
    assert client.get("/booking/").status_code == 404


def test_ids_of_another_booking_select_nothing(identified, booking):
    """R-08: 200 combinations of a known id, its name and its place; the other one is untouched."""
    other = make_booking(
        starts_at=START + timedelta(days=1), practitioner=make_practitioner(), name="Otto Other"
    )
    link = manage_links.look_up(manage_links.issue(other))
    names = ("id", "pk", "booking", "booking_id", "reference", "uid", "link", "digest", "manage")
    values = (other.pk, other.reference, str(other.uid), link.pk, link.digest, f"{link.pk}:1")
    before, tried = state(), 0
    for name, value in product(names, values):
        header = {f"HTTP_X_{name.upper()}": str(value)}
        for page in (
            identified.get(f"/booking/?{name}={value}", **header),
            identified.get(f"/booking/cancel/?{name}={value}"),
            post(identified, "/booking/reschedule/", **{name: value, "start": "x"}),
            post(identified, f"/booking/?{name}={value}", **{name: value, "fact": other.email}),
        ):
            assert b"Otto Other" not in page.content
            tried += 1
    cookie = identified.cookies["manage"].value
    for forged in (f"{link.pk}:1", cookie.replace(cookie.split(":")[0], str(link.pk), 1)):
        identified.cookies["manage"] = forged
        assert identified.get("/booking/").status_code == 404
        assert post(identified, "/booking/cancel/", reason="").status_code == 404
    assert tried >= 200
    assert state() == before


@pytest.mark.parametrize("number", [200, pytest.param(1000, marks=pytest.mark.night)])
def test_scanners_change_nothing(client, identified, booking, tally, number):
    """R-10: GET, HEAD, OPTIONS and prefetch of every address that a mail or page links to."""
    secret = manage_links.issue(booking)
    before = state()
    paths = (
        f"/booking/{secret}/", "/booking/", "/booking/cancel/", "/booking/reschedule/",
        "/booking/reschedule/?start=2027-01-07T17:00:00Z", "/booking/calendar.ics",
        "/booking/cancel/?reason=x", "/booking/prove/", "/booking/choose/", "/booking/lost/",
    )  # fmt: skip
    every = cycle(product((client.get, client.head, client.options), SCANNERS, paths))
    for method, agent, path in islice(every, number):
        method(path, HTTP_USER_AGENT=agent, HTTP_PURPOSE="prefetch")
        tally.add(requests=1)
    assert state() == before


# --- what a copy of the database tells ------------------------------------------------------


def everything_stored():
    """Every value of every table, as text."""
    tables = connection.introspection.table_names()
    assert Booking._meta.db_table in tables
    parts = []
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            parts += [str(row) for row in cursor.fetchall()]
    return "\n".join(parts)


def test_a_dump_holds_no_secret(booking):
    """R-11: 256 bits each, all different in one frozen instant, and none of 1,000 is stored."""
    secrets = [manage_links.issue(booking, NOW) for _ in range(1000)]
    assert len(set(secrets)) == 1000
    assert min(map(len, secrets)) >= 43
    letters = Counter("".join(secrets))
    assert len(letters) == 64
    expected = sum(letters.values()) / 64
    assert max(abs(count - expected) for count in letters.values()) < expected * 0.25
    dump = everything_stored()
    assert booking.reference in dump, "the dump is one"
    assert not [secret for secret in secrets if secret in dump]
    assert not [secret for secret in secrets if secret[:20] in dump]


def test_links_do_not_follow_from_the_random_seed(booking):
    """R-11: nothing that can be set or guessed brings the same secret again."""
    random.seed(1)
    first = manage_links.issue(booking, NOW)
    random.seed(1)
    assert manage_links.issue(booking, NOW) != first


# --- where the secret is seen ---------------------------------------------------------------

ISSUE = """
from bookings import manage_links
from bookings.models import Booking
print(manage_links.issue(Booking.objects.get(reference={!r})))
"""


def test_the_secret_is_in_one_request_only(server, times):
    """R-12: after the first address no page, header, cookie or log line holds it."""
    _visitor, ref = booked(server, times.take()[0], 1)
    secret = server.python(ISSUE.format(ref)).strip()
    visitor = Visitor(server.port)
    answer = visitor.get(f"/booking/{secret}/")
    assert (answer.status, answer.location) == (302, "/booking/")
    assert answer.headers["Referrer-Policy"] == "same-origin"
    answers = [answer]
    answers.append(visitor.get("/booking/"))
    answers.append(visitor.post("/booking/", {"fact": "pat1@example.org"}))
    answers += [
        visitor.get(path)
        for path in (
            "/booking/",
            "/booking/reschedule/",
            "/booking/cancel/",
            "/booking/calendar.ics",
        )
    ]
    assert [one.status for one in answers] == [302, 200, 302, 200, 200, 200, 200]
    # Near misses are what servers like to log.
    for path in (f"/booking/{secret}x/", f"/booking/{secret}", f"/booking/{secret}/cancel/"):
        Visitor(server.port).get(path)
    Visitor(server.port).send("POST", f"/booking/{secret}/", "")
    seen = "".join(one.text + str(one.headers) for one in answers) + str(visitor.cookies)
    log = (server.folder / "server.log").read_text(errors="replace")
    for text in (seen, log):
        assert secret not in text
        assert secret[:20] not in text
    assert "/booking/…" in log


# --- R-13 -----------------------------------------------------------------------------------------


@pytest.mark.night
def test_walk(client, booking, settings, tally):
    """R-13: 10,000 ids, references and random secrets open nothing and show nobody."""
    settings.ABUSE_LIMITS = False
    others = [make_booking(starts_at=START + timedelta(days=n)) for n in range(1, 30)]
    letters = string.ascii_letters + string.digits + "-_"
    known = [str(n) for n in range(200)]
    for one in [booking, *others]:
        known += [one.reference, one.spoken_reference, str(one.uid), one.uid.hex, str(one.pk)]
        manage_links.issue(one)
    known += list(ManageLink.objects.values_list("digest", flat=True))
    names = [one.name for one in [booking, *others]]
    while len(known) < 10_000:
        known.append("".join(tally.dice.choice(letters) for _ in range(43)))
    for text in known:
        page = client.get(f"/booking/{text}/")
        assert page.status_code == 404
        assert not [name for name in names if name in page.content.decode()]
        tally.add(refused=1)


# --- keys and leaks -------------------------------------------------------------------------


def test_links_and_visits_survive_a_new_key(identified, booking, settings):
    """R-14: links do not depend on the key; open visits live on while the old key is a fallback."""
    secret, old = manage_links.issue(booking), settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "n" * 64, [old]
    assert "Zelda Quill" in identified.get("/booking/").content.decode()
    settings.SECRET_KEY_FALLBACKS = []
    assert identified.get("/booking/").status_code == 404
    assert identified.get(f"/booking/{secret}/").status_code == 302


def test_revoke_links(identified, booking, client):
    """R-14: one command ends every link and every open visit; a new link can be had at once."""
    secrets = [manage_links.issue(make_booking()) for _ in range(5)] + [manage_links.issue(booking)]
    alive = ManageLink.objects.filter(revoked_at=None).count()
    output = StringIO()
    call_command("revoke_links", stdout=output)
    assert output.getvalue() == f"{alive} links revoked.\n"
    assert not [secret for secret in secrets if manage_links.look_up(secret)]
    assert identified.get("/booking/").status_code == 404
    assert post(identified, "/booking/cancel/", reason="").status_code == 404
    event = AuditEvent.objects.get(action="links.revoked")
    assert (event.actor_label, event.details) == ("system", {"number": alive})
    booking.refresh_from_db()
    assert booking.status == "booked"
    post(client, "/booking/lost/", email="zelda@example.org")
    assert outbox.drain()["sent"] == 1
    assert ManageLink.objects.valid(NOW).filter(booking=booking).count() == 1


def test_old_links_end_with_every_change(booking):
    """R-09: moved, another address, sent again: 0 seconds in which the old link still works."""
    changes = (
        lambda: lifecycle_answers.reschedule(
            booking, start=START + timedelta(hours=1), by="system", now=NOW
        ),
        lambda: contact.correct(
            booking, changes={"email": "new@example.org"}, by="system", now=NOW
        ),
        lambda: contact.send_link(booking, by="system", now=NOW),
    )
    for change in changes:
        secret = manage_links.issue(booking, NOW)
        change()
        assert manage_links.look_up(secret, NOW) is None
