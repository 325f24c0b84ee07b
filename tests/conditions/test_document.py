"""One declaration: every leaf is compared, checked and shown as it says, and none can be forgotten."""

import copy
import re
import tomllib
from pathlib import Path

import pytest
from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone

from clinic import starter_clinic
from conditions import document, publishing, snapshot, structured_data
from conditions.comparison import compare
from conditions.document import FIELDS, Field, Kind, Risk, UndeclaredError
from conditions.models import Condition, Edition, Page, RedFlag, Section
from conditions.starter import content as starter_content
from conditions.text_checks import gaps
from tests.conditions.pages import make_editor, make_page, make_reviewer, put_live
from tests.factories import here, make_clinic, make_condition

NEWEST = document.newest_schema()
SCHEMAS = Path(__file__).with_name("document_schemas.toml")
CLAIM = "It cures everybody for good."


@pytest.fixture
def rich(db):
    """A document that has every leaf that is declared."""
    page = make_page()
    condition = page.condition
    condition.medical_name, condition.synonyms, condition.body_area = (
        "Gnathalgia",
        "jaw ache",
        "Jaw",
    )
    condition.product, condition.evidence_note, condition.specialty = (
        "Botox",
        "A note.",
        "Dentistry",
    )
    condition.onset, condition.onset_note = "2 weeks", "It varies."
    condition.onset_source = "a trial [ref:lee-2020]"
    condition.save()
    condition.related.add(make_condition(name="Other", body_area="Ear"))
    reviewer = page.reviewer
    reviewer.role = "Dentist"
    reviewer.save()
    RedFlag.objects.create(condition=condition, level="see_doctor", text="an ache that stays")
    RedFlag.objects.create(level="urgent", text="you have a fever")
    Section.objects.filter(page=page, kind="in_short").update(
        chart_title="Better?", chart_placebo=29, chart_treatment=61, chart_placebo_label="with dummies",
        chart_treatment_label="with treatment", chart_rest_label="not better",
    )  # fmt: skip
    return snapshot.build_document(Page.objects.get(pk=page.pk))


@pytest.fixture
def starter(db):
    starter_clinic.load()
    starter_content.load()
    return [edition.document for edition in Edition.objects.live()]


def changed(built, leaf, value):
    """A copy of ``built`` with another value in one leaf."""
    other = copy.deepcopy(built)
    place = other
    for key in leaf.keys[:-1]:
        place = place[key]
    place[leaf.keys[-1]] = value
    return other


def another(leaf):
    """A value that this leaf could have instead."""
    if isinstance(leaf.value, bool):
        return not leaf.value
    if isinstance(leaf.value, int):
        return leaf.value + 1
    if leaf.field.kind is Kind.HTML:
        return f"{leaf.value}<p>More.</p>"
    return f"{leaf.value or ''}x"


# --- the declaration ------------------------------------------------------------------------------
def test_the_rich_document_has_every_declared_leaf(rich):
    declared = {field.path for field in FIELDS.values() if field.is_in(NEWEST)}
    assert {leaf.field.path for leaf in document.leaves(rich)} == declared


def test_a_published_schema_is_closed():
    """Documents of each schema are kept for good, so its fields are, too: a new field, a new one."""
    written = tomllib.loads(SCHEMAS.read_text("utf-8"))
    found = {}
    for number in range(1, NEWEST + 1):
        found[f"schema-{number}"] = sorted(f.path for f in FIELDS.values() if f.since == number)
        found[f"until-{number}"] = sorted(f.path for f in FIELDS.values() if f.until == number)
    assert {name: paths for name, paths in found.items() if paths} == written


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.update(price_note="$500"),
        lambda d: d["condition"].update(price_note="$500"),
        lambda d: d["sections"][0]["chart"].update(footnote="In 2012."),
        lambda d: d.pop("gate"),
        lambda d: d["faqs"][0].pop("answer"),
        lambda d: d.update(title=["A", "B"]),
        lambda d: d.update(title=None, gate="chest pain"),
    ],
)
def test_what_is_not_declared_cannot_be_built(rich, spoil):
    spoil(rich)
    with pytest.raises(UndeclaredError):
        document.at_schema(rich)


def test_an_undeclared_leaf_of_a_stored_document_is_still_compared_and_checked(rich):
    """As after a return to an older release."""
    other = copy.deepcopy(rich)
    other["condition"]["price_note"] = CLAIM
    (difference,) = compare(rich, other)
    assert difference.risk is Risk.DANGER
    assert difference.lines == [("added", f"condition.price_note: {CLAIM}")]
    assert {gap.field for gap in gaps.gaps(other)} == {"condition"}


def test_every_danger_and_number_is_medical():
    for field in FIELDS.values():
        assert field.medical or field.risk not in {Risk.DANGER, Risk.EVIDENCE}, field.path


# --- every leaf -----------------------------------------------------------------------------------
def missed(built):
    """Leaves whose change the reviewer would not be told."""
    return [
        leaf.keys
        for leaf in document.leaves(built)
        if not compare(built, changed(built, leaf, another(leaf)))
    ]


def unchecked(built):
    """Leaves in which a reader would see a claim that nothing stops."""
    texts = [
        leaf
        for leaf in document.leaves(built)
        if leaf.field.seen and leaf.field.kind in {Kind.WORDS, Kind.HTML, Kind.SLUG}
    ]
    spoiled = built
    for number, leaf in enumerate(texts):
        claim = f"It cures everybody in ward {number}"
        html, slug = f"<p>{claim}</p>", claim.replace(" ", "-")
        value = {Kind.HTML: html, Kind.SLUG: slug}.get(leaf.field.kind, claim)
        spoiled = changed(spoiled, leaf, value)
    found = {gap.message.partition(" in “")[2] for gap in gaps.gaps(spoiled)}
    return [
        leaf.keys
        for number, leaf in enumerate(texts)
        if f"It cures everybody in ward {number}”" not in found
    ]


def test_every_change_of_a_leaf_is_a_difference(rich):
    assert missed(rich) == []


def test_every_text_that_a_reader_sees_is_checked(rich):
    assert unchecked(rich) == []


def test_every_leaf_of_the_starter_content_is_compared_and_checked(starter):
    assert len(starter) == 15
    for built in starter:
        assert document.at_schema(built) == built
        assert missed(built) == [], built["slug"]
        assert unchecked(built) == [], built["slug"]


# What the files say to the program alone.
NOT_IN_DOCUMENTS = {
    "practitioners[]",
    "signers[]",
    "service",
    "status",
    "references[].kind",
    "red_flags[].level",
    "after_treatment[].level",
    "map_side",
}


def words_of(value, path=""):
    """(path, line) for each line of words in a starter file."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from words_of(inner, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for inner in value:
            yield from words_of(inner, f"{path}[]")
    elif isinstance(value, str) and path not in NOT_IN_DOCUMENTS:
        bare = snapshot.CITED.sub("", value)
        text = snapshot.plain_text(bare) if "<" in bare else bare
        yield from ((path, line) for line in text.splitlines())


def test_every_word_of_the_starter_files_is_in_a_document(starter):
    """A new key in a file that nobody reads would be text that never reaches a reader."""
    said = {built["slug"]: lines_of(built) for built in starter}
    shared, conditions, guides = starter_content.read()
    files = [*((c["slug"], c) for c in conditions + guides), ("", shared)]
    said[""] = set().union(*said.values())
    lost = [
        (slug, path, line)
        for slug, content in files
        for path, line in words_of(content)
        if line not in said[slug]
    ]
    assert lost == [], lost[:9]


def lines_of(built):
    texts = (leaf.value for leaf in document.leaves(built) if isinstance(leaf.value, str))
    return {
        line
        for text in texts
        for line in (snapshot.plain_text(text) if "<" in text else text).splitlines()
    }


LOOK_UP = re.compile(
    r"\b(document|condition|section|faq|reference|card|block|fact|chart|who)((?:\.[a-z_]+)+)"
)
STARTS = {
    "document": "", "condition": "condition", "section": "sections[]", "faq": "faqs[]",
    "reference": "references[]", "card": "related[]", "block": "safety[]", "who": "reviewer",
    "fact": "condition.timing[]", "chart": "sections[].chart",
}  # fmt: skip


def test_templates_ask_for_declared_fields_alone():
    """A mistyped or undeclared field would be empty on the page, without a word."""
    prefixes = {path.replace("[]", "") for path in FIELDS}
    prefixes |= {p.rpartition(".")[0] for p in prefixes} | {"condition.timing", "sections.chart"}
    folder = settings.BASE_DIR / "templates"
    wrong = []
    for path in [*(folder / "conditions").glob("*.html"), folder / "clinic/_people_chart.html"]:
        for start, names in LOOK_UP.findall(path.read_text("utf-8")):
            full = f"{STARTS[start]}{names}".replace("[]", "").lstrip(".")
            if full not in prefixes:
                wrong.append(f"{path.name}: {start}{names}")
    assert wrong == []


def shown(built):
    """What a reader gets to see of a document: the page, its data for search engines, its card."""
    location = here()
    clinic = {"clinic": location.clinic, "location": location}
    clean = snapshot.clean_document(built)
    return "".join(
        [
            render_to_string("conditions/condition.html", {"document": clean, **clinic}),
            structured_data.page_data(clean, None, path="/here/", clinic=location.clinic),
            render_to_string("conditions/index.html", {"cards": [snapshot.build_card(built)]}),
        ]
    )


# Words that the booking flow shows, or the home page's body map.
SHOWN_ELSEWHERE = {"gate[]", "condition.body_area", "language", "summary"}


def test_a_field_is_seen_by_readers_as_declared(rich):
    """Another value in a leaf changes what readers get exactly when the declaration says so."""
    make_clinic()
    before = shown(rich)
    values = {
        "condition.form": "off_label", "related[].form": "off_label", "sections[].kind": "off_label",
        "references[].status": "retired", "last_reviewed": "2026-10-02",
        "next_review_due": "2027-10-02", "references[].url": "https://example.org/",
        "condition.evidence_bars": 1, "related[].evidence_bars": 1,
        "condition.evidence": "limited", "related[].evidence": "limited",
    }  # fmt: skip
    wrong = []
    for leaf in document.leaves(rich):
        field = leaf.field
        if field.path in SHOWN_ELSEWHERE:
            continue
        other = changed(rich, leaf, values.get(field.path, another(leaf)))
        if (shown(other) != before) != field.seen:
            wrong.append(field.path)
    assert wrong == [], wrong


# --- a field that came later ----------------------------------------------------------------------


@pytest.fixture
def later_field(monkeypatch):
    """A function that adds a price note to the record, declared one schema above the newest."""

    def declare(said=""):
        field = Field("condition.price_note", "Price", "Price", medical=False, since=NEWEST + 1)
        monkeypatch.setitem(FIELDS, field.path, field)
        monkeypatch.setattr(Condition, "price_note", said, raising=False)

    return declare


def test_a_new_field_makes_no_signed_page_changed(db, later_field):
    page = make_page()
    live = put_live(page)
    assert live.document["schema"] == NEWEST
    later_field()
    assert snapshot.build_document(page)["schema"] == NEWEST + 1
    assert not snapshot.is_stale(page, live)
    assert not snapshot.has_changed(page, live)
    with pytest.raises(publishing.PublishingError, match="Nothing has changed since"):
        publishing.submit(page, by=make_editor())


def test_what_is_said_in_a_new_field_is_a_change(db, later_field):
    page = make_page()
    live = put_live(page)
    later_field("From $500")
    assert snapshot.has_changed(page, live)
    edition = publishing.submit(page, by=make_editor())
    assert edition.document["schema"] == NEWEST + 1
    assert [(d.heading, d.lines) for d in compare(live.document, edition.document)] == [
        ("Price", [("added", "From $500")]),
        (Risk.DERIVED.words, [
            ("removed", f"Format: {NEWEST}"), ("added", f"Format: {NEWEST + 1}"),
        ]),
    ]  # fmt: skip


@pytest.mark.parametrize("said", ["", "From $500"])
def test_a_waiting_page_is_not_refused_for_a_new_field(db, later_field, said):
    page, editor = make_page(), make_editor()
    edition = publishing.submit(page, by=editor)
    later_field(said)
    edition = publishing.sign(edition, by=make_reviewer())
    edition = publishing.publish(edition, by=editor)
    assert edition.live
    assert edition.document["schema"] == NEWEST


def test_a_change_of_words_still_makes_a_waiting_page_stale(db, later_field):
    page = make_page()
    edition = publishing.submit(page, by=make_editor())
    later_field()
    Page.objects.filter(pk=page.pk).update(lead="It may help some people, not all.")
    with pytest.raises(publishing.PublishingError, match="has changed since"):
        publishing.sign(edition, by=make_reviewer())


def test_a_new_field_with_a_claim_is_checked_and_compared(db, later_field):
    page = make_page()
    live = put_live(page)
    later_field("We cure it for good, for $500")
    built = snapshot.build_document(page)
    assert {gap.field for gap in gaps.gaps(built)} == {"condition"}
    assert compare(live.document, built)


# --- the source of a quick fact, which came with schema 2 -----------------------------------------
@pytest.fixture
def sent_before(db, monkeypatch):
    """A page with a quick fact, sent for review before quick facts had sources."""
    page = make_page()
    Condition.objects.update(onset="2 weeks", onset_note="It varies.")
    newest = snapshot.build_document
    with monkeypatch.context() as before:
        before.setattr(snapshot, "build_document", lambda page, schema=None: newest(page, 1))
        edition = publishing.submit(Page.objects.get(pk=page.pk), by=make_editor())
    assert edition.document["schema"] == 1
    assert "source" not in edition.document["condition"]["timing"][0]
    return edition


def test_a_page_that_waited_before_sources_is_signed_and_published(sent_before):
    edition = publishing.sign(sent_before, by=make_reviewer())
    edition = publishing.publish(edition, by=make_editor())
    assert edition.live
    assert not snapshot.has_changed(Page.objects.get(pk=edition.page_id), edition)


def test_a_quick_fact_without_a_source_cannot_be_sent_and_with_one_it_is_a_difference(sent_before):
    page, editor = Page.objects.get(pk=sent_before.page_id), make_editor()
    built = snapshot.build_document(page)
    assert [gap.field for gap in gaps.gaps(built)] == ["condition"]
    assert "Starts to work" in gaps.gaps(built)[0].message
    Condition.objects.update(onset_source="clinical experience; see [ref:nobody-1999]")
    (gap,) = gaps.gaps(snapshot.build_document(Page.objects.get(pk=page.pk)))
    assert "[ref:nobody-1999] is not among the page's references" in gap.message
    Condition.objects.update(onset_source="a small trial [ref:lee-2020]")
    edition = publishing.submit(Page.objects.get(pk=page.pk), by=editor)
    fact, _derived = compare(sent_before.document, edition.document)
    assert (fact.heading, fact.risk) == ("Quick fact: Starts to work", Risk.EVIDENCE)
    assert fact.lines == [("added", "Source: a small trial [lee-2020]")]


def test_the_source_of_a_quick_fact_is_a_link_to_the_reference(rich):
    make_clinic()
    html = " ".join(shown(rich).split())
    link = '<sup><a href="#ref-1" aria-label="Reference 1">[1]</a></sup>'
    assert f"<small>Source: a trial{link}</small>" in html
    assert 'id="ref-1"' in html


# --- labels, which ended with schema 2: a document has their codes ---------------------------------
@pytest.fixture
def labelled(db):
    """A live edition from when documents held the words of their codes, and its page."""
    make_clinic()
    page = make_page(
        condition=make_condition(onset="2 weeks", onset_source="a trial", evidence="limited")
    )
    page.condition.related.add(make_condition(evidence="mixed"))
    built = snapshot.build_document(page, 2)
    edition = Edition.objects.create(
        page=page, number=1, kind=page.kind, slug=page.slug, document=built, live=True,
        card=snapshot.build_card(built), digest=snapshot.digest(built),
        created_at=timezone.now(), published_at=timezone.now(),
    )  # fmt: skip
    return page, edition


def test_a_document_from_before_keeps_its_labels_and_is_shown_alike(labelled):
    page, edition = labelled
    old, new = edition.document, snapshot.build_document(page)
    assert old["condition"]["evidence_label"] == "Limited"
    assert old["condition"]["timing"][0]["label"] == "Starts to work"
    assert old["related"][0]["evidence_label"] == "Mixed"
    assert "label" not in {leaf.field.path.rpartition("_")[2] for leaf in document.leaves(new)}
    assert shown(old) == shown(new)


def test_a_page_is_not_changed_by_the_end_of_a_field(labelled):
    page, edition = labelled
    assert not snapshot.is_stale(page, edition)
    assert not snapshot.has_changed(page, edition)
    assert snapshot.that_differ([edition]) == set()
    Condition.objects.filter(pk=page.condition_id).update(onset="3 weeks")
    fact, derived = compare(edition.document, snapshot.build_document(Page.objects.get()))
    assert (fact.heading, fact.lines) == (
        "Quick fact: Starts to work", [("removed", "Value: 2 weeks"), ("added", "Value: 3 weeks")]
    )  # fmt: skip
    assert [text for _mark, text in derived.lines] == ["Format: 2", f"Format: {NEWEST}"]


def test_the_codes_are_read_in_the_language_of_the_page(labelled, pseudo_language):
    for built in (labelled[1].document, snapshot.build_document(labelled[0])):
        for words in ("«Limited»", "«Mixed»", "«Starts to work»"):
            assert words in shown(built)
