"""The document that a page is rendered from."""

import pytest
from django.utils.translation import get_language

from conditions import snapshot
from conditions.models import Condition, Faq, RedFlag, Reference, Section, SharedBlock
from tests.conditions.pages import make_guide, make_page
from tests.factories import make_condition

pytestmark = pytest.mark.django_db

CONTRACT = {
    "schema", "kind", "slug", "language", "title", "description", "lead", "condition", "sections",
    "red_flags", "after_treatment", "gate", "safety", "faqs", "references", "reviewer",
    "last_reviewed", "next_review_due", "related",
}  # fmt: skip


def body_of(html, page=None):
    page = page or make_page()
    Section.objects.filter(page=page, kind="in_short").update(body=html)
    return snapshot.build_document(page)["sections"][0]["body"]


def test_the_document_has_every_part_of_the_contract():
    document = snapshot.build_document(make_page())
    assert set(document) >= CONTRACT
    assert document["condition"]["form"] == "approved"
    assert document["condition"]["evidence_bars"] == 4
    assert document["references"][0]["number"] == 1
    assert document["reviewer"]["name"] == "Dr. Rena Reviewer"
    assert document["last_reviewed"] == "2026-10-01"


def test_a_citation_becomes_a_numbered_link():
    body = body_of("<p>True. [ref:kim-2021] Also [ref:lee-2020].</p>")
    assert body == (
        '<p>True.<sup><a href="#ref-2" aria-label="Reference 2">[2]</a></sup> '
        'Also<sup><a href="#ref-1" aria-label="Reference 1">[1]</a></sup>.</p>'
    )


def test_an_unknown_citation_stays_visible_for_lint():
    assert "[ref:nobody-1999]" in body_of("<p>True. [ref:nobody-1999]</p>")


def test_a_citation_inside_an_address_adds_no_markup():
    body = body_of('<p><a href="https://example.org/[ref:lee-2020]?a>b">x</a></p>')
    assert "<sup>" not in body
    assert body.count("<a ") == 1


def test_tables_scroll_in_a_named_box_and_headings_have_a_scope():
    table = (
        "<table><thead><tr><th>Out of 100</th><th scope='row'>Kept</th></tr></thead>"
        "<tbody><tr><th>Pain</th><td>9</td></tr></tbody></table>"
    )
    body = body_of(f"{table}{table}")
    assert '<div class="table-wrap" tabindex="0" role="region" aria-label="In short">' in body
    assert 'aria-label="In short, table 2"' in body
    assert '<th scope="col">Out of 100</th>' in body
    assert '<th scope="row">Kept</th>' in body
    assert '<th scope="row">Pain</th>' in body


def test_anchors_are_unique_and_leave_the_templates_ids_alone():
    page = make_page()
    for heading in ["Safety", "In short", "¿?"]:
        Section.objects.create(page=page, kind="text", heading=heading, body="<p>x</p>", position=9)
    anchors = [section["anchor"] for section in snapshot.build_document(page)["sections"]]
    assert anchors == ["in-short", "other-treatments", "safety-2", "in-short-2", "text"]


@pytest.mark.parametrize(
    ("status", "service", "keys"),
    [
        ("approved", "assessment", ["boxed-warning", "cautions", "contraindications"]),
        (
            "off_label",
            "consultation",
            ["boxed-warning", "cautions", "contraindications", "off-label"],
        ),
        ("off_label", "advice", ["boxed-warning", "off-label"]),
    ],
)
def test_each_kind_of_page_carries_its_shared_texts(status, service, keys):
    year = 2010 if status == "approved" else None
    page = make_page(condition=make_condition(status=status, service=service, approval_year=year))
    SharedBlock.objects.create(
        key="off-label", title="Off-label", body="<p>x</p>", off_label_only=True, position=9
    )
    Faq.objects.create(page=None, question="Is it genuine?", answer="<p>Yes.</p>")
    document = snapshot.build_document(page)
    assert document["safety"][0]["key"] == "boxed-warning"
    assert sorted(block["key"] for block in document["safety"]) == keys
    shared_question = [faq["question"] for faq in document["faqs"]][1:]
    assert shared_question == ([] if service == "advice" else ["Is it genuine?"])


def test_a_guide_carries_the_boxed_warning_alone():
    document = snapshot.build_document(make_guide())
    assert [block["key"] for block in document["safety"]] == ["boxed-warning"]
    assert document["condition"] is None
    assert document["gate"] == []
    assert snapshot.build_card(document) == {
        "slug": "a-guide", "title": "A guide", "summary": "One line"
    }  # fmt: skip


def test_the_gate_asks_the_signs_of_the_condition():
    page = make_page()
    RedFlag.objects.create(level="emergency", text="your throat swells", asked_before_booking=True)
    document = snapshot.build_document(page)
    assert document["gate"] == ["chest pain"]
    assert document["red_flags"]["urgent"] == ["a locked jaw"]
    assert "your throat swells" not in document["after_treatment"]["emergency"]


def test_related_conditions_are_cards():
    page = make_page()
    other = make_condition(name="Other", evidence="limited")
    page.condition.related.add(other)
    assert snapshot.build_document(page)["related"] == [
        {
            "slug": other.slug, "title": "Other", "summary": "A line", "form": "approved",
            "evidence": "limited", "evidence_bars": 2,
            "body_area": "",
        }
    ]  # fmt: skip


def test_a_chart_shows_only_with_both_groups():
    page = make_page()
    Section.objects.filter(page=page, kind="in_short").update(
        chart_placebo=29, chart_treatment=61, chart_title="Better?"
    )
    charts = [section["chart"] for section in snapshot.build_document(page)["sections"]]
    assert charts[0]["placebo"] == 29
    assert charts[1] is None


def test_the_digest_ignores_the_order_of_keys_and_sees_one_letter():
    document = snapshot.build_document(make_page())
    turned = dict(reversed(document.items()))
    assert snapshot.digest(turned) == snapshot.digest(document)
    assert snapshot.digest(document | {"lead": document["lead"] + "s"}) != snapshot.digest(document)
    assert len(snapshot.digest(document)) == 64


HOSTILE = [
    "<script>alert(1)</script>",
    "<p onclick=alert(1)>x</p>",
    "<img src=x onerror=alert(1)>",
    '<a href="javascript:alert(1)">x</a>',
    '<a href="JaVa\tScRiPt:alert(1)">x</a>',
    '<a href="data:text/html,x">x</a>',
    '<a href="//evil.example">x</a>',
    '<a href="/\\evil.example">x</a>',
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    "<form action=https://evil.example><input name=q></form>",
    "<style>*{background:url(//evil.example)}</style>",
    '<p style="position:fixed">x</p>',
    '<div class="table-wrap evil" role="alert" onfocus="alert(1)">x</div>',
]
FORBIDDEN = [
    "<script", "onclick", "onerror", "onfocus", "javascript:", "data:", "//evil", "\\evil", "<svg",
    "<math", "<iframe", "<form", "<style", "style=", "evil\"", "alert\"",
]  # fmt: skip


@pytest.mark.parametrize("html", HOSTILE)
def test_hostile_html_is_removed_when_saved_built_and_rendered(html):
    page = make_page()
    saved = Section.objects.create(page=page, kind="text", heading="H", body=html, position=9)
    saved.refresh_from_db()
    # As if the row had been written past the field, and then past the builder.
    Section.objects.filter(pk=saved.pk).update(body=html)
    built = snapshot.build_document(page)
    raw = built | {"sections": [built["sections"][0] | {"body": html}]}
    shown = snapshot.clean_document(raw)["sections"][0]["body"]
    for text in (saved.body, built["sections"][-1]["body"], shown):
        assert not [word for word in FORBIDDEN if word in text.lower()], text


def test_cleaning_again_changes_nothing_of_ours():
    page = make_page()
    table = "<table><tr><th>a</th></tr><tr><td>b &amp; c</td></tr></table><p>x [ref:lee-2020]</p>"
    Section.objects.filter(page=page, kind="in_short").update(body=table)
    document = snapshot.build_document(page)
    assert snapshot.clean_document(document) == document


def test_only_https_addresses_of_references_are_kept():
    page = make_page()
    Reference.objects.filter(key="lee-2020").update(url="javascript:alert(1)")
    document = snapshot.build_document(page)
    assert [entry["url"] for entry in document["references"]] == ["", "https://doi.org/kim-2021"]


def test_plain_text_has_one_line_a_block_and_no_reference_numbers():
    html = '<p>A &amp; b.<sup><a href="#ref-1">[1]</a></sup></p><ul><li>One</li><li>Two</li></ul>'
    assert snapshot.plain_text(html) == "A & b.\nOne\nTwo"


def test_building_takes_the_same_queries_whatever_the_size(django_assert_max_num_queries):
    page = make_page()
    for number in range(20):
        Section.objects.create(page=page, kind="text", heading=f"H{number}", body="<p>x</p>")
    page = type(page).objects.select_related("condition", "reviewer").get(pk=page.pk)
    with django_assert_max_num_queries(10):
        snapshot.build_document(page)
    assert Condition.objects.count() == 1


def test_our_own_words_in_a_document_can_be_translated(pseudo_language):
    document = snapshot.build_document(make_page())
    assert "«Reference 1»" in str(document["sections"])


def test_a_document_is_built_in_the_language_of_its_page(monkeypatch):
    spoken = []
    monkeypatch.setattr(snapshot, "_document", lambda page, shared: spoken.append(get_language()))
    monkeypatch.setattr(snapshot, "at_schema", lambda document, schema: document)
    snapshot.build_document(make_page(language="tr"))
    assert spoken == ["tr"]
