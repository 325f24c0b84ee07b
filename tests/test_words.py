"""Every word that patients read, or that staff send them, can be translated.

Read in a language that nobody speaks: what goes through gettext stands in «marks», and what the
database holds is in Greek letters. A word in Latin letters outside the marks is one that no
catalogue reaches.
"""

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from zoneinfo import available_timezones

import pytest
import time_machine
from django.template.loader import render_to_string

from bookings import forms, rate_limits
from bookings.lifecycle import errors, transitions
from bookings.messaging import email
from bookings.models import Booking, Message
from clinic import starter_clinic
from clinic.models import Clinic, Location, Practitioner, VisitType
from conditions import snapshot
from conditions.document import Kind, mapped
from conditions.models import Condition
from conditions.starter import content as starter_content
from tests import walk
from tests.factories import here, make_booking, make_clinic, make_practitioner, queue_message

pytestmark = pytest.mark.django_db

LATIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
GREEK = "αβχδεφγηιξκλμνοπψρστυωωξυζΑΒΧΔΕΦΓΗΙΞΚΛΜΝΟΠΨΡΣΤΥΩΩΞΥΖ"
IN_GREEK = str.maketrans(LATIN, GREEK)
CONTENT = {
    Clinic: ["name", "short_name", "video_note"],
    Location: ["street", "city", "region", "access_note"],
    Practitioner: ["name", "credentials", "role", "bio", "languages"],
    Condition: ["name", "summary"],
}
READ_OUT = {"alt", "title", "placeholder", "aria-label", "aria-description", "label"}
# Addresses, a booking's reference, zones and their cities, and what a patient typed or chose.
ZONES = {
    name.replace("_", " ") for zone in available_timezones() for name in [zone, *zone.split("/")]
}
TYPED = {walk.PATIENT[name] for name in ("name", "call_when", "language")}
NO_WORDS = re.compile(
    "|".join(
        [r"https?://\S+", r"\S+@\S+", r"\b[A-Z0-9]{3,4}[- ][A-Z0-9]{3,4}\b"]
        + sorted(map(re.escape, ZONES | TYPED), key=len, reverse=True)
    )
)


class Outside(HTMLParser):
    """What stands outside the marks, of texts and of the attributes that are read out."""

    def __init__(self, text, *, html=True):
        super().__init__(convert_charrefs=True)
        self.depth, self.quiet, self.found = 0, "", []
        if html:
            self.feed(text)
        else:
            self.read(text)

    def read(self, text):
        left = ""
        for character in text:
            self.depth += (character == "«") - (character == "»")
            left += " " if self.depth or character in "«»" else character
        self.found += re.findall(r"[A-Za-z]{2,}[A-Za-z ]*", NO_WORDS.sub(" ", left))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag in {"script", "style"}:
            self.quiet = tag
        names = set(READ_OUT)
        if attrs.get("type") in {"submit", "button"}:
            names.add("value")
        if attrs.get("name") == "description" or attrs.get("property", "").startswith("og:"):
            names.add("content")
        for name in names & set(attrs):
            self.read(attrs[name] or "")

    def handle_endtag(self, tag):
        if tag == self.quiet:
            self.quiet = ""

    def handle_data(self, data):
        if not self.quiet:
            self.read(data)


def outside(text, *, html=False):
    return Outside(text, html=html).found


def outside_calendar(text):
    lines = text.replace("\r\n ", "").replace("\\,", ",").replace("\\n", " ").splitlines()
    told = [line.partition(":")[2] for line in lines
            if line.startswith(("SUMMARY", "LOCATION", "DESCRIPTION"))]  # fmt: skip
    assert len(told) == 3
    return outside("\n".join(told))


def in_greek(field, value):
    if field.kind not in (Kind.WORDS, Kind.HTML) or field.derived or not value:
        return value
    named = re.sub(r'(?<=aria-label=")[^"«]*(?=")', lambda m: m[0].translate(IN_GREEK), value)
    parts = re.split(r"(<[^>]*>|&\w+;)", named)
    parts[::2] = [part.translate(IN_GREEK) for part in parts[::2]]
    return "".join(parts)


@pytest.fixture
def site(pseudo_language, monkeypatch, settings):
    """The starter's clinic, whose every text is in Greek letters."""
    settings.ABUSE_LIMITS = False
    built = snapshot.at_schema
    monkeypatch.setattr(snapshot, "at_schema", lambda *args: mapped(built(*args), in_greek))
    starter_clinic.load()
    starter_content.load()
    Clinic.objects.update(languages_spoken=walk.PATIENT["language"])
    for model, names in CONTENT.items():
        for row in model.objects.all():
            values = {name: getattr(row, name).translate(IN_GREEK) for name in names}
            model.objects.filter(pk=row.pk).update(**values)


class Reader(walk.Walk):
    """Keeps the words outside the marks of each answer, instead of writing it to a file."""

    def __init__(self):
        self.found, self.read = {}, 0

    def write(self, who, name, response):
        kind = response.get("Content-Type", "")
        text = response.content.decode()
        self.read += 1
        if kind.startswith("text/html"):
            found = outside(text, html=True)
        elif kind.startswith("text/calendar"):
            found = outside_calendar(text)
        else:
            return response
        if found:
            self.found[f"{who} {name}"] = sorted(set(found))
        return response


def test_pages_and_steps_of_booking(site, monkeypatch):
    monkeypatch.setattr(
        walk, "PUBLIC", [path for path in walk.PUBLIC if not path.startswith("/account/")]
    )
    reader = Reader()
    with time_machine.travel(walk.NOW, tick=False):
        walk.public(reader, walk.form_client())
        for name, how in {
            "11 video": {}, "22 phone": {"concern": "chronic-migraine", "visit": "phone"},
            "33 here": {"concern": "other", "visit": "in_person"}, "44 urgent": {"signs": "yes"},
        }.items():  # fmt: skip
            client = walk.form_client()
            walk.booking(reader, client, name.replace(" ", ""), **how)
            walk.manage(reader, client, name)
        walk.call_back(reader, walk.form_client())
    assert reader.read > 80
    assert reader.found == {}


PAGES_OF_REFUSAL = [
    ("400.html", {}), ("403.html", {}), ("403_csrf.html", {}), ("404.html", {}), ("500.html", {}),
    ("503.html", {}), ("clinic/opening_soon.html", {}), ("bookings/link_unknown.html", {}),
    *(("bookings/too_many.html", {"reason": reason, "back": "bookings:check"})
      for reason in rate_limits.Reason.values),
]  # fmt: skip


@pytest.mark.parametrize(("template", "context"), PAGES_OF_REFUSAL)
def test_pages_of_refusal(pseudo_language, template, context):
    assert outside(render_to_string(template, context | {"phone": ""}), html=True) == []


FORMS = [form for form in vars(forms).values() if getattr(form, "base_fields", None)]


@pytest.mark.parametrize("form", FORMS)
def test_labels_hints_and_errors_of_forms(pseudo_language, form):
    for field in form.base_fields.values():
        for words in (field.label, field.help_text, *field.error_messages.values()):
            assert outside(re.sub(r"%\(\w+\)[ds]", "", str(words or ""))) == []


# A status in which each kind of message is true.
TRUE = {kind: statuses[0] for kind, statuses in Message.TRUE_WHILE.items()}


@pytest.mark.parametrize("visit_type", VisitType.values)
@pytest.mark.parametrize("kind", Message.Kind.values)
def test_mails_and_calendar_files(pseudo_language, kind, visit_type):
    make_clinic(**dict.fromkeys(CONTENT[Clinic] + CONTENT[Location], "Ωω"))
    now = datetime(2027, 1, 4, 9, tzinfo=UTC)
    booking = make_booking(
        status=TRUE[kind], visit_type=visit_type, practitioner=make_practitioner(name="Δρ. Ωω"),
        starts_at=None if TRUE[kind] == "waitlist" else now + timedelta(days=9), name="Ππ Ππ",
        hold_until=now + timedelta(minutes=9) if kind == "verify" else None,
        time_zone="Europe/Istanbul",
        cancelled_by="clinic" if TRUE[kind] == "cancelled" else "",
        cancelled_at=now if TRUE[kind] == "cancelled" else None,
    )  # fmt: skip
    if kind == "offered":
        make_booking(
            status="proposed", offered_for=booking, hold_until=now + timedelta(hours=9),
            practitioner=booking.practitioner, starts_at=now + timedelta(days=3),
            visit_type=visit_type,
        )  # fmt: skip
    mail = email.compose(queue_message(booking, kind), booking, now)
    assert outside(mail.subject) == []
    assert outside(mail.body) == []
    assert outside(mail.alternatives[0].content, html=True) == []
    for _name, text, _type in mail.attachments:
        assert outside_calendar(text) == []


def kinds_of(error):
    yield error
    for kind in error.__subclasses__():
        yield from kinds_of(kind)


@pytest.mark.parametrize("error", list(kinds_of(errors.SchedulingError)))
def test_refusals(pseudo_language, error):
    assert outside(error().message) == []


@pytest.mark.parametrize("row", transitions.TABLE, ids=lambda row: f"{row.name} by {row.by[0]}")
def test_refusals_of_the_table(pseudo_language, row):
    """Every word that a row may say, whichever status, deadline or lapse it refuses for."""
    make_clinic()
    now = datetime(2027, 1, 4, 9, tzinfo=UTC)
    said = {str(row.words), str(row.lapsed), str(row.doing)}
    for status in Booking.Status:
        for at in (now - timedelta(hours=1), now + timedelta(hours=1), now + timedelta(days=9)):
            booking = Booking(
                location=here(), status=status, starts_at=at, ends_at=at, email="a@b.example"
            )
            for hold_until, erased_at in ((None, None), (now, None), (None, now)):
                booking.hold_until, booking.erased_at = hold_until, erased_at
                for by in ("patient", "desk"):
                    refusal = row.refusal(booking, now=now, by=by)
                    said |= {refusal.message} if refusal else set()
    assert len(said) > 2
    assert [words for words in said if outside(words)] == []
