"""What bookings must be like before the site starts."""

from django.conf import settings
from django.core.checks import Tags, Warning, register
from django.db import connections

from .models import Booking


@register(Tags.database)
def demo_bookings_stay_at_home(app_configs, databases=None, **kwargs):
    if settings.ON_LOOPBACK or "default" not in (databases or []):
        return []
    connection = connections["default"]
    if Booking._meta.db_table not in connection.introspection.table_names():
        return []
    with connection.cursor() as cursor:
        columns = connection.introspection.get_table_description(cursor, Booking._meta.db_table)
    if "is_demo" not in {column.name for column in columns}:
        return []  # checked before the migration that adds it
    count = Booking.objects.filter(is_demo=True).count()
    if not count:
        return []
    return [
        Warning(
            f"{count} bookings of the demo are on a public site; their people are fictitious.",
            hint="Begin with a database of your own: the demo's is for trying the site.",
            id="bookings.W001",
        )
    ]
