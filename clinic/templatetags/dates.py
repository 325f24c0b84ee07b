"""Dates that arrive as text, because an edition's document is JSON."""

from datetime import date

from django import template

register = template.Library()


@register.filter
def iso_date(text):
    """Return the date written as YYYY-MM-DD, or None for an empty text; else ValueError."""
    return date.fromisoformat(text) if text else None
