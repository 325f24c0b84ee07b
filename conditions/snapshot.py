"""From the rows that editors change to the JSON document that a public page is rendered from.

One file: it is read beside a page, from its title to its references.
"""

import re
from collections.abc import Iterable, Iterator
from html import unescape
from typing import Any, NamedTuple

import nh3
from django.utils import translation
from django.utils.functional import Promise
from django.utils.html import escape, strip_tags
from django.utils.text import slugify
from django.utils.translation import gettext as _

from clinic.models import Practitioner

from .document import QUICK_FACTS, Document, Field, Kind, at_schema, digest, leaves, mapped, names
from .fields import ATTRIBUTES, SCHEMES, TAGS, clean_html
from .models import Condition, Edition, Faq, Page, RedFlag, Section, SharedBlock

BOXED_WARNING = "boxed-warning"
# Ids that the page's template already uses.
TAKEN_ANCHORS = {"main", "help", "safety", "questions", "references", "guides", "book"}

CITED = re.compile(r"\s*\[ref:([\w-]+)\]")
# Text lies at the even places; an attribute may hold ">" between its quotes.
_TAG = re.compile(r'(<[^>"]*(?:"[^"]*"[^>"]*)*>)')
_TABLE = re.compile(r"<table>(.*?)</table>", re.DOTALL)
_ROW = re.compile(r"<tr>.*?</tr>", re.DOTALL)


def build_document(page: Page, schema: int | None = None) -> Document:
    """Return the whole of ``page`` as a JSON-ready dict, with its shared texts. Write nothing.

    ``schema`` is the newest unless the document is for comparison with an older one. Raises
    UndeclaredError for what document.py does not declare.
    """
    return at_schema(_built(page, _shared()), schema)


class _Shared(NamedTuple):
    """What many pages show, read once."""

    flags: list[RedFlag]
    blocks: list[SharedBlock]
    faqs: list[Faq]


def _shared() -> _Shared:
    flags, faqs = RedFlag.objects.filter(condition=None), Faq.objects.filter(page=None)
    return _Shared(list(flags), list(SharedBlock.objects.all()), list(faqs))


def _built(page: Page, shared: _Shared) -> Document:
    """Build the document in the page's language, whoever asks: names of links and tables stay."""
    with translation.override(page.language):
        return _document(page, shared)


def _document(page: Page, shared: _Shared) -> Document:
    condition = page.condition
    numbers, references = _references(page)
    own_flags = list(condition.red_flags.all()) if condition else []
    # A guide carries the signs that are asked of people who do not know what their concern is.
    gate = [
        flag.text
        for flag in (own_flags if condition else shared.flags)
        if flag.asked_before_booking
    ]
    flags = [flag for flag in shared.flags if not flag.asked_before_booking]
    return {
        "schema": None,
        "kind": page.kind,
        "slug": page.slug,
        "language": page.language,
        "title": page.title,
        "description": page.description,
        "lead": page.lead,
        "summary": condition.summary if condition else page.summary,
        "condition": _condition(condition, numbers) if condition else None,
        "sections": _sections(page, numbers),
        "red_flags": _by_level(own_flags, RedFlag.Level.values),
        "after_treatment": _by_level(flags, ["emergency", "urgent"]),
        "gate": gate,
        "safety": _safety(condition, shared.blocks),
        "faqs": _faqs(page, numbers, shared.faqs),
        "references": references,
        "reviewer": _reviewer(page.reviewer),
        "last_reviewed": page.last_reviewed.isoformat() if page.last_reviewed else "",
        "next_review_due": page.next_review_due.isoformat() if page.next_review_due else "",
        "related": [_card(other) for other in _related(page)],
    }


def is_stale(page: Page, edition: Edition) -> bool:
    """Return whether ``page`` builds another text than ``edition`` froze, in the edition's schema.

    A field that the format got later cannot make a text stale that nobody changed.
    """
    return digest(build_document(page, edition.document["schema"])) != edition.digest


def has_changed(page: Page, edition: Edition) -> bool:
    """Return whether a new edition of ``page`` would say anything that ``edition`` does not."""
    return _says_more(_built(page, _shared()), edition)


def that_differ(editions: Iterable[Edition]) -> set[int]:
    """Return keys of the ``editions`` whose page says something else by now, in few queries."""
    editions, shared = list(editions), _shared()
    pages = Page.objects.whole().in_bulk({edition.page_id for edition in editions})
    built = {key: _built(page, shared) for key, page in pages.items()}
    return {edition.pk for edition in editions if _says_more(built[edition.page_id], edition)}


def _says_more(built: Document, edition: Edition) -> bool:
    since = edition.document["schema"]
    if digest(at_schema(built, since)) != edition.digest:
        return True
    return any(
        leaf.value
        for leaf in leaves(at_schema(built))
        if leaf.field.since > since and not leaf.field.derived
    )


def build_card(document: Document) -> dict[str, Any]:
    """Return what lists show of a page; kept beside it so that a list reads no documents."""
    if document["condition"] is None:
        return {key: document[key] for key in ("slug", "title", "summary")}
    values = document["condition"] | {key: document[key] for key in ("slug", "title")}
    return {name: values[name] for name in names("related[]") if name in values}


def clean_built(html: str) -> str:
    """Clean HTML that was built here already: the editors' list plus what ``_finish`` adds."""
    attributes = ATTRIBUTES | {
        "a": {"href", "aria-label"},
        "div": {"class", "tabindex", "role", "aria-label"},
    }
    return nh3.clean(
        html,
        tags=TAGS | {"div"},
        attributes=attributes,
        url_schemes=SCHEMES,
        attribute_filter=_built_attribute,
        link_rel=None,
    )


def clean_document(document: Document) -> Document:
    """``document`` with its HTML cleaned once more: the last step before a template trusts it."""
    return mapped(document, _cleaned)


def _cleaned(field: Field, value: Any) -> Any:
    if field.kind is Kind.HTML:
        return clean_built(value)
    return _https(value) if field.kind is Kind.URL else value


def plain_text(html: str) -> str:
    """Return the words of cleaned HTML, one block a line, without the numbers of references."""
    html = re.sub(r"<sup>.*?</sup>", "", html)
    html = re.sub(r"<br>|</(?:p|li|h3|h4|dt|dd|th|td|tr|div)>", "\n", html)
    lines = (" ".join(line.split()) for line in unescape(strip_tags(html)).splitlines())
    return "\n".join(line for line in lines if line)


def _built_attribute(tag: str, name: str, value: str) -> str | None:
    if tag == "a" and name == "href" and re.match(r"[/\\]{2}|[/\\]\\", value.strip()):
        return None
    if tag == "div" and name in {"class", "tabindex", "role"}:
        return value if (name, value) in _TABLE_BOX else None
    return value


_TABLE_BOX = {("class", "table-wrap"), ("tabindex", "0"), ("role", "region")}


def _https(url: str) -> str:
    return url if url.startswith("https://") else ""


def _references(page: Page) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Return {key: number} and the list of references, numbered in the page's order."""
    cited = [citation.reference for citation in page.citations.all()]
    listed: list[dict[str, Any]] = [
        {
            "number": number,
            "key": reference.key,
            "citation": reference.citation,
            "year": reference.year,
            "url": _https(reference.url),
            "status": reference.status,
        }
        for number, reference in enumerate(cited, start=1)
    ]
    return {one.key: number for number, one in enumerate(cited, start=1)}, listed


def _condition(condition: Condition, numbers: dict[str, int]) -> dict[str, Any]:
    special = {
        "synonyms": [name.strip() for name in condition.synonyms.split(";") if name.strip()],
        "evidence_label": condition.get_evidence_display(),  # until schema 2, as the facts' labels
        "timing": [
            {
                "key": key,
                "label": str(label),
                "value": getattr(condition, key),
                "note": getattr(condition, f"{key}_note"),
                "source": _finish(escape(getattr(condition, f"{key}_source")), numbers, label),
            }
            for key, label in QUICK_FACTS.items()
            if getattr(condition, key)
        ],
    }
    plain = [name for name in names("condition") if name not in special]
    return {name: getattr(condition, name) for name in plain} | special


def _card(condition: Condition) -> dict[str, Any]:
    values = {
        "slug": condition.slug,
        "title": condition.name,
        "condition": _condition(condition, {}),
    }
    return build_card(values)


def _related(page: Page) -> Iterable[Condition]:
    chosen = list(page.related.all())
    if chosen or page.condition is None:
        return chosen
    return page.condition.related.all()


def _sections(page: Page, numbers: dict[str, int]) -> list[dict[str, Any]]:
    taken = set(TAKEN_ANCHORS)
    sections = []
    for section in page.sections.all():
        base = slugify(section.heading) or section.kind.replace("_", "-")
        anchor, count = base, 2
        while anchor in taken:
            anchor, count = f"{base}-{count}", count + 1
        taken.add(anchor)
        sections.append(
            {
                "kind": section.kind,
                "anchor": anchor,
                "heading": section.heading,
                "body": _finish(section.body, numbers, section.heading),
                "chart": _chart(section),
            }
        )
    return sections


def _chart(section: Section) -> dict[str, Any] | None:
    if section.chart_placebo is None or section.chart_treatment is None:
        return None
    return {name: getattr(section, f"chart_{name}") for name in names("sections[].chart")}


def _by_level(flags: list[RedFlag], levels: list[str]) -> dict[str, list[str]]:
    return {level: [flag.text for flag in flags if flag.level == level] for level in levels}


def _safety(condition: Condition | None, blocks: list[SharedBlock]) -> list[dict[str, str]]:
    """Return the shared blocks of this page, the boxed warning first; guides carry only that."""
    blocks = sorted(blocks, key=lambda block: block.key != BOXED_WARNING)
    return [
        {"key": block.key, "title": block.title, "body": _finish(block.body, {}, block.title)}
        for block in blocks
        if block.key == BOXED_WARNING or (condition and _applies(block, condition))
    ]


def _applies(block: SharedBlock, condition: Condition) -> bool:
    """Advice pages offer no injection, so beside the warning they carry only off-label words."""
    treated = condition.service != Condition.Service.ADVICE
    if block.off_label_only:
        return condition.status == Condition.Status.OFF_LABEL
    return treated


def _faqs(page: Page, numbers: dict[str, int], shared: list[Faq]) -> list[dict[str, str]]:
    faqs = list(page.faqs.all())
    if page.condition and page.condition.service != Condition.Service.ADVICE:
        faqs += shared
    return [
        {"question": faq.question, "answer": _finish(faq.answer, numbers, faq.question)}
        for faq in faqs
    ]


def _reviewer(reviewer: Practitioner | None) -> dict[str, Any] | None:
    if reviewer is None:
        return None
    return {name: getattr(reviewer, name) for name in names("reviewer")}


def _finish(html: str, numbers: dict[str, int], label: str | Promise) -> str:
    """Clean ``html``, then add what editors need not type: links, table scopes and scroll boxes."""
    parts = _TAG.split(clean_html(html))
    parts[::2] = [CITED.sub(lambda match: _link(match, numbers), text) for text in parts[::2]]
    counter = iter(range(1, 1000))
    return clean_built(_TABLE.sub(lambda match: _table(match, label, counter), "".join(parts)))


def _link(match: re.Match, numbers: dict[str, int]) -> str:
    number = numbers.get(match[1])
    if number is None:
        return match[0]  # text_checks.gaps reports it
    name = escape(_("Reference %(number)s") % {"number": number})
    return f'<sup><a href="#ref-{number}" aria-label="{name}">[{number}]</a></sup>'


def _table(match: re.Match, label: str | Promise, counter: Iterator[int]) -> str:
    number = next(counter)
    if number > 1:
        label = _("%(heading)s, table %(number)s") % {"heading": label, "number": number}
    name = escape(label)
    rows = _ROW.sub(_scoped, match[1])
    return (
        f'<div class="table-wrap" tabindex="0" role="region" aria-label="{name}">'
        f"<table>{rows}</table></div>"
    )


def _scoped(match: re.Match) -> str:
    scope = "row" if "<td" in match[0] else "col"
    return re.sub(r"<th(?![a-z])((?:(?!scope=)[^>])*)>", rf'<th\1 scope="{scope}">', match[0])
