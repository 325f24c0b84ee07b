"""The texts of a document, and what is approved where they stand."""

from collections.abc import Iterator

from conditions.document import Document, Kind, Leaf, leaves
from conditions.snapshot import plain_text


def form_of(document: Document) -> str:
    """ "approved", "off_label" or "advice"; "guide" for a guide."""
    return document["condition"]["form"] if document["condition"] else "guide"


def base_language(code: str) -> str:
    """Return the language of a code that may also name a country: "pt" of "pt-br"."""
    return code.partition("-")[0]


def texts(document: Document) -> Iterator[tuple[str, str]]:
    """Every (place where it is mended, plain text) that a reader sees."""
    for leaf, text in seen_texts(document):
        yield leaf.field.place, text


def seen_texts(document: Document) -> Iterator[tuple[Leaf, str]]:
    """Every (Leaf, plain text) that a reader sees; an address as the words that it is made of."""
    for leaf in leaves(document):
        field, value = leaf.field, leaf.value
        if not field.seen or not isinstance(value, str):
            continue
        if field.kind is Kind.HTML:
            yield leaf, plain_text(value)
        elif field.kind is Kind.WORDS:
            yield leaf, value
        elif field.kind is Kind.SLUG:
            yield leaf, value.replace("-", " ")


def _form_at(document: Document, leaf: Leaf) -> str:
    """Return the form where a leaf stands: a card of another page stands for that page."""
    if leaf.keys[0] == "related":
        return document["related"][leaf.keys[1]].get("form", "guide")
    return form_of(document)
