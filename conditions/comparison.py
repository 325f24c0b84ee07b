"""What changed between two documents, in words. Pure."""

import difflib
from typing import NamedTuple

from .lint import texts


class Difference(NamedTuple):
    """One part of a page; ``lines`` are (mark, text) with mark "added", "removed" or "same"."""

    heading: str
    lines: list


_MARKS = {"+ ": "added", "- ": "removed", "  ": "same"}


def compare(old, new):
    """The parts of two documents that differ, in page order, as a list of Difference."""
    before, after = _parts(old), _parts(new)
    headings = [*after, *(heading for heading in before if heading not in after)]
    return [
        Difference(heading, _lines(before.get(heading, []), after.get(heading, [])))
        for heading in headings
        if before.get(heading, []) != after.get(heading, [])
    ]


def _lines(before, after):
    return [
        (_MARKS[line[:2]], line[2:]) for line in difflib.ndiff(before, after) if line[:2] in _MARKS
    ]


def _parts(document):
    """{heading: lines}; sections and questions by their own heading, so that a move shows."""
    parts = {}
    for field, text in texts(document):
        lines = text.splitlines()
        if field in {"sections", "faqs", "safety"}:
            name = {"sections": "Section", "faqs": "Question", "safety": "Shared text"}[field]
            parts.setdefault(f"{name}: {lines[0]}", []).extend(lines[1:])
        else:
            parts.setdefault(_NAMES[field], []).extend(lines)
    parts["Order of the sections"] = [s["heading"] for s in document["sections"]]
    parts["Order of the questions"] = [faq["question"] for faq in document["faqs"]]
    parts["Charts"] = [
        f"{s['heading']}: {s['chart']['placebo']} and {s['chart']['treatment']} of 100"
        for s in document["sections"]
        if s["chart"]
    ]
    condition = document["condition"] or {}
    parts["Approval and evidence"] = [
        f"{key}: {condition[key]}"
        for key in ("form", "product", "approval_year", "evidence", "adults_only")
        if key in condition
    ]
    parts["Asked before booking"] = list(document["gate"])
    parts["References"] = [
        f"{entry['citation']} {entry['url']} ({entry['status']})"
        for entry in document["references"]
    ]
    parts["Related"] = [card["title"] for card in document["related"]]
    reviewer = document["reviewer"] or {"name": "nobody"}
    parts["Review"] = [
        f"by {reviewer['name']}",
        f"last reviewed {document['last_reviewed'] or 'never'}",
        f"next review {document['next_review_due'] or 'no date'}",
    ]
    return parts


_NAMES = {
    "title": "Title",
    "description": "Description",
    "lead": "Lead",
    "summary": "Card line",
    "condition": "Clinical record",
    "red_flags": "Warning signs",
    "after_treatment": "Warning signs after treatment",
}
