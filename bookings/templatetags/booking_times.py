"""Times in templates: always with the zone in which they are shown."""

from django import template
from django.utils.formats import date_format

from bookings import times

register = template.Library()

register.filter("zone_name", times.zone_name)


@register.simple_tag
def when(at, zone, style="l j F"):
    """{% when booking.starts_at zone %}: "Tuesday 24 November, 10:30"."""
    return times.when(at, zone, style)


@register.simple_tag
def clock(at, zone):
    return times.clock(at, zone)


@register.simple_tag
def offset(zone, at):
    """ "UTC−8"."""
    return times.zone_offset(zone, at)


@register.simple_tag
def day(at, zone, style="D j M"):
    """Write the date of an instant in a zone. Django's own filter would turn it to UTC first."""
    return date_format(at.astimezone(zone), style)


@register.filter
def get(mapping, key):
    """Return a value of a dict by a key that is itself a variable."""
    return mapping.get(key)
