from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [("conditions", "0001_content")]

    operations = [
        migrations.AlterModelOptions(
            name="page",
            options={
                "ordering": ["kind", "position", "slug"],
                "permissions": [("submit_page", "Can send a page for review")],
            },
        ),
        migrations.AlterModelOptions(
            name="edition",
            options={
                "ordering": ["page", "-number"],
                "permissions": [
                    ("sign_edition", "Can sign an edition"),
                    ("publish_edition", "Can publish and withdraw an edition"),
                ],
            },
        ),
    ]
