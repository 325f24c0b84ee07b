"""The words of the starter texts, read from the files: plain, honest, and the same everywhere."""

import re

import pytest

from conditions.fields import clean_html
from conditions.snapshot import CITED, plain_text
from conditions.starter.content import read
from conditions.text_checks import overclaims, plain_words

SHARED, CONDITIONS, GUIDES = read()
PAGES = CONDITIONS + GUIDES
SECTION_ORDER = [
    "in_short", "about", "off_label", "who", "day", "how_well", "risks", "next_steps", "alternatives",
    "text",
]  # fmt: skip
every_page = pytest.mark.parametrize("content", PAGES, ids=[page["slug"] for page in PAGES])
every_condition = pytest.mark.parametrize(
    "content", CONDITIONS, ids=[page["slug"] for page in CONDITIONS]
)


def form_of(content):
    if "status" not in content:
        return "guide"
    return "advice" if content["service"] == "advice" else content["status"]


def bodies(content):
    yield from (section["body"] for section in content["page"]["sections"])
    yield from (faq["answer"] for faq in content["faqs"])


def own_words(content):
    page = content["page"]
    yield from (page["title"], page["lead"], content["summary"])
    yield from (content.get(key, "") for key in ("approval_text", "evidence_note"))
    for section in page["sections"]:
        yield CITED.sub("", f"{section['heading']}\n{plain_text(section['body'])}")
    for faq in content["faqs"]:
        yield CITED.sub("", f"{faq['question']}\n{plain_text(faq['answer'])}")
    yield from (flag["text"] for flag in content.get("red_flags", []))


@every_page
def test_sentences_are_short_on_average(content):
    assert plain_words.average_sentence(own_words(content)) <= plain_words.LONGEST_SENTENCE


@every_page
def test_no_word_claims_too_much(content):
    texts = [*own_words(content), content["page"]["description"]]
    assert [
        claim for text in texts for claim in overclaims.overclaims(text, form_of(content))
    ] == []


@every_page
def test_no_mark_is_open(content):
    assert "[CLINIC" not in " ".join([*own_words(content), content["page"]["description"]])


@every_page
def test_every_citation_is_listed(content):
    listed = {entry["key"] for entry in content.get("references", [])}
    cited = {key for html in bodies(content) for key in re.findall(r"\[ref:([\w-]+)\]", html)}
    assert cited <= listed


@every_page
def test_the_html_is_all_allowed(content):
    for html in bodies(content):
        assert re.findall(r"<[a-z0-9]+", clean_html(html)) == re.findall(r"<[a-z0-9]+", html)


@every_page
def test_the_description_fits_search_results(content):
    assert 110 <= len(content["page"]["description"]) <= 155


@every_condition
def test_the_lead_is_not_only_promise(content):
    assert re.search(r"\b(?:not|but|only|may|cannot|rarely)\b", content["page"]["lead"])


@every_page
def test_references_are_https_with_a_year(content):
    for entry in content.get("references", []):
        assert entry["url"].startswith("https://"), entry["key"]
        assert 1980 <= entry["year"] <= 2026, entry["key"]


@every_condition
def test_sections_come_in_the_order_of_the_page(content):
    kinds = [section["kind"] for section in content["page"]["sections"]]
    assert kinds == sorted(kinds, key=SECTION_ORDER.index)
    assert {"in_short", "about", "day", "how_well", "risks", "alternatives"} <= set(kinds)
    assert ("off_label" in kinds) == (content["status"] == "off_label")


@every_condition
def test_warning_signs_of_every_level(content):
    levels = [flag["level"] for flag in content["red_flags"]]
    asked = [flag for flag in content["red_flags"] if flag["asked_before_booking"]]
    assert 4 <= len(asked) <= 7
    assert {flag["level"] for flag in asked} == {"emergency"}
    assert levels.count("urgent") >= 2
    assert levels.count("see_doctor") >= 2


@every_condition
def test_off_label_pages_say_so_first(content):
    if content["status"] == "off_label":
        assert content["approval_text"].startswith(
            "The FDA has not approved botulinum toxin for this. "
            "Using it this way is called off-label."
        )
        assert content["product"] == ""
    else:
        assert content["approval_year"]


@every_condition
def test_advice_pages_promise_no_treatment(content):
    if content["service"] == "advice":
        timing = [content[key] for key in ("onset", "peak", "duration", "session", "repeat")]
        assert not any(timing)
        assert "not" in content["page"]["lead"]


def test_the_same_reference_has_the_same_text_everywhere():
    seen = {}
    for content in PAGES:
        for entry in content.get("references", []):
            assert seen.setdefault(entry["key"], entry) == entry, content["slug"]


def test_related_pages_exist():
    slugs = {content["slug"] for content in CONDITIONS}
    for content in PAGES:
        assert set(content.get("related", [])) <= slugs - {content["slug"]}


def test_shared_texts_claim_nothing_either():
    texts = [plain_text(block["body"]) for block in SHARED["blocks"]]
    texts += [f"{faq['question']}\n{plain_text(faq['answer'])}" for faq in SHARED["faqs"]]
    assert [claim for text in texts for claim in overclaims.overclaims(text, "approved")] == []
    assert plain_words.average_sentence(texts) <= plain_words.LONGEST_SENTENCE


@every_condition
def test_people_learn_what_it_is_how_it_is_noticed_and_what_makes_it_worse(content):
    about = next(s["body"] for s in content["page"]["sections"] if s["kind"] == "about")
    assert "more likely or worse</h3>" in about or "makes it worse</h3>" in about
    assert len(re.findall("<h3>", about)) >= 2


@pytest.mark.parametrize(
    ("slug", "words"),
    [
        ("bruxism", ["Stress", "worn down"]),
        ("chronic-migraine", ["migraine day", "throbs", "nauseated", "light and sound", "aura"]),
        ("chronic-migraine", ["Topiramate can harm an unborn baby"]),
        ("tmj-disorders", ["Headache, often at the temples", "Trouble chewing"]),
        ("how-it-works", ["substance P"]),
        ("upper-limb-spasticity", ["stiff leg after a stroke", "one total limit"]),
        ("overactive-bladder", ["In the days after", "Take all the antibiotics", "At night"]),
        ("overactive-bladder", ["Anticholinergics in older people", "dementia"]),
        ("your-free-consultation", ["Coming from abroad", "How long to stay", "Care at home"]),
        ("restless-legs", ["Ferritin shows how much iron"]),
    ],
)
def test_what_patients_ask_first_is_there(slug, words):
    text = "\n".join(own_words(next(page for page in PAGES if page["slug"] == slug)))
    assert [word for word in words if word not in text] == []


BRITISH = re.compile(
    r"\b(?:carers?|drip|tablets?|talking therapy|feeling sick|straight away|breast-feeding|disk"
    r"|ask for a lift|whilst|anaesthetic)\b",
    re.I,
)


@every_page
def test_the_words_are_american(content):
    assert [text for text in own_words(content) if BRITISH.search(text)] == []


# A hard word, and what explains it on the same page.
EXPLAINED = {
    "anticholinergic": r"pills that calm the bladder|such as bladder pills|calm the bladder muscle",
    "triptan": r"medicines? that stops? an attack",
    "prolapse": r"have dropped",
    "sling": r"strip of mesh",
    "ferritin": r"iron your body has in store",
    r"\bALS\b": r"Lou Gehrig",
    "Lambert-Eaton": r"make muscles? weak|makes muscles weak|react far more strongly",
    "phenol": r"dulls the nerve",
    "baclofen pump": r"gives a muscle relaxant|nerve blocks",
}


@every_page
def test_hard_words_are_explained_where_they_stand(content):
    text = "\n".join(own_words(content))
    for word, explained in EXPLAINED.items():
        if re.search(word, text, re.I):
            assert re.search(explained, text), word


@every_page
def test_no_sentence_and_no_paragraph_is_long(content):
    for text in own_words(content):
        if text in {content.get("approval_text"), content["page"]["lead"]}:
            continue
        assert [s for s in plain_words.sentences(text) if plain_words.word_count(s) > 20] == []
        assert [p for p in text.splitlines() if len(plain_words.sentences(p)) > 3] == []


@every_condition
def test_every_quick_fact_carries_its_source(content):
    """A reference of the page, or an open word that there is none."""
    listed = {entry["key"] for entry in content["references"]}
    for key in ("onset", "peak", "duration", "session", "repeat"):
        source = content[f"{key}_source"]
        assert bool(source) == bool(content[key]), key
        cited = re.findall(r"\[ref:([\w-]+)\]", source)
        assert set(cited) <= listed, key
        assert not source or cited or source in {"clinical experience", "no study settles it"}, key
        assert not re.search(
            r"\((?:product label|.*review|.*trial|clinical)", content[f"{key}_note"]
        )
