"""What changed between two editions, in words."""

import copy

import pytest

from conditions import snapshot
from conditions.comparison import RAW, compare, outline
from conditions.document import Risk
from tests.conditions.pages import make_page


@pytest.fixture
def document(db):
    return snapshot.build_document(make_page())


def spoil(document, change):
    changed = copy.deepcopy(document)
    change(changed)
    return [(part.heading, part.lines) for part in compare(document, changed)]


def test_equal_documents_do_not_differ(document):
    assert compare(document, copy.deepcopy(document)) == []


def test_a_changed_line_is_removed_and_added(document):
    assert spoil(document, lambda d: d.update(lead="Other.")) == [
        ("Lead", [("removed", document["lead"]), ("added", "Other.")])
    ]


def test_an_added_a_removed_and_a_moved_question_each_show(document):
    new = {"question": "New?", "answer": "<p>Yes.</p>"}
    added = dict(spoil(document, lambda d: d["faqs"].append(new)))
    assert added["Question: New?"] == [("added", "Yes.")]
    removed = dict(spoil(document, lambda d: d["faqs"].clear()))
    assert removed["Question: Does it hurt?"] == [("removed", "A little.")]
    document["faqs"].append(new)
    moved = dict(spoil(document, lambda d: d["faqs"].reverse()))
    assert set(moved) == {"Order of the questions"}


@pytest.mark.parametrize(
    ("change", "heading"),
    [
        (lambda d: d["red_flags"]["emergency"].append("a new sign"), "Warning signs"),
        (lambda d: d["gate"].append("a new sign"), "Asked before booking"),
        (lambda d: d["condition"].update(evidence="limited"), "Approval and evidence"),
        (lambda d: d["references"].pop(), "Reference: kim-2021"),
        (lambda d: d["safety"][0].update(body="<p>Else.</p>"), "Shared text: Serious warning"),
        (lambda d: d.update(last_reviewed="2026-11-01"), "Review"),
        (lambda d: d["sections"].reverse(), "Order of the sections"),
    ],
)
def test_every_part_is_compared(document, change, heading):
    assert [name for name, _ in spoil(document, change)] == [heading]


def lines(document, change):
    (difference,) = spoil(document, change)
    return difference[1]


def body(html):
    return lambda d: d["sections"][0].update(body=html)


def test_a_sign_that_is_demoted_shows_both_levels(document):
    def demote(d):
        d["red_flags"]["urgent"].insert(0, d["red_flags"]["emergency"].pop())

    assert lines(document, demote) == [
        ("removed", "Emergency: chest pain"),
        ("added", "The same day: chest pain"),
        ("same", "The same day: a locked jaw"),
    ]


def test_a_link_that_leads_elsewhere_shows(document):
    body('<p>Read <a href="/guides/safety/">this</a>.</p>')(document)
    assert lines(document, body('<p>Read <a href="https://example.org/">this</a>.</p>')) == [
        ("removed", "Read this (link to /guides/safety/)."),
        ("added", "Read this (link to https://example.org/)."),
    ]


def test_bold_shows(document):
    body("<p>Never on your own.</p>")(document)
    assert lines(document, body("<p><strong>Never</strong> on your own.</p>")) == [
        ("removed", "Never on your own."),
        ("added", "**Never** on your own."),
    ]


def test_swapped_cells_show_in_their_row(document):
    table = "<table><tr><th>Infection</th><td>{}</td><td>{}</td></tr></table>"
    body(table.format(18, 6))(document)
    assert lines(document, body(table.format(6, 18))) == [
        ("removed", "Infection | 18 | 6"),
        ("added", "Infection | 6 | 18"),
    ]


def test_swapped_numbers_count_as_changed_numbers(document):
    table = "<table><tr><th>Infection</th><td>{}</td><td>{}</td></tr></table>"
    body(table.format(18, 6))(document)
    changed = copy.deepcopy(document)
    body(table.format(6, 18))(changed)
    assert [part.risk for part in compare(document, changed)] == [Risk.EVIDENCE]


def test_what_only_the_markup_says_shows_as_markup(document):
    body("<ul><li>One</li></ul>")(document)
    assert lines(document, body("<ol><li>One</li></ol>")) == [
        ("removed", "<ul>"), ("added", "<ol>"), ("same", "<li>One</li>"),
        ("removed", "</ul>"), ("added", "</ol>"),
    ]  # fmt: skip


def test_a_number_that_only_follows_from_a_new_source_is_no_change_of_the_text(document):
    """And a citation that leads to another source is one."""

    def insert(d):
        d["references"].insert(0, d["references"][0] | {"number": 1, "key": "new-2026"})
        for entry in d["references"][1:]:
            entry["number"] += 1
        section = d["sections"][0]
        section["body"] = section["body"].replace("[1]", "[2]").replace("#ref-1", "#ref-2")
        section["body"] = section["body"].replace("Reference 1", "Reference 2")

    found = spoil(document, insert)
    assert [heading for heading, _ in found] == ["Reference: new-2026", Risk.DERIVED.words]

    def cite_another(d):
        section = d["sections"][0]
        section["body"] = section["body"].replace("[1]", "[2]").replace("#ref-1", "#ref-2")
        section["body"] = section["body"].replace("Reference 1", "Reference 2")

    assert lines(document, cite_another)[-1] == (
        "added", "Pain was less in a small trial. [kim-2021]"
    )  # fmt: skip


def test_a_renamed_section_is_one_part_with_both_names(document):
    found = dict(spoil(document, lambda d: d["sections"][0].update(heading="Briefly")))
    assert found == {"Section: Briefly": [
        ("removed", "Heading: In short"), ("added", "Heading: Briefly")
    ]}  # fmt: skip


def test_an_empty_question_that_is_added_or_removed_shows(document):
    new = {"question": "New?", "answer": ""}
    assert spoil(document, lambda d: d["faqs"].append(new))
    document["faqs"].append(new)
    assert spoil(document, lambda d: d["faqs"].pop())


def test_the_most_dangerous_change_comes_first(document):
    def change(d):
        d.update(lead="Other words.", title="Another")
        d["sections"].reverse()
        d["condition"].update(evidence_note="Of 10 people, 9.")
        d["faqs"][0].update(answer="<p>Call 911 only if you like.</p>")
        d["reviewer"].update(name="Dr. Else")
        d["gate"].append("a new sign")

    changed = copy.deepcopy(document)
    change(changed)
    found = [(part.risk, part.heading) for part in compare(document, changed)]
    assert found == [
        (Risk.DANGER, "Asked before booking"),
        (Risk.DANGER, "Question: Does it hurt?"),
        (Risk.EVIDENCE, "Approval and evidence"),
        (Risk.WORDS, "Title"),
        (Risk.WORDS, "Lead"),
        (Risk.WORDS, "Review"),
        (Risk.ORDER, "Order of the sections"),
    ]


@pytest.mark.parametrize(
    ("answer", "risk"),
    [
        ("<p>A lot.</p>", Risk.WORDS),
        ("<p>For 2 in 10 people.</p>", Risk.EVIDENCE),
        ("<p>Go to an emergency department.</p>", Risk.DANGER),
        ("<p>A little. Do not drive home.</p>", Risk.DANGER),
        ("<p>We do not think so.</p>", Risk.WORDS),
    ],
)
def test_numbers_and_words_of_danger_raise_the_risk_of_a_text(document, answer, risk):
    changed = copy.deepcopy(document)
    changed["faqs"][0]["answer"] = answer
    assert [part.risk for part in compare(document, changed)] == [risk]


def test_only_sentences_that_changed_raise_the_risk(document):
    body("<p>Call 911 if you choke. It lasts 3 weeks. It may ache.</p>")(document)
    changed = copy.deepcopy(document)
    body("<p>Call 911 if you choke. It lasts 3 weeks. It may itch.</p>")(changed)
    assert [part.risk for part in compare(document, changed)] == [Risk.WORDS]
    body("<p>Call 911 if you cough. It lasts 3 weeks. It may ache.</p>")(changed)
    assert [part.risk for part in compare(document, changed)] == [Risk.DANGER]


def test_the_order_of_signs_shows_last(document):
    document["gate"].append("a second sign")
    changed = copy.deepcopy(document)
    changed["gate"].reverse()
    assert [part.risk for part in compare(document, changed)] == [Risk.ORDER]


def test_what_no_words_describe_is_shown_raw(document):
    changed = copy.deepcopy(document)
    changed["extra"] = {}
    (difference,) = compare(document, changed)
    assert difference.heading == RAW
    assert ("added", ' "extra": {},') in difference.lines


def test_a_value_that_only_python_takes_for_equal_differs(document):
    document["condition"]["approval_year"] = 1
    assert spoil(document, lambda d: d["condition"].update(approval_year=True))


def test_html_in_words():
    html = (
        "<h3>When</h3><p>A &amp; <strong>b</strong></p><ul><li><p>One</p></li><li>Two</li></ul>"
        "<dl><dt>Term</dt><dd>Words</dd></dl>"
        '<div class="table-wrap"><table><tr><th scope="col">H</th><th>K</th></tr>'
        "<tr><th>Pain</th><td>18</td><td></td></tr></table></div>"
    )
    assert outline(html) == [
        "### When", "A & **b**", "• One", "• Two", "— Term", "Words", "H | K", "Pain | 18 |",
    ]  # fmt: skip
