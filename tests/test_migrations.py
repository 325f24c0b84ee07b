"""Old and new code share a schema while machines are updated one after the other.

An INSERT of the release before does not name the columns that are new: each is nullable, or has a
default in the database. What is taken away or renamed breaks the same INSERT.
"""

import pytest
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import (
    AddField,
    AlterField,
    CreateModel,
    DeleteModel,
    RemoveField,
    RenameField,
    RenameModel,
)
from django.db.models import NOT_PROVIDED

APPS = ["clinic", "conditions", "bookings"]
# From before the rule. Nothing had been released that could have written beside them.
BEFORE_THE_RULE = {
    "clinic.0002_reminders clinic.reminders",
    "clinic.0004_video_note clinic.video_note",
    "bookings.0004_told_times_and_reminders booking.told_times",
    "bookings.0004_told_times_and_reminders booking.wants_reminders",
}


def bears_old_writes(field):
    """Whether a row can be stored by code that does not know the column."""
    if field.null or field.many_to_many:
        return True
    return field.db_default is not NOT_PROVIDED and field.default is not NOT_PROVIDED


def breaks_old_writes(loader, key):
    """What the operations of one migration do that the release before cannot bear."""
    app, name = key
    state = loader.project_state(key, at_end=False)
    new = set()
    for operation in loader.disk_migrations[key].operations:
        where = f"{app}.{name}"
        if isinstance(operation, CreateModel):
            new.add(operation.name_lower)
        elif isinstance(operation, (RemoveField, RenameField)):
            yield f"{where} {operation.model_name_lower}: {operation.describe()}"
        elif isinstance(operation, (DeleteModel, RenameModel)):
            yield f"{where} {operation.describe()}"
        elif isinstance(operation, (AddField, AlterField)):
            model, field = operation.model_name_lower, operation.name
            if isinstance(operation, AddField):
                known = model in new
            else:
                known = not state.models[app, model].fields[field].null
            if not known and not bears_old_writes(operation.field):
                yield f"{where} {model}.{field}"
        operation.state_forwards(app, state)


@pytest.fixture(scope="module")
def loader():
    return MigrationLoader(None)


def test_every_added_column_bears_the_writes_of_the_release_before(loader):
    later = [key for key in loader.disk_migrations if key[0] in APPS and key[1][:4] > "0001"]
    assert len(later) > 10
    found = {what for key in sorted(later) for what in breaks_old_writes(loader, key)}
    assert found == BEFORE_THE_RULE
