import hashlib
import uuid
from datetime import timedelta

from django.db import migrations
from django.utils import timezone

AT_ONCE = 500


def hash_keys(apps, schema_editor):
    """Store the form keys of bookings as they are stored from now on.

    A key whose session has ended is nobody's any more and goes.
    """
    bookings = apps.get_model("bookings", "Booking").objects
    long_ago = timezone.now() - timedelta(days=1)
    bookings.filter(created_at__lt=long_ago, idempotency_key__isnull=False).update(
        idempotency_key=None
    )
    rows = list(bookings.filter(idempotency_key__isnull=False).only("idempotency_key"))
    for row in rows:
        digest = hashlib.sha256(row.idempotency_key.bytes).digest()
        row.idempotency_key = uuid.UUID(bytes=digest[:16])
    bookings.bulk_update(rows, ["idempotency_key"], batch_size=AT_ONCE)


class Migration(migrations.Migration):
    dependencies = [("bookings", "0008_visits")]
    operations = [migrations.RunPython(hash_keys, migrations.RunPython.noop, elidable=True)]
