"""What changed between two documents, in words, the most dangerous first. Pure.

It walks all of both documents by their declaration (document.py), so that "nothing differs" is
said of equal documents only.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from difflib import SequenceMatcher
from html import unescape
from typing import Any, NamedTuple

from django.utils.html import strip_tags

from .document import (
    FIELDS,
    GROUPS,
    QUICK_FACTS,
    Document,
    Field,
    Group,
    Kind,
    Risk,
    digest,
    field_at,
    group_of,
    leaves,
)

Line = tuple[str, str]  # its mark, its text


class Difference(NamedTuple):
    """One part of a page; ``lines`` are (mark, text) with mark "added", "removed" or "same"."""

    heading: str
    lines: list[Line]
    risk: Risk = Risk.WORDS
    medical: bool = True


RAW = "What the words above do not show"
NEAR = 2  # unchanged lines kept on either side of a change
ALIKE = 0.5  # share of equal words from which two headings are one section, renamed
# Words that tell people what to do in danger: a change of such a line is read first.
_URGENT = re.compile(
    r"\b(?:911|988|112|999|emergency|ambulance|right away|at once|same day|must not|never"
    r"|(?:do not|don['’]t|stop) (?:take|taking|drive|driving|wait|use|using|eat|drink|have))\b",
    re.I,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_NUMBER = re.compile(r"\d[\d,.]*")


def compare(old: Document, new: Document) -> list[Difference]:
    """Return the parts that differ as a list of Difference, the most dangerous first.

    Empty only for documents with the same digest.
    """
    if digest(old) == digest(new):
        return []
    before, after = (_parts(one, _sources(one)) for one in _where_they_differ(old, new))
    _join_renamed(before, after)
    found, derived = [], []
    for key in [*after, *(key for key in before if key not in after)]:
        part, follows = _compare_part(before.get(key), after.get(key))
        found += [part] if part else []
        derived += follows
    found += _orders(before, after)
    if derived:
        found.append(Difference(Risk.DERIVED.words, derived, Risk.DERIVED, medical=False))
    if not found:
        raw = _marked(_raw(old), _raw(new))
        found.append(Difference(RAW, raw, Risk.DANGER))
    return sorted(found, key=lambda part: (part.risk, not part.medical))


# --- taking a document apart ----------------------------------------------------------------------
class _Part(NamedTuple):
    """``values`` is {path of a leaf: (field, value)}; a list of plain words is one value."""

    heading: str
    group: Group | None
    values: dict[str, tuple[Field, Any]]


Key = tuple  # what two documents know a part by


def _where_they_differ(old: Document, new: Document) -> tuple[Document, Document]:
    """Return both documents without what is the same; sources are what the texts cite."""
    if old.get("references") != new.get("references"):
        return old, new
    same = {name for name in old if name in new and old[name] == new[name]} - {"references"}
    before, after = ({name: one[name] for name in one if name not in same} for one in (old, new))
    return before, after


def _parts(document: Document, sources: dict[str, str]) -> dict[Key, _Part]:
    """Return parts in page order by (path of the group, which of it) or (part's name, 0)."""
    parts: dict[tuple, _Part] = {}
    for leaf in leaves(document):
        field = leaf.field
        group = group_of(field.path)
        if group:
            depth = group.path.count(".") + 2
            record = _at(document, leaf.keys[:depth])
            key = (group.path, leaf.keys[depth - 1])
            title = record.get(group.title, "")
            heading = f"{group.noun}: {QUICK_FACTS.get(title, title)}"
        else:
            key, heading = (field.part or field.label, 0), field.part or field.label
        part = parts.setdefault(key, _Part(heading, group, {}))
        value = _with_sources(leaf.value, sources) if field.kind is Kind.HTML else leaf.value
        if field.path.endswith("[]"):
            part.values.setdefault(field.path, (field, []))[1].append(value)
        else:
            part.values[field.path] = (field, value)
    return _named(parts)


def _at(document: Any, keys: tuple) -> Any:
    for key in keys:
        document = document[key]
    return document


def _named(parts: dict[tuple, _Part]) -> dict[Key, _Part]:
    """Return the parts, those of a group by what their records are known by, not their place."""
    found: dict[Key, _Part] = {}
    seen: Counter[tuple] = Counter()
    for (path, _place), part in parts.items():
        known_by = part.values.get(f"{path}.{part.group.key}") if part.group else None
        name = (path, known_by[1] if known_by else "")
        seen[name] += 1
        found[(*name, seen[name])] = part
    return found


def _sources(document: Document) -> dict[str, str]:
    return {str(entry["number"]): entry["key"] for entry in document.get("references") or []}


def _with_sources(html: str, sources: dict[str, str]) -> str:
    """Name a citation by what it cites: its number changes with each source before it."""
    return re.sub(
        r'<sup><a href="#ref-(\d+)" aria-label="[^"]*">\[\1\]</a></sup>',
        lambda match: f" [{sources.get(match[1], match[1])}]",
        html,
    )


def _join_renamed(before: dict[Key, _Part], after: dict[Key, _Part]) -> None:
    """Give a section or question that only got another name the key of its new one."""
    gone = [key for key in before if key not in after and before[key].group]
    come = [key for key in after if key not in before and after[key].group]
    for old in gone:
        words = _words(before[old])
        best = max(
            (key for key in come if key[0] == old[0]),
            key=lambda key: SequenceMatcher(None, words, _words(after[key])).ratio(),
            default=None,
        )
        if best and SequenceMatcher(None, words, _words(after[best])).ratio() > ALIKE:
            come.remove(best)
            order = list(before.items())
            before.clear()
            before.update((best if key == old else key, part) for key, part in order)


def _words(part: _Part) -> list[str]:
    return " ".join(str(value) for _field, value in part.values.values()).split()


# --- one part -------------------------------------------------------------------------------------
def _compare_part(old: _Part | None, new: _Part | None) -> tuple[Difference | None, list[Line]]:
    """Return (Difference or None, lines of what only follows from other changes)."""
    part = new or old
    if part is None:
        return None, []
    before, after = (old.values if old else {}), (new.values if new else {})
    lines, follows, risks, medical = [], [], [], False
    name = f"{part.group.path}.{part.group.key}" if part.group else ""
    declared = [path for path in FIELDS if path in before or path in after]
    for path in [*declared, *(path for path in {**before, **after} if path not in FIELDS)]:
        field = (after.get(path) or before[path])[0]
        old_value, new_value = (values.get(path, (field, None))[1] for values in (before, after))
        if field.until and path not in after:
            continue  # its words are said by a code since
        changed = old_value != new_value or type(old_value) is not type(new_value)
        marked = _value_lines(field, old_value, new_value) if changed else []
        if field.derived:
            where = "" if part.heading == field.label else f"{part.heading} › "
            follows += [(mark, f"{where}{text}") for mark, text in marked]
        elif changed and not (path == name and not (old and new)):
            lines += marked
            risks.append(_risk(field, marked, old_value, new_value))
            medical = medical or field.medical
    if old is None or new is None:
        lines = lines or [("removed" if new is None else "added", part.heading)]
        risks += [field_at(name).risk] if name else []
        medical, follows = True, []
    if not lines:
        return None, follows
    return Difference(part.heading, lines, min(risks), medical), follows


def _value_lines(field: Field, old: Any, new: Any) -> list[Line]:
    """Return the marked lines of one changed value."""
    before, after = _lines(field, old), _lines(field, new)
    if before == after:  # what differs is in the markup alone
        before, after = _raw(old), _raw(new)
    marked = _marked(before, after)
    alone = sum(other.part == field.part for other in FIELDS.values()) == 1
    itself = field.path.endswith((".body", ".answer"))  # the text under the part's own heading
    if itself or (field.part and alone):
        return marked
    return [(mark, f"{field.label}: {text}") for mark, text in marked]


def _lines(field: Field, value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, list):
        return [str(entry) for entry in value]
    return outline(value) if field.kind is Kind.HTML else (str(value).splitlines() or [str(value)])


def _raw(value: Any) -> list[str]:
    if isinstance(value, str):
        return re.sub(r"(?<=>)(?=<)", "\n", value).splitlines()
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).splitlines()


def _risk(field: Field, marked: list[Line], old: Any, new: Any) -> Risk:
    """Return the field's risk, a higher one for words of danger or numbers, a lower for order."""
    if isinstance(old, list) and isinstance(new, list) and Counter(old) == Counter(new):
        return Risk.ORDER
    if field.risk is not Risk.WORDS or not field.medical or field.kind not in {
        Kind.WORDS, Kind.HTML,
    }:  # fmt: skip
        return field.risk
    sides = [
        Counter(part for mark, text in marked if mark == side for part in _SENTENCE.split(text))
        for side in ("removed", "added")
    ]
    changed = ["\n".join((one - other).elements()) for one, other in (sides, sides[::-1])]
    if any(_URGENT.search(text) for text in changed):
        return Risk.DANGER
    numbers = [_NUMBER.findall(text) for text in changed]  # in their order: 18 and 6 can be swapped
    return Risk.EVIDENCE if numbers[0] != numbers[1] else Risk.WORDS


def _marked(before: list[str], after: list[str]) -> list[Line]:
    """Two lists of lines as (mark, line), without what is far from any change."""
    lines: list[Line] = []
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for opcodes in matcher.get_grouped_opcodes(NEAR):
        for what, a, b, c, d in opcodes:
            if what == "equal":
                lines += [("same", line) for line in before[a:b]]
            else:
                lines += [("removed", line) for line in before[a:b]]
                lines += [("added", line) for line in after[c:d]]
    return lines


# --- order ----------------------------------------------------------------------------------------
def _orders(before: dict[Key, _Part], after: dict[Key, _Part]) -> Iterator[Difference]:
    """Yield where records that both documents have stand in another order."""
    for path, group in GROUPS.items():
        old = [key for key in before if key[0] == path and key in after]
        new = [key for key in after if key[0] == path and key in before]
        if old != new:
            lines = _marked(*([_name(after[key]) for key in keys] for keys in (old, new)))
            yield Difference(f"Order of the {group.plural}", lines, Risk.ORDER, medical=False)


def _name(part: _Part) -> str:
    return part.heading.partition(": ")[2]


# --- HTML in words --------------------------------------------------------------------------------
_BLOCK = re.compile(r"<(/?)(p|li|h3|h4|dt|dd|tr|div|ul|ol|dl|table|br)\b[^>]*>")
_SIGN = {"li": "• ", "h3": "### ", "h4": "#### ", "dt": "— "}


def outline(html: str) -> list[str]:
    """Turn cleaned HTML into lines that show what a reader could miss: bold, links, cells."""
    html = re.sub(r"<li>\s*<p>", "<li>", re.sub(r"</?strong>", "**", html))
    html = re.sub(r'<a\b[^>]*?href="([^"]*)"[^>]*>(.*?)</a>', r"\2 (link to \1)", html, flags=re.S)
    html = re.sub(r"</t[hd]>\s*(?=<t[hd])", " | ", html)
    html = re.sub(r"<th\b[^>]*>(.*?)(?=</th>| \| |</tr>)", r"\1", html, flags=re.S)
    html = _BLOCK.sub(lambda m: "\n" + ("" if m[1] else _SIGN.get(m[2], "")), html)
    lines = (" ".join(line.split()) for line in unescape(strip_tags(html)).splitlines())
    return [line for line in lines if line and line not in {"•", "—", "###", "####"}]
