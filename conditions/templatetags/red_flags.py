"""Red flags on their way to the page."""

from django import template

register = template.Library()


@register.filter
def unless_named(after_treatment: list[str], own: list[str]) -> list[str]:
    """Leave out those signs after an injection that the page's ``own`` red flags name already.

    Its own continue "if you have", those after an injection "if".
    """
    return [sign for sign in after_treatment if sign.removeprefix("you have ") not in own]
