"""The table of the limits, so that `migrate` alone makes a database that the site can run on."""

from django.core.management import call_command
from django.db import migrations


def make_table(apps, schema_editor):
    call_command("createcachetable", database=schema_editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):
    dependencies = [("clinic", "0004_video_note")]

    operations = [migrations.RunPython(make_table, migrations.RunPython.noop)]
