"""Corrections of the starter's texts on a site that has them already.

A later release may correct a danger sign. On an existing site nothing of it is changed by itself:
editors see what the release says and what their site says, and take it as a draft, which a
clinician then signs like any other text, or keep their own. What was decided is remembered by the
digest of the release's text, so that each correction is asked about once.

One file: what the release says and what the site says are written in the same order.
"""

import difflib
import hashlib
import json
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from clinic import audit
from conditions import publishing
from conditions.fields import clean_html
from conditions.models import (
    Citation,
    Condition,
    Faq,
    Page,
    RedFlag,
    Reference,
    SharedBlock,
    StarterText,
)

from . import content as starter_content

# What the clinic itself decides stays out: order, lengths, who sees whom, dates of review.
RECORD_FIELDS = [
    "name", "medical_name", "synonyms", "body_area", "summary", "status", "product",
    "approval_text", "approval_year", "evidence", "evidence_note", "adults_only",
    *starter_content.TIMING,
]  # fmt: skip
PAGE_FIELDS = ["title", "description", "lead"]
REFERENCE_FIELDS = ["citation", "year", "url", "kind", "status", "checked_on"]
MAY_BE_EMPTY = {"approval_year", "checked_on"}


class Text(NamedTuple):
    """One text of the release: how it is called, where it stands here, and what it says.

    ``row`` is the record that holds it on this site, or None where staff renamed or removed it;
    ``says`` is plain data in one form for the release and for the site.
    """

    key: str
    label: str
    row: object
    says: object
    danger: bool = False

    @property
    def digest(self):
        return _digest(self.says)


class Correction(NamedTuple):
    """A text of the release that is not what this site says; ``lines`` as in comparison."""

    text: Text
    lines: list


def corrections():
    """Return what the release says otherwise than this site, danger signs first, as Corrections.

    Left out: what somebody has decided about, and what this site no longer has.
    """
    decided = dict(StarterText.objects.values_list("key", "digest"))
    found = []
    for text in _texts():
        if text.row is None or decided.get(text.key) == text.digest:
            continue
        here = _says(text)
        if here != text.says:
            found.append(Correction(text, _difference(here, text.says)))
    return sorted(found, key=lambda correction: not correction.text.danger)


def remember_all(*, at=None):
    """Note every text of the release as decided: it was loaded just now."""
    for text in _texts():
        _decide(text, by=None, at=at)


@transaction.atomic
def take(key, *, by):
    """Write the release's text into the working copy, as a draft that still has to be signed.

    Raises PublishingError for somebody who may not change texts, and for an unknown key.
    """
    text = _decidable(key, by)
    _write(text)
    subjects = text.row if isinstance(text.row, list) else [text.row]
    for subject in subjects[:1]:
        publishing.record_change(subject, by=by, fields=["taken from the release"])
    _decide(text, by=by)


@transaction.atomic
def keep(key, *, by):
    """Leave this site's own text; the release's correction is not asked about again.

    Raises PublishingError as take() does.
    """
    text = _decidable(key, by)
    row = _decide(text, by=by)
    audit.record(audit.Action.STARTER_TEXT_KEPT, row, by=by, details={"key": key})


def _decidable(key, by):
    allowed = by.has_perm("conditions.change_page") and by.has_perm("conditions.change_condition")
    if not allowed:
        raise publishing.PublishingError("You do not have the right to change medical texts.")
    found = next((text for text in _texts() if text.key == key and text.row is not None), None)
    if found is None:
        raise publishing.PublishingError("The release has no such text for this site.")
    return found


def _decide(text, *, by, at=None):
    values = {"digest": text.digest, "decided_at": at or timezone.now(), "decided_by": by}
    return StarterText.objects.update_or_create(key=text.key, defaults=values)[0]


def _digest(says):
    return hashlib.sha256(json.dumps(says, sort_keys=True, default=str).encode()).hexdigest()


# --- what the release says ------------------------------------------------------------------------
def _texts():
    shared, conditions, guides = starter_content.read()
    general = [
        {"level": "emergency", "asked_before_booking": True, **sign}
        for sign in shared["asked_before_booking"]
    ]
    flags = list(RedFlag.objects.filter(condition=None))
    signs = _signs_of(shared["after_treatment"] + general)
    yield Text("signs", "Signs after an injection, and before booking", flags or None, signs, True)
    records = {row.slug: row for row in Condition.objects.all()}
    for content in conditions:
        row, name = records.get(content["slug"]), content["name"]
        signs = _signs_of(content["red_flags"])
        yield Text(f"signs:{content['slug']}", f"{name}: danger signs", row, signs, True)
        says = [_plain(_record_value(content, field)) for field in RECORD_FIELDS]
        yield Text(f"record:{content['slug']}", f"{name}: clinical record", row, says)
    blocks = {row.key: row for row in SharedBlock.objects.all()}
    for block in shared["blocks"]:
        says = [block["title"], clean_html(block["body"])]
        yield Text(f"block:{block['key']}", block["title"], blocks.get(block["key"]), says, True)
    faqs = list(Faq.objects.filter(page=None))
    yield Text("faqs", "Questions on every page", faqs or None, _faqs_of(shared["faqs"]))
    pages = {
        (row.kind, row.slug): row for row in Page.objects.filter(language=starter_content.LANGUAGE)
    }
    for kind, contents in ((Page.Kind.CONDITION, conditions), (Page.Kind.GUIDE, guides)):
        for content in contents:
            row = pages.get((kind, content["slug"]))
            label = f"{content['page']['title']}: page"
            yield Text(f"page:{kind}:{content['slug']}", label, row, _page_of(content))
    references = {row.key: row for row in Reference.objects.all()}
    for entry in _references(conditions + guides).values():
        says = [_plain(entry.get(field)) for field in REFERENCE_FIELDS]
        yield Text(
            f"reference:{entry['key']}",
            f"Source {entry['key']}",
            references.get(entry["key"]),
            says,
        )


def _references(contents):
    return {e["key"]: e for content in contents for e in content.get("references", [])}


def _record_value(content, field):
    value = content.get(field)
    return "; ".join(value) if isinstance(value, list) else value


def _plain(value):
    return "" if value is None else value


def _signs_of(entries):
    return [
        [entry["level"], entry.get("asked_before_booking", False), entry["text"]]
        for entry in entries
    ]


def _faqs_of(entries):
    return [[entry["question"], clean_html(entry["answer"])] for entry in entries]


def _page_of(content):
    words = content["page"]
    return {
        "words": [words[field] for field in PAGE_FIELDS],
        "sections": [
            [
                section["kind"], section["heading"], clean_html(section["body"]),
                *(_plain(section.get("chart", {}).get(n)) for n in starter_content.CHART_FIELDS),
            ]
            for section in words["sections"]
        ],
        "faqs": _faqs_of(content["faqs"]),
        "references": [entry["key"] for entry in content.get("references", [])],
    }  # fmt: skip


# --- what this site says, in the same form --------------------------------------------------------
def _says(text):
    kind, row = text.key.partition(":")[0], text.row
    if kind == "signs":
        flags = row if isinstance(row, list) else row.red_flags.all()
        return [[flag.level, flag.asked_before_booking, flag.text] for flag in flags]
    if kind == "record":
        return [_plain(getattr(row, field)) for field in RECORD_FIELDS]
    if kind == "block":
        return [row.title, clean_html(row.body)]
    if kind == "faqs":
        return [[faq.question, clean_html(faq.answer)] for faq in row]
    if kind == "reference":
        return [_plain(getattr(row, field)) for field in REFERENCE_FIELDS]
    charts = [f"chart_{name}" for name in starter_content.CHART_FIELDS]
    return {
        "words": [getattr(row, field) for field in PAGE_FIELDS],
        "sections": [
            [s.kind, s.heading, clean_html(s.body), *(_plain(getattr(s, name)) for name in charts)]
            for s in row.sections.all()
        ],
        "faqs": [[faq.question, clean_html(faq.answer)] for faq in row.faqs.all()],
        "references": [c.reference.key for c in row.citations.select_related("reference")],
    }


# --- taking it ------------------------------------------------------------------------------------
def _write(text):
    kind, row = text.key.partition(":")[0], text.row
    if kind == "signs":
        condition = None if isinstance(row, list) else row
        RedFlag.objects.filter(condition=condition).delete()
        entries = [
            dict(zip(("level", "asked_before_booking", "text"), sign, strict=True))
            for sign in text.says
        ]
        starter_content.make_flags(condition, entries)
    elif kind == "faqs":
        Faq.objects.filter(page=None).delete()
        starter_content.make_faqs(None, _entries(text.says))
    elif kind == "page":
        _write_page(row, text.says)
    else:
        fields = {"record": RECORD_FIELDS, "block": ["title", "body"]}.get(kind, REFERENCE_FIELDS)
        for field, value in zip(fields, text.says, strict=True):
            setattr(row, field, None if field in MAY_BE_EMPTY and value == "" else value)
        row.save()


def _entries(says):
    return [{"question": question, "answer": answer} for question, answer in says]


def _write_page(page, says):
    for field, value in zip(PAGE_FIELDS, says["words"], strict=True):
        setattr(page, field, value)
    page.save()
    for children in (page.sections, page.faqs, page.citations):
        children.all().delete()
    sections = []
    for kind, heading, body, *chart in says["sections"]:
        values = dict(zip(starter_content.CHART_FIELDS, chart, strict=True))
        shown = {name: value for name, value in values.items() if value != ""}
        sections.append({"kind": kind, "heading": heading, "body": body, "chart": shown})
    starter_content.make_sections(page, sections)
    starter_content.make_faqs(page, _entries(says["faqs"]))
    known = _references(part for contents in starter_content.read()[1:] for part in contents)
    for position, key in enumerate(says["references"]):
        values = {field: known[key].get(field) for field in REFERENCE_FIELDS}
        reference, _made = Reference.objects.get_or_create(key=key, defaults=values)
        Citation.objects.create(page=page, reference=reference, position=position)


# --- the difference -------------------------------------------------------------------------------
_MARKS = {"+ ": "added", "- ": "removed"}


def _difference(here, release):
    """Only the lines that differ, as (mark, text): ours removed, the release's added."""
    lines = difflib.ndiff(list(_lines(here)), list(_lines(release)))
    return [(_MARKS[line[:2]], line[2:]) for line in lines if line[:2] in _MARKS]


def _lines(says):
    if isinstance(says, dict):
        for part in says.values():
            yield from _lines(part)
    elif isinstance(says, list):
        if says and not any(isinstance(part, list) for part in says):
            yield from str(
                " · ".join(str(part) for part in says if part not in ("", False))
            ).splitlines()
        else:
            for part in says:
                yield from _lines(part)
    elif says not in ("", None):
        yield from str(says).splitlines()
