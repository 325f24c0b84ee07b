"""Rules that the database itself enforces, on PostgreSQL and on SQLite.

Beside settings.py this is the only module that asks which database it talks to: PostgreSQL has
exclusion constraints, SQLite has triggers, and no portable spelling covers both.
"""

from django.core.exceptions import ValidationError
from django.db.backends.ddl_references import Statement, Table
from django.db.models.constraints import BaseConstraint


def _is_postgresql(schema_editor):
    return schema_editor.connection.vendor == "postgresql"


def _statement(model, schema_editor, template):
    """Return SQL with its table as a Table part, so that Django renames it on a rebuild."""
    table = Table(model._meta.db_table, schema_editor.quote_name)
    return Statement(template, table=table)


class NoOverlap(BaseConstraint):
    """No two rows of one owner, in one of the given statuses, with overlapping half-open time.

    ``owner`` is a foreign key, ``start`` and ``end`` are datetime fields; rows that touch
    (one ends when the next begins) do not overlap. Whoever writes the row, Python or raw SQL,
    gets an IntegrityError.
    """

    def __init__(self, *, owner, start, end, statuses, name, violation_error_message=None):
        self.owner, self.start, self.end = owner, start, end
        self.statuses = tuple(statuses)
        super().__init__(name=name, violation_error_message=violation_error_message)

    def deconstruct(self):
        path, args, kwargs = super().deconstruct()
        kwargs |= {
            "owner": self.owner,
            "start": self.start,
            "end": self.end,
            "statuses": self.statuses,
        }
        return path, args, kwargs

    def __eq__(self, other):
        if isinstance(other, NoOverlap):
            return self.deconstruct() == other.deconstruct()
        return super().__eq__(other)

    def __hash__(self):
        return hash((self.name, self.owner, self.start, self.end, self.statuses))

    def _parts(self, model, schema_editor):
        quote = schema_editor.quote_name
        column = {
            n: quote(model._meta.get_field(n).column) for n in (self.owner, self.start, self.end)
        }
        return {
            "name": quote(self.name),
            "owner": column[self.owner],
            "start": column[self.start],
            "end": column[self.end],
            "status": quote("status"),
            "pk": quote(model._meta.pk.column),
            "statuses": ", ".join(schema_editor.quote_value(status) for status in self.statuses),
        }

    def _exclusion(self, model, schema_editor):
        # int8range over the owner makes "=" an overlap of ranges, so btree_gist is not needed.
        return (
            "CONSTRAINT {name} EXCLUDE USING gist ("
            "int8range({owner}, {owner}, '[]') WITH &&, "
            "tstzrange({start}, {end}) WITH &&) WHERE ({status} IN ({statuses}))"
        ).format(**self._parts(model, schema_editor))

    def _triggers(self, model, schema_editor):
        parts = self._parts(model, schema_editor)
        clash = (
            "NEW.{status} IN ({statuses}) AND EXISTS (SELECT 1 FROM %(table)s WHERE "
            "{owner} = NEW.{owner} AND {status} IN ({statuses}) AND "
            "{start} < NEW.{end} AND {end} > NEW.{start}"
        ).format(**parts)
        abort = f"BEGIN SELECT RAISE(ABORT, '{self.name}'); END"
        name = self.name
        return [
            _statement(
                model,
                schema_editor,
                f'CREATE TRIGGER "{name}_insert" BEFORE INSERT ON %(table)s WHEN {clash}) {abort}',
            ),
            _statement(
                model,
                schema_editor,
                f'CREATE TRIGGER "{name}_update" BEFORE UPDATE ON %(table)s '
                f"WHEN {clash} AND {parts['pk']} <> NEW.{parts['pk']}) {abort}",
            ),
        ]

    def constraint_sql(self, model, schema_editor):
        if _is_postgresql(schema_editor):
            return self._exclusion(model, schema_editor)
        schema_editor.deferred_sql.extend(self._triggers(model, schema_editor))
        return None

    def create_sql(self, model, schema_editor):
        # SQLite rebuilds the table instead of calling this (see its add_constraint).
        return _statement(
            model,
            schema_editor,
            f"ALTER TABLE %(table)s ADD {self._exclusion(model, schema_editor)}",
        )

    def remove_sql(self, model, schema_editor):
        return _statement(
            model,
            schema_editor,
            f"ALTER TABLE %(table)s DROP CONSTRAINT {schema_editor.quote_name(self.name)}",
        )

    def validate(self, model, instance, exclude=None, using="default"):
        start, end = getattr(instance, self.start), getattr(instance, self.end)
        owner = getattr(instance, model._meta.get_field(self.owner).attname)
        if not (owner and start and end and instance.status in self.statuses):
            return
        clashes = model._default_manager.using(using).filter(
            **{
                f"{self.owner}_id": owner,
                "status__in": self.statuses,
                f"{self.start}__lt": end,
                f"{self.end}__gt": start,
            }
        )
        if clashes.exclude(pk=instance.pk).exists():
            raise ValidationError(self.get_violation_error_message(), code="overlap")


class Immutable(BaseConstraint):
    """Once the ``when`` column is set, the listed columns of a row can never change again."""

    def __init__(self, *, fields, when, name, violation_error_message=None):
        self.fields, self.when = tuple(fields), when
        super().__init__(name=name, violation_error_message=violation_error_message)

    def deconstruct(self):
        path, args, kwargs = super().deconstruct()
        return path, args, kwargs | {"fields": self.fields, "when": self.when}

    def __eq__(self, other):
        if isinstance(other, Immutable):
            return self.deconstruct() == other.deconstruct()
        return super().__eq__(other)

    def __hash__(self):
        return hash((self.name, self.fields, self.when))

    def _statement(self, model, schema_editor):
        quote = schema_editor.quote_name
        columns = [quote(model._meta.get_field(name).column) for name in self.fields]
        when = quote(model._meta.get_field(self.when).column)
        if not _is_postgresql(schema_editor):
            changed = " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in columns)
            return _statement(
                model,
                schema_editor,
                f'CREATE TRIGGER "{self.name}" BEFORE UPDATE ON %(table)s '
                f"WHEN OLD.{when} IS NOT NULL AND ({changed}) "
                f"BEGIN SELECT RAISE(ABORT, '{self.name}'); END",
            )
        changed = " OR ".join(f"NEW.{column} IS DISTINCT FROM OLD.{column}" for column in columns)
        # 23514 is check_violation, which Django reports as IntegrityError like SQLite's ABORT.
        return _statement(
            model,
            schema_editor,
            f'CREATE OR REPLACE FUNCTION "{self.name}_refuse"() RETURNS trigger LANGUAGE plpgsql AS '
            f"$$BEGIN RAISE EXCEPTION '{self.name}' USING ERRCODE = '23514'; END$$; "
            f'CREATE TRIGGER "{self.name}" BEFORE UPDATE ON %(table)s FOR EACH ROW '
            f'WHEN (OLD.{when} IS NOT NULL AND ({changed})) EXECUTE FUNCTION "{self.name}_refuse"()',
        )

    def constraint_sql(self, model, schema_editor):
        schema_editor.deferred_sql.append(self._statement(model, schema_editor))

    def create_sql(self, model, schema_editor):
        return self._statement(model, schema_editor)

    def remove_sql(self, model, schema_editor):
        return _statement(model, schema_editor, f'DROP TRIGGER "{self.name}" ON %(table)s')

    def validate(self, model, instance, exclude=None, using="default"):
        before = model._default_manager.using(using).filter(pk=instance.pk).first()
        if before is None or getattr(before, self.when) is None:
            return
        if any(getattr(before, name) != getattr(instance, name) for name in self.fields):
            raise ValidationError(self.get_violation_error_message(), code="frozen")
