"""What the starter texts say is what their sources say: one line for each correction."""

import re

import pytest

from conditions.models import Condition, Reference
from conditions.snapshot import plain_text
from conditions.starter.content import FOLDER, read

SHARED, CONDITIONS, GUIDES = read()
PAGES = {content["slug"]: content for content in CONDITIONS + GUIDES}


def words(slug, kind=None):
    content = PAGES[slug]
    html = [s["body"] for s in content["page"]["sections"] if kind in {None, s["kind"]}]
    if kind is None:
        html += [f"<p>{faq['question']}</p>{faq['answer']}" for faq in content["faqs"]]
        html += [f"<p>{content['page']['lead']}</p>", f"<p>{content.get('duration_note', '')}</p>"]
    return re.sub(r"\s*\[ref:[\w-]+\]", "", plain_text("".join(html)))


REFERENCES = {e["key"]: e for content in PAGES.values() for e in content.get("references", [])}
EVERYTHING = "\n".join(path.read_text("utf-8") for path in FOLDER.rglob("*.toml"))


@pytest.mark.parametrize(
    ("slug", "kind", "said", "gone"),
    [
        ("chronic-migraine", "risks", "1 in 100 people had to go to a hospital", "are mild"),
        ("chronic-migraine", "risks", "mostly in the first week", "xx"),
        ("chronic-migraine", "how_well", "fall by less than 30 percent", "30 in 100"),
        ("how-it-works", None, "A minute amount can kill", "In large amounts"),
        ("how-it-works", None, "six grades", "four grades"),
        ("overactive-bladder", "risks", "from under 2 to about 20 in 100", "xx"),
        ("overactive-bladder", "risks", "depends on when a clinic puts a catheter in", "xx"),
        ("overactive-bladder", "risks", "symptoms only. That was after under 2 in 100", "xx"),
        ("overactive-bladder", None, "about 24 weeks", "6 to 12 months"),
        ("how-it-works", None, "About 24 weeks", "6 to 12 months"),
        ("overactive-bladder", None, "24 weeks", "about 6 months"),
        (
            "tmj-disorders",
            "alternatives",
            "advises against removable splints",
            "A removable splint",
        ),
        ("tmj-disorders", "risks", "review of cosmetic jaw treatment", "Most problems start"),
        ("bruxism", "risks", "review of cosmetic jaw treatment", "Most problems start"),
        ("sleep-apnea", None, "In December 2024 the FDA gave it approval", "the FDA allows it"),
        ("botulinum-toxin-and-sleep", None, "patients and doctors rated", "their raters"),
    ],
)
def test_a_correction_stands(slug, kind, said, gone):
    assert said in words(slug, kind)
    assert gone not in words(slug, kind)


def test_no_source_is_a_newspaper_a_draft_or_a_copy():
    for entry in REFERENCES.values():
        assert not re.search(r"cbc\.ca|omb\.report|cdhub360|uclh|medworm|scribd", entry["url"])
        assert "draft" not in entry["citation"]
        if entry["kind"] == "safety_notice":
            assert re.search(r"fda\.gov|cdc\.gov", entry["url"])
    for key in ("joms-trial-2024", "charles-2024", "platz-2021"):
        assert re.match(r"[A-Z][\w-]+ [A-Z]{1,3}\b", REFERENCES[key]["citation"]), key
    assert "2024;64:333" in REFERENCES["charles-2024"]["citation"]


def test_figures_on_catheters_have_their_sources():
    """What varies from one practice to the next names both practices."""
    bladder = PAGES["overactive-bladder"]
    html = [s["body"] for s in bladder["page"]["sections"]] + [f["answer"] for f in bladder["faqs"]]
    for body in [body for body in html if "under 2 to about 20" in body]:
        assert "[ref:catheter-rate-2018]" in body
        assert "[ref:fpmrs-2018]" in body


WHO_SPEAKS = re.compile(
    r"[A-Z][\w’-]+(?: [\w’-]+)* [A-Z]{1,3}\b|.*\b(?:Academy|Institute|University|AbbVie"
    r"|US Food and Drug Administration|US Centers for Disease Control)\b|.*Authors: see the journal"
)


@pytest.mark.parametrize("key", REFERENCES)
def test_every_source_names_its_authors_or_says_why_not(key):
    """An author, the institution that speaks, or an open word that the copy named none."""
    assert WHO_SPEAKS.match(REFERENCES[key]["citation"])


@pytest.mark.parametrize("slug", [c["slug"] for c in CONDITIONS if c["status"] == "off_label"])
def test_off_label_is_explained_once(slug):
    """In the shared text; what a page says of it is what is special there."""
    shared = next(block["body"] for block in SHARED["blocks"] if block["key"] == "off-label")
    assert "legal" in shared
    assert "insurance" in shared
    own = words(slug, "off_label")
    assert not re.search(r"\b(?:legal|law allows|insurers often|research behind)\b", own)


def test_a_status_that_nobody_read_again_is_not_called_retired():
    assert REFERENCES["simpson-2016"]["status"] == Reference.Status.NOT_REREAD
    assert "since been retired" not in EVERYTHING
    assert "since retired" not in EVERYTHING


def test_every_grade_is_explained_and_has_its_bars():
    how = words("how-it-works")
    for grade in Condition.Evidence:
        assert str(grade.label) in how
        assert 1 <= Condition.BARS[grade] <= 4
    assert PAGES["tmj-disorders"]["evidence"] == "against"
    assert PAGES["bruxism"]["evidence"] == "mixed"


def test_the_words_for_retired_do_not_say_withdrawn():
    page = (FOLDER.parents[1] / "templates/conditions/_end.html").read_text("utf-8")
    assert "withdrawn" not in page.lower()
    assert "retired by its publisher" in page
