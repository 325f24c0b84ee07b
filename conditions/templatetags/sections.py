"""The order of a page: what it is and for whom, where to get help, then the rest."""

from django import template

from conditions.models import Section

register = template.Library()

REST = {Section.Kind.NEXT_STEPS, Section.Kind.ALTERNATIVES, Section.Kind.TEXT}


@register.filter
def before_help(document):
    """Return the sections before the signs that need help; of a guide, all."""
    return [one for one in document["sections"] if not _is_rest(document, one)]


@register.filter
def after_help(document):
    return [one for one in document["sections"] if _is_rest(document, one)]


def _is_rest(document, section):
    return document["kind"] != "guide" and section["kind"] in REST
