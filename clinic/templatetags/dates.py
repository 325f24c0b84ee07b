"""Dates that arrive as text, because an edition's document is JSON."""

from datetime import date

from django import template

register = template.Library()


@register.filter
def iso_date(text):
    """The date written as YYYY-MM-DD, or None for an empty text. Raises ValueError otherwise."""
    return date.fromisoformat(text) if text else None
