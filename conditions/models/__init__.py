"""The medical content, one file per family."""

from .condition import Condition, RedFlag, SigningRight
from .edition import Edition, EditionQuerySet
from .page import Citation, CitationManager, Faq, Page, PageQuerySet, Section
from .references import Reference, SharedBlock
from .starter_text import StarterText

__all__ = [
    "Condition",
    "RedFlag",
    "SigningRight",
    "Reference",
    "SharedBlock",
    "Citation",
    "CitationManager",
    "Faq",
    "Page",
    "PageQuerySet",
    "Section",
    "Edition",
    "EditionQuerySet",
    "StarterText",
]
