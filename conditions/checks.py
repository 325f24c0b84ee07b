"""What a clinic should know about its content when the site starts."""

from django.core.checks import Tags, Warning, register
from django.db import connections

from . import editions
from .models import Condition, Edition


@register(Tags.database)
def emergency_signs_are_signed(app_configs, databases=None, **kwargs):
    """Name concerns that cannot be booked: none of their emergency signs are signed and live."""
    if "default" not in (databases or []):
        return []
    tables = {model._meta.db_table for model in (Condition, Edition)}
    if not tables <= set(connections["default"].introspection.table_names()):
        return []
    found = []
    names = list(editions.not_asked_about().values_list("name", flat=True))
    if names:
        found.append(
            Warning(
                f"These concerns take no bookings, for want of signed emergency signs on the site: "
                f"{', '.join(names)}.",
                hint="Publish their pages, or switch off that they accept bookings.",
                id="conditions.W001",
            )
        )
    if editions.why_not_bookable(None) and Condition.objects.exists():
        found.append(
            Warning(
                "No guide on the site carries the general emergency signs: nobody can book "
                "without a concern.",
                hint="Publish a guide; each carries the shared red flags marked “ask before booking”.",
                id="conditions.W002",
            )
        )
    return found
