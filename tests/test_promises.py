"""Every sentence of the public pages that promises something has a test, or is not there."""

import re
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings

from bookings.forms import CallbackForm, DetailsForm
from clinic.models import Practitioner
from tests.factories import make_practitioner

ROOT = Path(__file__).resolve().parent.parent
PROMISES = tomllib.loads((ROOT / "tests" / "promises.toml").read_text())
PAGES = {
    "home": "bookings/home.html",
    "privacy": "clinic/privacy.html",
    "accessibility": "clinic/accessibility.html",
    "practitioners": "clinic/practitioners.html",
}


def sentences(template):
    text = (ROOT / "templates" / template).read_text()
    found = re.findall(r'\{% translate "([^"]+)"', text)
    blocks = re.findall(
        r"\{% blocktranslate[^%]*%\}(.*?)\{% endblocktranslate %\}", text, re.DOTALL
    )
    return set(found) | {" ".join(re.sub(r"<[^>]+>", "", block).split()) for block in blocks}


# What a sentence of the guide speaks of when it says something about this site.
ABOUT_THE_SITE = re.compile(
    r"\b(?:book|booking|form|account|link|online|reference|cancel|e-?mail|reminders?|times?|free)\b",
    re.IGNORECASE,
)


def sentences_of_the_guide():
    """Those of the guide to the consultation that could promise something about the site."""
    path = ROOT / "conditions/starter/guides/your-free-consultation.toml"
    guide = tomllib.loads(path.read_text())
    texts = [section["body"] for section in guide["page"]["sections"]]
    texts += [f"{faq['question']}\n{faq['answer']}" for faq in guide["faqs"]]
    lines = [line.strip() for text in texts for line in re.sub(r"<[^>]+>", "\n", text).splitlines()]
    found = {part for line in lines for part in re.split(r"(?<=[.!?])\s+", line)}
    return {sentence for sentence in found if ABOUT_THE_SITE.search(sentence)}


def test_the_guide_to_the_consultation_too():
    rows = PROMISES["consultation"]
    assert sentences_of_the_guide() == {*rows["words"], *rows["facts"]}


@pytest.mark.parametrize("page", PAGES)
def test_each_sentence_is_listed_with_what_holds_it(page):
    rows = PROMISES[page]
    assert sentences(PAGES[page]) == {*rows["words"], *rows["facts"]}


def test_the_tests_named_exist():
    for rows in PROMISES.values():
        for sentence, tests in rows["facts"].items():
            assert tests, sentence
            for name in tests:
                file, function = name.split("::")
                assert re.search(rf"^def {function}\(", (ROOT / file).read_text(), re.MULTILINE), (
                    name
                )


def test_the_form_asks_for_no_money():
    asked = {"languages": ["English"]}
    for form in (DetailsForm(**asked, visit_type="video"), CallbackForm(**asked)):
        assert set(form.fields) <= {
            "name", "email", "phone", "language", "message", "call_when", "website", "consent"
        }  # fmt: skip


@pytest.mark.django_db
def test_whoever_can_be_booked_is_named_on_the_site(client):
    make_practitioner(name="Dr. Here")
    make_practitioner(name="Dr. Gone", archived=True)
    page = client.get("/practitioners/").text
    bookable = Practitioner.objects.bookable()
    assert [who.name for who in bookable] == ["Dr. Here"]
    assert all(who.name in page for who in bookable)


def test_answers_are_forgotten_within_two_days():
    """A draft lives in its session; sessions end after 12 hours, and each day ended ones go."""
    assert timedelta(seconds=settings.SESSION_COOKIE_AGE) + timedelta(days=1) <= timedelta(days=2)


def test_nothing_counts_down_and_no_puzzle_is_asked():
    for script in (ROOT / "clinic/static/clinic").rglob("*.js"):
        assert not re.search(r"setInterval|captcha", script.read_text(), re.IGNORECASE), script
    for template in (ROOT / "templates/bookings").rglob("*.html"):
        assert not re.search(r"http-equiv=.refresh|captcha", template.read_text()), template
