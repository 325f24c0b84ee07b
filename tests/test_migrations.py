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
from django.db.models import NOT_PROVIDED, CharField

APPS = ["clinic", "conditions", "bookings"]


def bears_old_writes(field):
    """Whether a row can be stored by code that does not know the column."""
    if field.null or field.many_to_many:
        return True
    return field.db_default is not NOT_PROVIDED and field.default is not NOT_PROVIDED


def breaks_old_writes(state, app, where, operations):
    """What the operations of one migration do that the release before cannot bear."""
    new = set()
    for operation in operations:
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
    found = {
        what
        for key in sorted(later)
        for what in breaks_old_writes(
            loader.project_state(key, at_end=False),
            key[0],
            ".".join(key),
            loader.disk_migrations[key].operations,
        )
    }
    assert found == set()


@pytest.mark.parametrize(
    ("operation", "breaks"),
    [
        (AddField("clinic", "motto", CharField(max_length=9)), True),
        (AddField("clinic", "motto", CharField(max_length=9, default="")), True),
        (AddField("clinic", "motto", CharField(max_length=9, db_default="")), True),
        (AddField("clinic", "motto", CharField(max_length=9, default="", db_default="")), False),
        (AddField("clinic", "motto", CharField(max_length=9, null=True)), False),
        (RemoveField("clinic", "name"), True),
        (RenameField("clinic", "name", "title"), True),
        (DeleteModel("Closure"), True),
        (CreateModel("Motto", [("text", CharField(max_length=9))]), False),
    ],
)
def test_what_the_release_before_cannot_bear_is_found(loader, operation, breaks):
    state = loader.project_state(("clinic", "0001_initial"))
    assert bool(list(breaks_old_writes(state, "clinic", "clinic.0002", [operation]))) == breaks


def test_each_app_begins_with_one_migration(loader):
    begins = sorted(key for key, found in loader.disk_migrations.items() if found.initial)
    assert [key for key in begins if key[0] in APPS] == [
        (app, "0001_initial") for app in sorted(APPS)
    ]
