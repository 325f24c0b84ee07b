"""Hints for plain words: long sentences, long paragraphs, percent signs."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from conditions.document import Document, Kind
from conditions.text_checks.documents import base_language, seen_texts

# What is no sentence of the page's own, so nobody is asked to make it plainer.
NOT_PROSE = {
    "safety",
    "after_treatment",
    "description",
    "slug",
    "references",
    "reviewer",
    "related",
    "gate",
}

LANGUAGES = {"en"}  # whose sentences these patterns know

LONGEST_SENTENCE = 20  # words

LONGEST_PARAGRAPH = 3  # sentences


class Hint(NamedTuple):
    message: str
    field: str


# --- plain language -----------------------------------------------------------------------------
_END = re.compile(r"(?<=[.!?])[”\"’)]*\s+(?=[A-Z0-9“\"‘(\[])")

_SHORT_FORM = re.compile(r"\b(Dr|Mr|Ms|Mrs|vs|St|e\.g|i\.e|a\.m|p\.m|No)\.")

_PERCENT = re.compile(r"\d\s*(?:%|percent\b)")


def sentences(text: str) -> list[str]:
    """Split plain text into sentences; a line that ends without a stop is one, too."""
    text = _SHORT_FORM.sub(r"\1", text)
    return [part.strip() for line in text.splitlines() for part in _END.split(line) if part.strip()]


def word_count(text: str) -> int:
    return len(re.findall(r"[^\W_]+(?:['’.,/-][^\W_]+)*", text))


def average_sentence(texts_: Iterable[str]) -> float:
    """Mean length in words of all sentences in the given plain texts; 0 for none."""
    lengths = [word_count(sentence) for text in texts_ for sentence in sentences(text)]
    return sum(lengths) / len(lengths) if lengths else 0


def hints(document: Document) -> list[Hint]:
    """Return where the words could be plainer, as a list of Hint; never a reason to refuse."""
    own = [
        (leaf.field.place, text)
        for leaf, text in seen_texts(document)
        if leaf.keys[0] not in NOT_PROSE and leaf.field.kind is not Kind.SLUG
    ]
    found = []
    language = base_language(document["language"])
    if language not in LANGUAGES:
        own = []
        found.append(
            Hint(
                f"Nothing here was checked for claims or plain words: there are no checks for "
                f"“{language}”. Read every sentence for what it promises.",
                "sections",
            )
        )
    for field, text in own:
        for sentence in sentences(text):
            words = word_count(sentence)
            if words > LONGEST_SENTENCE:
                found.append(Hint(f"{words} words in one sentence: “{_start(sentence)}”", field))
            if _PERCENT.search(sentence):
                found.append(Hint(f"Write “9 in 100”, not a percentage: “{sentence}”", field))
        for line in text.splitlines():
            if len(sentences(line)) > LONGEST_PARAGRAPH:
                found.append(Hint(f"More than 3 sentences in “{_start(line)}”", field))
    average = average_sentence(text for _, text in own)
    if average > LONGEST_SENTENCE:
        found.append(Hint(f"Sentences have {average:.0f} words on average.", "sections"))
    if any(entry["status"] != "current" for entry in document["references"]):
        found.append(Hint("A reference was retired, replaced or not read again.", "references"))
    return found


def _start(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}…"
