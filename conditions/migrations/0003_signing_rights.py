import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('clinic', '0007_retention_periods'),
        ('conditions', '0002_permissions'),
    ]

    operations = [
        migrations.CreateModel(
            name='SigningRight',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('condition', models.ForeignKey(blank=True, help_text='Empty: guides, which speak of many conditions at once.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='signing_rights', to='conditions.condition')),
                ('practitioner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='signing_rights', to='clinic.practitioner')),
            ],
            options={
                'verbose_name': 'right to sign',
                'verbose_name_plural': 'pages that they may sign and mark as reviewed',
                'ordering': ['condition__position', 'pk'],
                'constraints': [models.UniqueConstraint(fields=('practitioner', 'condition'), name='signing_right_once_a_condition', violation_error_message='They have this right already.'), models.UniqueConstraint(condition=models.Q(('condition', None)), fields=('practitioner',), name='signing_right_once_for_guides', violation_error_message='They have this right already.')],
            },
        ),
    ]
