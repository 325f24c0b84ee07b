"""Danger signs on their way to the page."""

from django import template

register = template.Library()


@register.filter
def unless_told(signs, told):
    """Leave out those ``signs`` after an injection that the page's own, ``told``, tell already.

    Its own signs continue "if you have", those after an injection "if".
    """
    return [sign for sign in signs if sign.removeprefix("you have ") not in told]
