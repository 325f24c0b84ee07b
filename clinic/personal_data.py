"""Which columns name or describe a patient: erasing, exporting and the canary tests read this list.

Each model says it beside its fields. ``PERSONAL`` names these columns; where it names any,
``NOT_PERSONAL`` names the other columns that could hold text. ``PERSONAL = ()`` says that no column
of the model does. Staff are in the record by their names, and practitioners on the site.
"""

from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.db import connection, models

CAN_HOLD_TEXT = (
    models.CharField, models.TextField, models.JSONField, models.BinaryField,
    models.FileField, models.GenericIPAddressField,
)  # fmt: skip

# Models of others. A session holds what a visitor answered so far; the rest is about staff.
ELSEWHERE = {
    "sessions.session": ("session_data",),
    "account.emailaddress": (),
    "account.emailconfirmation": (),
    "admin.logentry": (),
    "auth.group": (),
    "auth.permission": (),
    "clinic.user": (),
    "contenttypes.contenttype": (),
    "mfa.authenticator": (),
}


def columns(model):
    """Return the names of its personal columns, in the order in which they are declared."""
    return getattr(model, "PERSONAL", None) or ELSEWHERE.get(model._meta.label_lower, ())


def blank(model):
    """Return what each personal column holds once it is erased, by name."""
    return {name: model._meta.get_field(name).get_default() for name in columns(model)}


def values(row):
    """Return what the personal columns of a row say, as text by name; empty ones are left out."""
    fields = (row._meta.get_field(name) for name in columns(type(row)))
    return {
        field.name: field.value_to_string(row)
        for field in fields
        if field.value_from_object(row) != field.get_default()
    }


def pointing_to(model):
    """Yield the other models with personal columns whose rows belong to a row of ``model``.

    Each as (model, name of its foreign key).
    """
    for relation in model._meta.related_objects:
        if relation.related_model is not model and columns(relation.related_model):
            yield relation.related_model, relation.field.name


def undeclared():
    """Columns that can hold text and of which nobody has said what they hold: "app.model.column"."""
    for model in apps.get_models():
        label = model._meta.label_lower
        personal = getattr(model, "PERSONAL", ELSEWHERE.get(label))
        if personal == ():
            continue
        declared = {*(personal or ()), *getattr(model, "NOT_PERSONAL", ())}
        yield from (
            f"{label}.{field.name}"
            for field in model._meta.concrete_fields
            if isinstance(field, CAN_HOLD_TEXT)
            and not (field.choices or field.name in declared or label in ELSEWHERE)
        )


def empty_write_log():
    """Take what was overwritten out of the database file's write-ahead log as well.

    A reader who is in the way is waited for a moment only: there is another day.
    """
    if (
        connection.in_atomic_block
        or not Path(f"{settings.DATABASES['default']['NAME']}-wal").exists()
    ):
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        patience = cursor.fetchone()[0]
        cursor.execute("PRAGMA busy_timeout = 200")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        cursor.fetchall()
        cursor.execute(f"PRAGMA busy_timeout = {patience}")
