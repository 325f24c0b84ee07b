"""What is missing before a page may be signed."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from conditions.document import QUICK_FACTS, Document
from conditions.snapshot import BOXED_WARNING, CITED
from conditions.text_checks.documents import _form_at, base_language, form_of, seen_texts
from conditions.text_checks.overclaims import overclaims

# Guides that make no medical claim and so need no references.
PRACTICAL_GUIDES = {"your-free-consultation"}

# What a page needs when the clinic may inject: who must not have it, and what to tell first.
TREATMENT_BLOCKS = {"contraindications", "cautions"}

LONGEST_REVIEW_MONTHS = 36

FEWEST_REFERENCES = 2

# Texts that many pages share: they may name a dose, as a limit.
GENERAL = {"safety", "after_treatment"}

FEWEST_ALTERNATIVES = 2


class Gap(NamedTuple):
    """Why a page cannot be published; ``field`` names where to mend it."""

    message: str
    field: str


# --- gaps ---------------------------------------------------------------------------------------
def gaps(document: Document) -> list[Gap]:
    """Everything that stops this document from being published, as a list of Gap."""
    found = [
        *_missing_words(document),
        *_missing_safety(document),
        *_missing_evidence(document),
        *_review_gaps(document),
    ]
    language = base_language(document["language"])
    for leaf, text in seen_texts(document):
        place = leaf.field.place
        found += _marks(text, place)
        found += [
            Gap(f"Says more than the evidence: “{claim.phrase}” in “{claim.sentence}”", place)
            for claim in overclaims(text, _form_at(document, leaf), language)
        ]
        if place not in GENERAL:
            found += _doses(document, text, place)
    return list(dict.fromkeys(found))


def _missing_words(document: Document) -> Iterator[Gap]:
    names = {"title": "title", "description": "description", "lead": "lead"}
    for field, name in names.items():
        if not document[field].strip():
            yield Gap(f"The {name} is empty.", field)
    if not document["sections"]:
        yield Gap("There is no text yet.", "sections")
    if document["condition"] and not document["condition"]["approval_text"].strip():
        yield Gap("The approval is not described.", "condition")


def _missing_safety(document: Document) -> Iterator[Gap]:
    blocks = {block["key"] for block in document["safety"] if block["body"]}
    if BOXED_WARNING not in blocks:
        yield Gap("The boxed warning is missing.", "safety")
    if form_of(document) in {"approved", "off_label"}:
        for key in sorted(TREATMENT_BLOCKS - blocks):
            yield Gap(f"The shared text “{key}” is missing.", "safety")
    flags = document["red_flags"] if document["condition"] else document["after_treatment"]
    if not flags["emergency"]:
        yield Gap("There is no emergency sign.", "red_flags")
    if document["condition"] and not document["gate"]:
        yield Gap("No emergency sign is asked before booking.", "red_flags")


def _missing_evidence(document: Document) -> Iterator[Gap]:
    if document["condition"]:
        for fact in document["condition"]["timing"]:
            if fact.get("source") == "":  # before schema 2 there was none
                label = QUICK_FACTS[fact["key"]]
                yield Gap(f"“{label}” does not say where it is known from.", "condition")
        named = sum(
            len(re.findall(r"<li>|<dt>|<tr>.*?<td", section["body"]))
            for section in document["sections"]
            if section["kind"] == "alternatives"
        )
        if not any(section["kind"] == "alternatives" for section in document["sections"]):
            yield Gap("There is no section on other treatments.", "sections")
        elif named < FEWEST_ALTERNATIVES:
            yield Gap("Name at least two other treatments, one a line.", "sections")
    practical = document["kind"] == "guide" and document["slug"] in PRACTICAL_GUIDES
    if not practical and len(document["references"]) < FEWEST_REFERENCES:
        yield Gap("A page needs at least two references.", "references")


def _review_gaps(document: Document) -> Iterator[Gap]:
    if not document["reviewer"]:
        yield Gap("No reviewer is named.", "reviewer")
    last, due = document["last_reviewed"], document["next_review_due"]
    if not last:
        yield Gap("The page was never marked as reviewed.", "last_reviewed")
    if not due:
        yield Gap("There is no date for the next review.", "next_review_due")
    if last and due:
        if due <= last:
            yield Gap("The next review is due before the last one was made.", "next_review_due")
        elif date.fromisoformat(due) > months_after(
            date.fromisoformat(last), LONGEST_REVIEW_MONTHS
        ):
            yield Gap("The next review is more than 36 months after the last.", "next_review_due")


def months_after(day: date, months: int) -> date:
    """Return the same day of the month ``months`` later, or the last day of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month + 1, last)
        except ValueError:
            continue
    raise ValueError(f"no such day: {year}-{month + 1}")


def _marks(text: str, field: str) -> Iterator[Gap]:
    hidden = sorted(
        {f"U+{ord(c):04X}" for c in text if unicodedata.category(c) == "Cf"} - {"U+00AD"}
    )
    if hidden:
        yield Gap(f"Invisible signs ({', '.join(hidden)}) change how this is read.", field)
    if "[CLINIC" in text.upper():
        yield Gap("A [CLINIC] mark is open: only the clinic knows this.", field)
    for match in CITED.finditer(text):
        yield Gap(f"[ref:{match[1]}] is not among the page's references.", field)


_DOSE = re.compile(r"\b\d[\d,.]*\s*(?:units?|IU|U|mg|mcg|micrograms?|µg)\b(?!\s*(?:/|per\b))", re.I)


def _doses(document: Document, text: str, field: str) -> Iterator[Gap]:
    if form_of(document) not in {"off_label", "advice"}:
        return
    for match in _DOSE.finditer(text):
        yield Gap(f"An off-label page gives no dose: “{match[0]}”", field)
