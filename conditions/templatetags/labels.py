"""The codes of a document in the words of the reader's language."""

from django import template

from conditions.document import QUICK_FACTS
from conditions.models import Condition

register = template.Library()


@register.filter
def evidence_label(code: str) -> str:
    return str(dict(Condition.Evidence.choices).get(code, code))


@register.filter
def quick_fact(key: str) -> str:
    return str(QUICK_FACTS.get(key, key))
