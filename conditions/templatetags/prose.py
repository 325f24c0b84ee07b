"""Editors' text on its way to the page."""

from django import template
from django.utils.safestring import mark_safe

register = template.Library()


@register.filter
def prose(html):
    """Body text of an edition: cleaned, and its tables put into scroll boxes, when it was built."""
    return mark_safe(html)  # noqa: S308 - cleaned when the edition is built
