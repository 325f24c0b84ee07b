"""The one declaration of what a page's document consists of. Pure.

Each leaf of the document is declared once in ``FIELDS``. Building, comparing and checking a
document, and the test of the templates, derive from it, so what is not declared can be neither
built nor overlooked. To add a field: give it ``since`` one above the newest schema, and let
snapshot.py build it. To end one: give it ``until``, and keep building it, so that older documents
can still be compared. Documents of an older schema stay as they are: see ``at_schema``.

One file: the declaration and what reads it.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from enum import IntEnum, StrEnum
from functools import cache
from typing import Any, NamedTuple

from django.utils.translation import gettext_lazy as _

Document = dict[str, Any]  # as JSON has it


class Kind(StrEnum):
    """What a leaf holds."""

    WORDS = "words"
    HTML = "html"
    SLUG = "slug"
    URL = "url"
    CODE = "code"  # one of a few values that the code knows
    NUMBER = "number"
    DATE = "date"


class Risk(IntEnum):
    """What a wrong change can do, the worst first: the order in which a reviewer sees changes."""

    DANGER = 1
    EVIDENCE = 2
    WORDS = 3
    ORDER = 4
    DERIVED = 5

    @property
    def words(self) -> str:
        return {
            Risk.DANGER: "Danger signs and safety",
            Risk.EVIDENCE: "Approval, evidence and numbers",
            Risk.WORDS: "Other words",
            Risk.ORDER: "Order only",
            Risk.DERIVED: "Follows from the other changes",
        }[self]


class Field(NamedTuple):
    """One leaf. ``path`` has a dot for each level and [] after the name of a list.

    ``seen``: a reader of the site sees it. ``medical``: a mistake in it can mislead about health.
    ``derived``: worked out from other leaves, so nobody changes it by itself. ``since`` and
    ``until``: the first and, for a field that has ended, the last schema that has it.
    """

    path: str
    label: str
    part: str = ""
    kind: Kind = Kind.WORDS
    risk: Risk = Risk.WORDS
    seen: bool = True
    medical: bool = True
    derived: bool = False
    since: int = 1
    until: int | None = None

    def is_in(self, schema: int) -> bool:
        return self.since <= schema <= (self.until or schema)

    @property
    def place(self) -> str:
        """The part of the page where an editor mends it."""
        top = self.path.partition(".")[0].removesuffix("[]")
        return "red_flags" if top == "gate" else top


class Group(NamedTuple):
    """A list of records; each is known by its leaf ``key`` and called by its leaf ``title``."""

    path: str
    noun: str
    plural: str
    key: str
    title: str


GROUPS = {
    group.path: group
    for group in [
        Group("sections[]", "Section", "sections", "heading", "heading"),
        Group("safety[]", "Shared text", "shared texts", "key", "title"),
        Group("faqs[]", "Question", "questions", "question", "question"),
        Group("references[]", "Reference", "references", "key", "key"),
        Group("related[]", "Related page", "related pages", "slug", "title"),
        Group("condition.timing[]", "Quick fact", "quick facts", "key", "key"),
    ]
}

# The quick facts of a condition, in page order: what a document calls them, and what readers read.
QUICK_FACTS = {
    "onset": _("Starts to work"),
    "peak": _("Strongest"),
    "duration": _("Lasts about"),
    "session": _("A session"),
    "repeat": _("Repeated"),
}

_D, _E = Risk.DANGER, Risk.EVIDENCE
_RECORD, _PROOF, _REVIEW = "Clinical record", "Approval and evidence", "Review"
_SIGNS, _AFTER = "Warning signs", "Warning signs after treatment"
FIELDS = {
    field.path: field
    for field in [
        Field("schema", "Format", kind=Kind.NUMBER, seen=False, medical=False, derived=True),
        Field("kind", "Kind of page", "Address", Kind.CODE, seen=False, medical=False),
        Field("slug", "Address", "Address", Kind.SLUG, medical=False),
        Field("language", "Language", "Address", Kind.CODE, medical=False),
        Field("title", "Title", "Title"),
        Field("description", "Description", "Description"),
        Field("lead", "Lead", "Lead"),
        Field("summary", "Card line", "Card line"),
        # --- the clinical record ---
        Field("condition.slug", "Condition", _RECORD, Kind.SLUG, seen=False, medical=False),
        Field("condition.name", "Name", _RECORD),
        Field("condition.medical_name", "Medical name", _RECORD),
        Field("condition.synonyms[]", "Also called", _RECORD),
        Field("condition.body_area", "Body area", _RECORD),
        Field("condition.summary", "Card line", _RECORD),
        Field("condition.specialty", "Specialty", _RECORD, seen=False),
        Field("condition.form", "Approved, off-label or advice", _PROOF, Kind.CODE, _E),
        Field("condition.product", "Product", _PROOF, risk=_E),
        Field("condition.approval_text", "Approval", _PROOF, risk=_E),
        Field("condition.approval_year", "Approved in", _PROOF, Kind.NUMBER, _E, seen=False),
        Field("condition.evidence", "Evidence", _PROOF, Kind.CODE, _E),
        Field("condition.evidence_label", "Evidence in words", _PROOF, risk=_E, seen=False,
              derived=True, until=2),
        Field("condition.evidence_bars", "Evidence bars", _PROOF, Kind.NUMBER, _E, derived=True),
        Field("condition.evidence_note", "About the evidence", _PROOF, risk=_E),
        Field("condition.adults_only", "Adults only", _PROOF, Kind.CODE, _E),
        Field("condition.timing[].key", "Fact", kind=Kind.CODE),
        Field("condition.timing[].label", "Name", seen=False, derived=True, until=2),
        Field("condition.timing[].value", "Value", risk=_E),
        Field("condition.timing[].note", "Note", risk=_E),
        Field("condition.timing[].source", "Source", kind=Kind.HTML, risk=_E, since=2),
        # --- danger ---
        Field("red_flags.emergency[]", "Emergency", _SIGNS, risk=_D),
        Field("red_flags.urgent[]", "The same day", _SIGNS, risk=_D),
        Field("red_flags.see_doctor[]", "See a doctor", _SIGNS, risk=_D),
        Field("after_treatment.emergency[]", "Emergency", _AFTER, risk=_D),
        Field("after_treatment.urgent[]", "The same day", _AFTER, risk=_D),
        Field("gate[]", "Asked before booking", "Asked before booking", risk=_D),
        Field("safety[].key", "Key", kind=Kind.SLUG, risk=_D, seen=False),
        Field("safety[].title", "Title", risk=_D),
        Field("safety[].body", "Text", kind=Kind.HTML, risk=_D),
        # --- text ---
        Field("sections[].kind", "Kind", kind=Kind.CODE),
        Field("sections[].anchor", "Place on the page", kind=Kind.SLUG, medical=False,
              derived=True),
        Field("sections[].heading", "Heading"),
        Field("sections[].body", "Text", kind=Kind.HTML),
        Field("sections[].chart.title", "Chart", risk=_E),
        Field("sections[].chart.placebo", "Of 100, dummy injections", kind=Kind.NUMBER, risk=_E),
        Field("sections[].chart.treatment", "Of 100, treatment", kind=Kind.NUMBER, risk=_E),
        Field("sections[].chart.placebo_label", "Chart, dummy injections", risk=_E),
        Field("sections[].chart.treatment_label", "Chart, treatment", risk=_E),
        Field("sections[].chart.rest_label", "Chart, the others", risk=_E),
        Field("faqs[].question", "Question"),
        Field("faqs[].answer", "Answer", kind=Kind.HTML),
        # --- where it comes from, who stands behind it, where it leads ---
        Field("references[].number", "Number", kind=Kind.NUMBER, derived=True),
        Field("references[].key", "Key", kind=Kind.SLUG, seen=False, medical=False),
        Field("references[].citation", "Source"),
        Field("references[].year", "Year", kind=Kind.NUMBER, seen=False),
        Field("references[].url", "Link", kind=Kind.URL),
        Field("references[].status", "Status", kind=Kind.CODE, risk=_E),
        Field("reviewer.name", "Reviewer", _REVIEW, medical=False),
        Field("reviewer.credentials", "Credentials", _REVIEW, medical=False),
        Field("reviewer.role", "Role", _REVIEW, medical=False),
        Field("reviewer.slug", "Address of the reviewer", _REVIEW, Kind.SLUG, medical=False),
        Field("last_reviewed", "Last reviewed", _REVIEW, Kind.DATE, medical=False),
        Field("next_review_due", "Next review", _REVIEW, Kind.DATE, medical=False),
        Field("related[].slug", "Address", kind=Kind.SLUG, medical=False),
        Field("related[].title", "Title"),
        Field("related[].summary", "Card line"),
        Field("related[].form", "Approved, off-label or advice", kind=Kind.CODE, risk=_E),
        Field("related[].evidence", "Evidence", kind=Kind.CODE, risk=_E),
        Field("related[].evidence_label", "Evidence in words", risk=_E, seen=False, derived=True,
              until=2),
        Field("related[].evidence_bars", "Evidence bars", kind=Kind.NUMBER, risk=_E, derived=True),
        Field("related[].body_area", "Body area", seen=False),
    ]
}  # fmt: skip


class UndeclaredError(Exception):
    """A document holds something that FIELDS does not know, or lacks something that it declares."""


class Leaf(NamedTuple):
    """A value of a document; ``keys`` leads to it, its field says what it is."""

    field: Field
    keys: tuple
    value: Any


def newest_schema() -> int:
    ended = (field.until + 1 for field in FIELDS.values() if field.until)
    return max(*ended, *(field.since for field in FIELDS.values()))


def field_at(path: str) -> Field:
    """Return the Field of ``path``; one that nobody declared counts as the most dangerous."""
    return FIELDS.get(path) or Field(path, path, "Not declared", risk=Risk.DANGER)


@cache
def group_of(path: str) -> Group | None:
    """Return the Group to which the leaf at ``path`` belongs, or None."""
    return next((g for start, g in GROUPS.items() if path.startswith(f"{start}.")), None)


def names(path: str, schema: int | None = None) -> list[str]:
    """Return the names in a record at ``path`` ("" is the whole document), in declared order.

    Without ``schema`` those that it has in any.
    """
    prefix = f"{path}." if path else ""
    found: dict[str, None] = {}
    for field in FIELDS.values():
        if field.path.startswith(prefix) and (schema is None or field.is_in(schema)):
            rest = field.path.removeprefix(prefix)
            found.setdefault(rest.partition(".")[0].removesuffix("[]"))
    return list(found)


def at_schema(built: Document, schema: int | None = None) -> Document:
    """``built`` as a document of ``schema``: without the fields that came later or had ended.

    So a signed text can be compared with what its page builds today, whatever was added to the
    format since. Raises UndeclaredError.
    """
    schema = schema or newest_schema()
    return _kept(built, "", schema) | {"schema": schema}


def leaves(document: Document) -> Iterator[Leaf]:
    """Every leaf of ``document``, in its order; those that nobody declared, too."""
    yield from _leaves(document, "", ())


def mapped(document: Document, change: Callable[[Field, Any], Any]) -> Document:
    """Return a copy of ``document`` in which each leaf is ``change(field, value)``."""
    return _mapped(document, "", change)


def digest(document: Document) -> str:
    """SHA-256 of the document's canonical JSON, as 64 hexadecimal digits."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _leaves(value: Any, path: str, keys: tuple) -> Iterator[Leaf]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, _below(path, name), (*keys, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[]", (*keys, place))
    elif value is not None or path in FIELDS:
        yield Leaf(field_at(path), keys, value)


def _mapped(value: Any, path: str, change: Callable[[Field, Any], Any]) -> Any:
    if isinstance(value, dict):
        return {name: _mapped(inner, _below(path, name), change) for name, inner in value.items()}
    if isinstance(value, list):
        return [_mapped(inner, f"{path}[]", change) for inner in value]
    return value if value is None and path not in FIELDS else change(field_at(path), value)


def _kept(value: Any, path: str, schema: int) -> Any:
    if isinstance(value, dict):
        declared, wanted = names(path), names(path, schema)
        unknown, missing = set(value) - set(declared), set(wanted) - set(value)
        if unknown or missing:
            raise UndeclaredError(
                f"{path or 'document'}: not declared {sorted(unknown)}, missing {sorted(missing)}"
            )
        return {
            name: _kept(inner, _below(path, name), schema)
            for name, inner in value.items()
            if name in wanted
        }
    if isinstance(value, list) and (f"{path}[]" in FIELDS or names(f"{path}[]")):
        return [_kept(inner, f"{path}[]", schema) for inner in value]
    if not isinstance(value, list) and (path in FIELDS or (value is None and names(path))):
        return value
    raise UndeclaredError(f"{path}: not declared")
