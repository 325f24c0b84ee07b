"""Editors' text on its way to the page."""

import re

from django import template
from django.utils.safestring import mark_safe
from django.utils.translation import gettext

register = template.Library()

TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)
CELL = re.compile(r"<t[hd][ >]")
WIDE = 4


def _in_scroller(match):
    table = match[0]
    if len(CELL.findall(table.partition("</tr>")[0])) < WIDE:
        return table
    label = gettext("Table, scrolls sideways")
    return f'<div class="scroller" role="group" tabindex="0" aria-label="{label}">{table}</div>'


@register.filter
def prose(html):
    """Body text of an edition, which is clean already, with wide tables in a box that scrolls.

    A table of four columns or more does not fit a phone; the box can be reached by keyboard.
    """
    return mark_safe(TABLE.sub(_in_scroller, html))  # noqa: S308 - cleaned when the edition is built
