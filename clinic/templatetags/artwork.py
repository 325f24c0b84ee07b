"""Drawings, placed in the page as inline SVG so that they take the page's colors.

Every drawing is a file of our own under clinic/artwork/, already marked as decoration
(aria-hidden, not focusable): the text beside it says what it means.
"""

from functools import lru_cache
from pathlib import Path

from django import template
from django.utils.html import format_html
from django.utils.safestring import mark_safe

register = template.Library()

ARTWORK = Path(__file__).resolve().parent.parent / "artwork"
OPENING = '<svg xmlns="http://www.w3.org/2000/svg"'


@lru_cache(maxsize=1)
def _files():
    return {
        path.relative_to(ARTWORK).with_suffix("").as_posix(): path.read_text().strip()
        for path in ARTWORK.rglob("*.svg")
    }


@lru_cache(maxsize=256)
def _inline(name, css_class):
    opening = format_html('<svg class="{}"', css_class)
    return mark_safe(_files()[name].replace(OPENING, opening, 1))  # noqa: S308 - our own files


@register.simple_tag(name="icon")
def icon_tag(name, **attributes):
    """Draw a small line icon from artwork/ui/; `class` adds to the class "icon"."""
    return _inline(f"ui/{name}", f"icon {attributes.get('class', '')}".strip())


@register.simple_tag(name="art")
def art_tag(slug, **attributes):
    """Draw a condition; one without a drawing of its own gets a neutral one."""
    name = f"conditions/{slug}"
    if name not in _files():
        name = "conditions/other"
    return _inline(name, f"art {attributes.get('class', '')}".strip())


@register.simple_tag(name="mark")
def mark_tag():
    """Draw the clinic's leaf."""
    return _inline("mark", "mark")


@register.simple_tag(name="signal")
def signal_tag(**attributes):
    """Draw a muscle signal that goes from spasm to rest."""
    return _inline("signal", f"signal {attributes.get('class', '')}".strip())


@register.simple_tag(name="body")
def body_tag():
    """Draw the standing figure of the body map, without its marks."""
    return _inline("body", "map__body")


@register.inclusion_tag("clinic/_meter.html")
def meter(bars, label):
    """Four bars, `bars` of them filled, and the word that says the same."""
    return {"bars": bars, "label": label}


@register.inclusion_tag("clinic/_people_chart.html")
def people_chart(chart):
    """One hundred dots: better with dummy injections, better because of treatment, the rest."""
    placebo = chart["placebo"]
    extra = max(chart["treatment"] - placebo, 0)
    return {
        "chart": chart,
        "extra": extra,
        "rest": 100 - placebo - extra,
        "dots": _dots(placebo, extra),
    }


@lru_cache(maxsize=64)
def _dots(placebo, extra):
    kinds = ["dummy"] * placebo + ["treatment"] * extra + ["rest"] * (100 - placebo - extra)
    return mark_safe(  # noqa: S308 - numbers and letters of our own
        "".join(
            f'<circle class="{kind}" cx="{place % 20 * 13 + 6.5}" cy="{place // 20 * 13 + 6.5}"'
            f' r="{5 if kind == "dummy" else 4.6}"/>'
            for place, kind in enumerate(kinds)
        )
    )
