"""What changed between two editions, in words."""

import copy

import pytest

from conditions import snapshot
from conditions.comparison import compare
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
        (lambda d: d["references"].pop(), "References"),
        (lambda d: d["safety"][0].update(body="<p>Else.</p>"), "Shared text: Serious warning"),
        (lambda d: d.update(last_reviewed="2026-11-01"), "Review"),
        (lambda d: d["sections"].reverse(), "Order of the sections"),
    ],
)
def test_every_part_is_compared(document, change, heading):
    assert [name for name, _ in spoil(document, change)] == [heading]
