"""Editors' text on its way to the page."""

import re

from django import template
from django.utils.safestring import mark_safe
from django.utils.translation import gettext

register = template.Library()

TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)


def _in_scroller(match):
    label = gettext("Table, can be scrolled sideways")
    return f'<div class="scroller" role="group" tabindex="0" aria-label="{label}">{match[0]}</div>'


@register.filter
def prose(html):
    """Body text of an edition, which is clean already, with each table in a box that scrolls.

    With large text on a phone a table is wider than the screen; the box is reached by keyboard.
    """
    return mark_safe(TABLE.sub(_in_scroller, html))  # noqa: S308 - cleaned when the edition is built
