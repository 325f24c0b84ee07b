"""X-01, X-05 to X-07, X-09: what patients type stays text: staff screens, mails, exported files."""

import csv
import io
import logging
import sys
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.urls import reverse
from django.utils import timezone

from bookings.messaging import email as mails
from bookings.models import Message
from clinic import audit
from clinic.logs import MaskSecrets, OneLine
from clinic.models import Clinic
from clinic.staff.adapters import DEMO_GROUP
from tests.factories import make_booking, make_clinic, make_practitioner, make_user, queue_message

pytestmark = pytest.mark.django_db

PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "'><iframe srcdoc='<script>alert(1)</script>'>",
    "<a href=javascript:alert(1)>x</a>",
    "</title><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "<style>*{display:none}</style>",
    "<math><mtext><script>alert(1)</script>",
    "<body onload=alert(1)>",
    '" autofocus onfocus=alert(1) x="',
    "' onmouseover='alert(1)",
    "<!--<script>alert(1)</script>-->",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "{{ clinic.email }}{% now 'Y' %}",
    "{x.__class__.__init__.__globals__}",
    "%(password)s ${7*7} #{7*7}",
    '=HYPERLINK("https://evil.example")',
    "+1+cmd|' /C calc'!A0",
    "@SUM(1+1)",
]


class Active(HTMLParser):
    """What could run in a page as a browser parses it: handlers, inline scripts, odd addresses."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag in ("iframe", "math", "object", "embed", "style") or "srcdoc" in values:
            self.found.append(tag)
        if tag == "script" and "src" not in values and "json" not in values.get("type", ""):
            self.found.append(tag)
        self.found += [name for name in values if name.startswith("on")]
        links = (values.get("href") or "", values.get("src") or "", values.get("action") or "")
        self.found += [link for link in links if link.lower().startswith(("javascript", "data"))]

    @classmethod
    def in_page(cls, body):
        parser = cls()
        parser.feed(body)
        return parser.found


@pytest.fixture
def staff(client):
    user = make_user("superuser")
    user.groups.create(name=DEMO_GROUP)
    client.force_login(user)
    return client


def screens(booking):
    change = reverse("admin:bookings_booking_change", args=[booking.pk])
    yield reverse("admin:bookings_booking_changelist")
    yield change
    yield reverse("admin:bookings_booking_history", args=[booking.pk])
    yield reverse("admin:desk")
    yield reverse("admin:bookings_message_changelist")
    yield reverse("admin:index")
    for message in booking.messages.all():
        yield reverse("admin:bookings_message_change", args=[message.pk])


@pytest.mark.parametrize("payload", PAYLOADS)
def test_text_of_patients_is_inert(staff, payload):
    make_clinic()
    booking = make_booking(
        status="pending", practitioner=make_practitioner(), starts_at=timezone.now() + timedelta(hours=3),
        name=payload[:80], message=payload, call_when=payload, staff_note=payload,
        cancel_reason=payload,
    )  # fmt: skip
    queue_message(booking, Message.Kind.RECEIVED)
    pages = [(path, staff.get(path)) for path in screens(booking)]
    assert len(pages) == 7
    for path, response in pages:
        assert response.status_code == 200, path
        body = response.content.decode()
        if "<" in payload:
            assert payload not in body, path
        if payload.startswith(('"', "'")):
            assert payload not in body, path
        assert Active.in_page(body) == [], path


@pytest.mark.parametrize("payload", PAYLOADS)
def test_mails_carry_no_markup_of_patients(payload):
    make_clinic()
    booking = make_booking(
        status="booked", starts_at=timezone.now() + timedelta(days=3), name=payload[:80],
        message=payload,
    )  # fmt: skip
    for kind in (Message.Kind.CONFIRMED, Message.Kind.REMINDER):
        message = queue_message(booking, kind)
        mail = mails.compose(message, booking, timezone.now())
        html = mail.alternatives[0][0]
        for text in (mail.subject, mail.body, html):
            assert payload not in text
            assert "alert(1)" not in text
        assert "evil.example" not in html


FORMULAS = [
    *(payload for payload in PAYLOADS if payload[0] in "=+-@"),
    "=1+1",
    "-2+3+cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "\x1f=1+1",  # PostgreSQL stores no NUL; tests/bookings/desk/test_exports.py has it
    "Pat\r\n=1+1",
    "Pat;=1+1",
    'Pat";"=1+1',
    'Pat","=1+1',
    "\ufeff=1+1",
    "\u200b＝1+1",
    "＝1+1",
    "＋1+1",
    "－1+1",
    "＠SUM(1+1)",
]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_cell_of_an_export_is_a_formula(staff, separator):
    """X-06: in each field that a patient can fill, whatever the spreadsheet takes for a separator."""
    make_clinic()
    who, start = make_practitioner(), timezone.now() + timedelta(hours=3)
    for number, text in enumerate(FORMULAS):
        make_booking(
            practitioner=who, starts_at=start + number * timedelta(hours=1), name=text, email=text,
            message=text, call_when=text, spoken_language=text[:30], cancel_reason=text,
        )  # fmt: skip
    staff.post(reverse("account_reauthenticate"), {"password": "correct horse battery"})
    day, two = start.date(), timedelta(days=2)
    asked = {"first_day": day - two, "last_day": day + two, "reason": "accounts"}
    response = staff.post(reverse("admin:bookings_booking_export"), asked)
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    if separator == ",":
        assert len(lines) == len(FORMULAS) + 1
        assert {len(line) for line in lines} == {17}
    hidden = ' \t\r\n\x00\x1f\ufeff\u200b"'
    cells = [cell.lstrip(hidden) for line in lines for cell in line]
    assert len(cells) > len(FORMULAS)
    assert [cell for cell in cells if cell.startswith(tuple("=+-@＝＋－＠"))] == []


def test_braces_and_percent_signs_are_not_expanded(staff):
    clinic = make_clinic(email="hello@lindenvale.example")
    booking = make_booking(
        starts_at=timezone.now() + timedelta(hours=3), message="{{ clinic.email }} %(name)s {0}",
        practitioner=make_practitioner(),
    )  # fmt: skip
    page = staff.get(reverse("admin:bookings_booking_change", args=[booking.pk])).content.decode()
    assert "{{ clinic.email }} %(name)s {0}" in page
    assert isinstance(clinic, Clinic)


ALL, NONE, REFUSED, BACK = "all rows", "no rows", 400, "back to the plain list"
LISTS = ["bookings_booking", "bookings_message", "clinic_auditevent"]
HOSTILE = {  # what the list of bookings, of messages, and of audit events answer
    "": (ALL, ALL, ALL),
    "o=1.2.3.-4": (ALL, ALL, ALL),
    "o=x": (ALL, ALL, ALL),
    "o=%27": (ALL, ALL, ALL),
    "p=-1": (ALL, ALL, ALL),
    "p=999999999999999999999": (ALL, ALL, ALL),
    "all=": (ALL, ALL, ALL),
    "e=1": (ALL, ALL, ALL),
    "q=%00": (REFUSED, REFUSED, REFUSED),
    "q=" + "x" * 3000: (NONE, ALL, NONE),
    "q=%27%3B--": (NONE, ALL, NONE),
    "q=%F0%9F%98%80": (NONE, ALL, NONE),
    "day=x": (ALL, REFUSED, REFUSED),
    "status__exact=x": (NONE, REFUSED, REFUSED),
    "state__exact=x": (REFUSED, NONE, REFUSED),
    "practitioner__id__exact=x": (BACK, REFUSED, REFUSED),
    "_connector=OR": (REFUSED, REFUSED, REFUSED),
    "_sort=id;drop": (REFUSED, REFUSED, REFUSED),
    "pk__in=1,2": (REFUSED, REFUSED, REFUSED),
    "id__regex=(a%2B)%2B$": (REFUSED, REFUSED, REFUSED),
}
# Fields that a list does not show: right and wrong guesses must look the same, and find no row.
HIDDEN = [
    "email", "phone", "message", "call_when", "staff_note", "cancel_reason", "name", "details",
    "actor_label", "booking__email", "booking__name", "practitioner__user__password",
    "actor__password",
]  # fmt: skip


@pytest.fixture
def listed(staff):
    """One row in each list, with an "a" in all that is hidden; returns what a list answers."""
    make_clinic()
    booking = make_booking(
        name="Alma", email="alma@example.org", message="a", call_when="a", staff_note="a"
    )
    queue_message(booking, Message.Kind.CONFIRMED)
    audit.record("booking.confirmed", booking, by="a", details={"a": "a"})

    def answer(model, query):
        response = staff.get(reverse(f"admin:{model}_changelist") + "?" + query)
        if response.status_code == 302:
            assert response.headers["Location"].endswith("/?e=1")
            return BACK
        if response.status_code != 200:
            return response.status_code
        rows = response.context["cl"]
        return ALL if len(rows.result_list) else NONE

    return answer


@pytest.mark.parametrize("query", HOSTILE)
def test_hostile_list_parameters(listed, query):
    assert tuple(listed(model, query) for model in LISTS) == HOSTILE[query]


@pytest.mark.parametrize("field", HIDDEN)
def test_no_list_answers_guesses_about_what_it_does_not_show(listed, field):
    """``?email__startswith=a`` would tell an address letter by letter, and a regex take all day."""
    for lookup in ("startswith", "contains", "icontains", "gt", "regex", "isnull", "in", "exact"):
        for guess in ("a", "zz", "(a%2B)%2B$"):
            for model in LISTS:
                assert listed(model, f"{field}__{lookup}={guess}") == REFUSED, (model, lookup)


def test_one_line_a_record():
    hostile = "line\r\nFAKE 2027-01-01 admin signed in\x1b[31m\u2028next\x00"
    record = logging.LogRecord("x", logging.WARNING, "f.py", 1, "asked %s", (hostile,), None)
    line = OneLine().format(record)
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line


@pytest.mark.parametrize("where", ["booking", "preview"])
def test_secrets_of_links_are_masked(where):
    path = f"/{where}/{'S3cret' * 8}/"
    record = logging.LogRecord("x", logging.WARNING, "f.py", 1, "Not Found: %s", (path,), None)
    assert MaskSecrets().filter(record)
    assert "S3cret" not in OneLine().format(record)


def test_a_traceback_shows_no_values():
    """Frames hold what a patient typed."""
    secret = "ZZQsecret"
    try:
        int(secret)
    except ValueError:
        record = logging.getLogger("x").makeRecord(
            "x", logging.ERROR, "f.py", 1, "trouble", (), exc_info=sys.exc_info()
        )
    assert secret not in OneLine().format(record)
    assert "ValueError" in OneLine().format(record)
