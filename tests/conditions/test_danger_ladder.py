"""One ladder of danger for each part of the body, the same in every starter text and template."""

import re
from pathlib import Path

import pytest
from django.template.loader import render_to_string

from clinic import starter_clinic
from conditions.models import Edition
from conditions.snapshot import plain_text
from conditions.starter import content as starter_content
from conditions.starter.content import FOLDER, read
from conditions.templatetags.red_flags import unless_named
from conditions.text_checks.plain_words import sentences
from tests.conditions.pages import make_page, put_live
from tests.factories import here, make_clinic, make_condition

SHARED, CONDITIONS, GUIDES = read()
TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
EMERGENCY, SAME_DAY, LATER, NONE = "emergency", "urgent", "see_doctor", ""
_LEVELS = [
    (EMERGENCY, r"\b911\b|\bemergenc(?:y|ies)\b"),
    (SAME_DAY, r"\bsame day\b"),
    (LATER, r"\bsee (?:a|your) doctor\b"),
]


def level_of(sentence):
    return next((level for level, words in _LEVELS if re.search(words, sentence, re.I)), NONE)


def in_prose(html):
    """Every sentence of ``html`` as (level, sentence); a list has the level of its first line."""
    above = NONE
    for tag, inner in re.findall(r"<(p|li|h3|td|th)>(.*?)</\1>", html, re.DOTALL):
        text = plain_text(inner)
        found = [(level_of(sentence), sentence) for sentence in sentences(text)]
        if tag != "li":
            above = level_of(text) if re.search(r"[:,]$|\bfor:?$", text) else NONE
        yield from ((level or (above if tag == "li" else NONE), said) for level, said in found)


def everything():
    """Every danger sign and every sentence of the starter, as (place, level, words)."""
    for flag in SHARED["after_treatment"]:
        yield "after treatment", flag["level"], flag["text"]
    for flag in SHARED["asked_before_booking"]:
        yield "gate", EMERGENCY, flag["text"]
    for block in SHARED["blocks"]:
        yield from ((block["key"], *found) for found in in_prose(block["body"]))
    for content in CONDITIONS + GUIDES:
        for flag in content.get("red_flags", []):
            yield content["slug"], flag["level"], flag["text"]
        html = [section["body"] for section in content["page"]["sections"]]
        html += [faq["answer"] for faq in content["faqs"]]
        yield from ((content["slug"], *found) for body in html for found in in_prose(body))


SAID = list(everything())


def said(words):
    return [(place, level, text) for place, level, text in SAID if re.search(words, text, re.I)]


def only(found, *levels):
    assert found
    assert [entry for entry in found if entry[1] not in levels] == []


def test_swallowing_is_an_emergency_from_choking_and_saliva_on():
    for place, level, text in said(r"\bswallow"):
        if level == EMERGENCY:
            assert re.search(r"\bsaliva\b", text), (place, text)
        if level == SAME_DAY:
            assert re.search(r"\bnew(?:ly)?\b", text), (place, text)
            if "saliva" in text:
                assert "still swallow your saliva" in text, (place, text)


def test_breathing_is_always_an_emergency():
    signs = [s for s in said(r"\b(?:trouble breathing|breathless\w*|short of breath)\b") if s[1]]
    only(signs, EMERGENCY)
    for _place, _level, text in said(r"trouble breathing"):
        assert not re.search(r"911|emergency", text) or "any trouble breathing" in text.lower(), (
            text
        )


def test_the_neck_page_tells_both_rungs_wherever_it_speaks_of_one():
    neck = next(content for content in CONDITIONS if content["slug"] == "cervical-dystonia")
    for body in [s["body"] for s in neck["page"]["sections"]] + [f["answer"] for f in neck["faqs"]]:
        if re.search(r"\b911\b.{0,60}\b(?:swallow|chok)", plain_text(body)):
            assert "saliva" in body, body
            assert "same day" in body, body
    levels = {f["level"] for f in neck["red_flags"] if "swallow" in f["text"]}
    assert levels == {EMERGENCY, SAME_DAY}


def test_fever_after_bladder_treatment_or_with_urine_symptoms_is_an_emergency():
    together = said(r"\bfever\b.*\b(?:bladder|urine)\b|\b(?:bladder|urine)\b.*\bfever\b")
    only([entry for entry in together if entry[1]], EMERGENCY)
    assert any("emergency department" in text for _, _, text in together)
    for _place, _level, text in [s for s in said(r"\bfever\b") if s[1] == SAME_DAY]:
        assert re.search(r"\b(?:muscle|back pain|with pain|face)\b", text), text


def test_a_hot_swollen_leg_has_one_level():
    legs = said(r"\b(?:leg|calf)\b.*\b(?:swollen|hot)\b|\b(?:swollen|hot)\b.*\b(?:leg|calf)\b")
    assert {place for place, level, _ in legs if level} >= {
        "gate",
        "restless-legs",
        "myofascial-pain",
    }
    only([entry for entry in legs if entry[1]], EMERGENCY)


def test_bladder_control_counts_when_it_is_new_or_much_worse():
    for place, level, text in said(r"\b(?:lose|loss of|losing) (?:control|bladder)\b"):
        if level != EMERGENCY:
            assert re.search(r"\bnew\b.*\bmuch worse than before\b", text), (place, text)
        assert re.search(r"\bnew\b", text), (place, text)


def test_the_same_sign_never_has_two_levels():
    seen = {}
    flags = [flag for content in CONDITIONS for flag in content["red_flags"]]
    for flag in [
        *flags,
        *SHARED["after_treatment"],
        *({"level": EMERGENCY} | g for g in SHARED["asked_before_booking"]),
    ]:
        assert seen.setdefault(flag["text"], flag["level"]) == flag["level"], flag["text"]


@pytest.mark.parametrize(
    ("sign", "level"),
    [
        (r"\bburn\w* (?:or hurt\w* )?when you pee\b", SAME_DAY),
        (r"\basleep at the wheel\b", SAME_DAY),
        (r"\bjaw that (?:is locked|locks)\b", SAME_DAY),
        (r"\bblood in your urine\b", LATER),
        (r"\bnewly irregular\b", SAME_DAY),
        (r"\bending your life\b", EMERGENCY),
    ],
)
def test_a_sign_has_one_level_on_pages_and_in_guides(sign, level):
    only([entry for entry in said(sign) if entry[1]], level)


def test_suicide_is_named_in_one_way_and_the_line_comes_from_the_country():
    files = [path.read_text("utf-8") for path in FOLDER.rglob("*.toml")]
    assert not [text for text in files if re.search(r"\b988\b|harm\w* yourself|self-harm", text)]
    html = [path.read_text("utf-8") for path in TEMPLATES.rglob("*.html")]
    assert not [text for text in html if "988" in text]


@pytest.mark.django_db
def test_cards_say_what_the_same_day_means_when_nobody_is_there(client):
    make_clinic()
    put_live(make_page(condition=make_condition(slug="sore-jaw", name="Sore jaw")))
    html = " ".join(client.get("/conditions/sore-jaw/").content.decode().split())
    assert "also at night and on days when we are closed" in html
    assert "do not wait until we open" in html


@pytest.mark.django_db
@pytest.mark.parametrize(("country", "named"), [("US", True), ("GB", False), ("TR", False)])
def test_the_crisis_line_stands_beside_the_emergency_number_where_it_is_known(
    client, country, named
):
    make_clinic(country=country)
    put_live(make_page(condition=make_condition(slug="sore-jaw", name="Sore jaw")))
    pages = [client.get("/conditions/sore-jaw/").content.decode()]
    client.get("/book/")
    pages.append(client.get("/book/urgent/").content.decode())
    for html in pages:
        assert ("call or text 988" in " ".join(html.split())) == named
        assert "911" in html


@pytest.fixture
def cards(db):
    """{address: (signs on the emergency card, signs on the same-day card)} of the starter's pages."""
    starter_clinic.load()
    starter_content.load()
    found = {}
    for edition in Edition.objects.live():
        html = render_to_string(
            "conditions/_help.html",
            {"document": edition.document, "location": here(), "clinic": here().clinic},
        )
        parts = html.split('<div class="care')
        found[edition.slug] = tuple(re.findall(r"<li>(.*?)</li>", part) for part in parts[1:3])
    return found


def test_a_card_tells_each_sign_once(cards):
    for slug, (emergency, same_day) in cards.items():
        for words in [
            "any trouble breathing",
            "saliva",
            r"loss of .*bowel control, with a numb groin",
        ]:
            assert len([sign for sign in emergency if re.search(words, sign)]) <= 1, (slug, words)
        assert len([sign for sign in same_day if "swallow" in sign]) <= 1, slug
        both = [sign.removeprefix("you have ") for sign in emergency + same_day]
        assert len(both) == len(set(both)), slug
    neck = cards["cervical-dystonia"]
    assert "any trouble breathing, choking, or saliva that you cannot swallow" in neck[0]
    assert sum("swallow" in sign for sign in neck[1]) == 1


def test_what_is_told_at_the_lower_level_alone_stays_at_the_higher():
    """A sign after an injection goes only where the page's own signs say the same, or worse."""
    after = ["you have any trouble breathing", "you have a fever"]
    assert unless_named(after, ["any trouble breathing"]) == ["you have a fever"]
    document = {
        "red_flags": {"emergency": [], "urgent": ["any trouble breathing"], "see_doctor": []},
        "after_treatment": {"emergency": after[:1], "urgent": []},
    }
    html = render_to_string("conditions/_help.html", {"document": document})
    assert "<li>you have any trouble breathing</li>" in html
