"""The clinic, its people, accounts of staff, the record of changes, and the table of the limits."""

import clinic.constraints
import clinic.models.clinic
import clinic.models.location
import clinic.models.visit_types
import django.contrib.auth.models
import django.contrib.auth.validators
import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import phonenumber_field.modelfields
from django.conf import settings
from django.core.management import call_command
from django.db import migrations, models


def make_table_of_limits(apps, schema_editor):
    call_command("createcachetable", database=schema_editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('sessions', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='User',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('password', models.CharField(max_length=128, verbose_name='password')),
                ('last_login', models.DateTimeField(blank=True, null=True, verbose_name='last login')),
                ('is_superuser', models.BooleanField(default=False, help_text='Designates that this user has all permissions without explicitly assigning them.', verbose_name='superuser status')),
                ('username', models.CharField(error_messages={'unique': 'A user with that username already exists.'}, help_text='Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.', max_length=150, unique=True, validators=[django.contrib.auth.validators.UnicodeUsernameValidator()], verbose_name='username')),
                ('first_name', models.CharField(blank=True, max_length=150, verbose_name='first name')),
                ('last_name', models.CharField(blank=True, max_length=150, verbose_name='last name')),
                ('email', models.EmailField(blank=True, max_length=254, verbose_name='email address')),
                ('is_staff', models.BooleanField(default=False, help_text='Designates whether the user can log into this admin site.', verbose_name='staff status')),
                ('is_active', models.BooleanField(default=True, help_text='Designates whether this user should be treated as active. Unselect this instead of deleting accounts.', verbose_name='active')),
                ('date_joined', models.DateTimeField(default=django.utils.timezone.now, verbose_name='date joined')),
                ('groups', models.ManyToManyField(blank=True, help_text='The groups this user belongs to. A user will get all permissions granted to each of their groups.', related_name='user_set', related_query_name='user', to='auth.group', verbose_name='groups')),
                ('user_permissions', models.ManyToManyField(blank=True, help_text='Specific permissions for this user.', related_name='user_set', related_query_name='user', to='auth.permission', verbose_name='user permissions')),
            ],
            options={
                'verbose_name': 'user',
                'verbose_name_plural': 'users',
                'abstract': False,
            },
            managers=[
                ('objects', django.contrib.auth.models.UserManager()),
            ],
        ),
        migrations.CreateModel(
            name='AccountMail',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('to', models.EmailField(max_length=254)),
                ('kind', models.CharField(help_text='Name of its template.', max_length=100)),
                ('content', models.TextField(help_text='Subject and text, encrypted; empty once it is over.')),
                ('state', models.CharField(choices=[('queued', 'Waiting'), ('sent', 'Sent'), ('dropped', 'No longer needed'), ('failed', 'Failed')], default='queued', max_length=8)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('due_at', models.DateTimeField()),
                ('lease_until', models.DateTimeField(blank=True, null=True)),
                ('tries', models.PositiveSmallIntegerField(default=0)),
                ('sent_at', models.DateTimeField(blank=True, null=True)),
                ('message_id', models.CharField(max_length=120)),
                ('error', models.CharField(blank=True, max_length=200)),
            ],
            options={
                'ordering': ['-due_at', '-pk'],
                'default_permissions': (),
                'indexes': [models.Index(condition=models.Q(('state', 'queued')), fields=['due_at'], name='account_mail_due')],
            },
        ),
        migrations.CreateModel(
            name='AuditEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(db_index=True)),
                ('actor_label', models.CharField(help_text='Staff name, “patient” or “system”.', max_length=150)),
                ('action', models.CharField(db_index=True, max_length=60)),
                ('object_type', models.CharField(max_length=60)),
                ('object_key', models.CharField(max_length=60)),
                ('details', models.JSONField(blank=True, default=dict)),
                ('actor', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-at', '-pk'],
            },
        ),
        migrations.CreateModel(
            name='AuditSeal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveBigIntegerField(help_text='1, 2, 3 … without gaps.', unique=True)),
                ('digest', models.CharField(help_text='HMAC-SHA256, in hexadecimal.', max_length=64)),
                ('sealed_at', models.DateTimeField()),
                ('event', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='seal', to='clinic.auditevent')),
            ],
            options={
                'ordering': ['number'],
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='Clinic',
            fields=[
                ('id', models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(default='The clinic', max_length=120)),
                ('short_name', models.CharField(default='The clinic', help_text='Shown in the header.', max_length=60)),
                ('whatsapp', phonenumber_field.modelfields.PhoneNumberField(blank=True, max_length=128, region=None, verbose_name='WhatsApp')),
                ('email', models.EmailField(blank=True, help_text='Public address; also the sender of mails.', max_length=254, verbose_name='e-mail')),
                ('video_note', models.CharField(blank=True, help_text='How to join a video call; goes into mails. Empty: you write to each patient.', max_length=200)),
                ('emergency_number', models.CharField(default='911', max_length=20)),
                ('languages_spoken', models.CharField(default='English', max_length=120)),
                ('minimum_notice', models.PositiveIntegerField(default=120, help_text='No time sooner than this from now is offered.', verbose_name='notice (minutes)')),
                ('horizon_days', models.PositiveSmallIntegerField(default=60, help_text='How far ahead people can book.', validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(366)], verbose_name='horizon (days)')),
                ('slot_step', models.PositiveSmallIntegerField(default=30, help_text='Times are offered this far apart.', validators=[django.core.validators.MinValueValidator(5), django.core.validators.MaxValueValidator(240)], verbose_name='step (minutes)')),
                ('consultation_minutes', models.PositiveSmallIntegerField(default=30, help_text='A condition may have its own length.', validators=[django.core.validators.MinValueValidator(5), django.core.validators.MaxValueValidator(480)], verbose_name='consultation (minutes)')),
                ('buffer_before', models.PositiveSmallIntegerField(default=0, validators=[django.core.validators.MaxValueValidator(240)], verbose_name='buffer before (minutes)')),
                ('buffer_after', models.PositiveSmallIntegerField(default=0, validators=[django.core.validators.MaxValueValidator(240)], verbose_name='buffer after (minutes)')),
                ('confirm_at_once', models.BooleanField(default=False, help_text='On: a request is booked at once. Off: it waits for the desk, which confirms it.')),
                ('answer_within_hours', models.PositiveSmallIntegerField(default=24, help_text='Promised to patients; the desk sees what is late.', verbose_name='answer within (hours)')),
                ('cancel_until_hours', models.PositiveSmallIntegerField(default=4, verbose_name='change or cancel online until (hours before)')),
                ('reminders', models.CharField(blank=True, default='7 days, 2 days, 2 hours', help_text='How long before a visit we remind by e-mail; holds for all future bookings.', max_length=120, validators=[clinic.models.clinic.parse_reminders])),
                ('retention_days_after_visit', models.PositiveSmallIntegerField(default=365, help_text='A shorter period holds at once, a longer one for bookings made from then on.', validators=[django.core.validators.MinValueValidator(1)], verbose_name='erase personal data after a visit (days)')),
                ('retention_days_after_cancelled', models.PositiveSmallIntegerField(default=90, help_text='Also after a request or call-back that led to no visit. Changes hold as above.', validators=[django.core.validators.MinValueValidator(1)], verbose_name='erase personal data after a cancellation or missed visit (days)')),
                ('two_person_signoff', models.BooleanField(default=True, help_text='On: whoever wrote or changed a page cannot sign it.', verbose_name='medical text needs a second person')),
                ('opened_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('mailbox_tested', models.EmailField(blank=True, db_default='', default='', editable=False, max_length=254)),
            ],
            options={
                'verbose_name_plural': 'clinic',
                'constraints': [models.CheckConstraint(condition=models.Q(('pk', 1)), name='clinic_is_one_row')],
            },
        ),
        migrations.CreateModel(
            name='Location',
            fields=[
                ('id', models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ('phone', phonenumber_field.modelfields.PhoneNumberField(blank=True, max_length=128, region=None)),
                ('desk_email', models.EmailField(blank=True, help_text='Where notices of new requests go.', max_length=254, verbose_name='front desk e-mail')),
                ('street', models.CharField(blank=True, max_length=120)),
                ('city', models.CharField(blank=True, max_length=80)),
                ('region', models.CharField(blank=True, max_length=80)),
                ('postal_code', models.CharField(blank=True, max_length=20)),
                ('country', models.CharField(default='US', help_text='ISO 3166 code, for example US.', max_length=2)),
                ('access_note', models.CharField(blank=True, help_text='Step-free entrance, parking, nearest stop.', max_length=200)),
                ('time_zone', models.CharField(default='America/Los_Angeles', max_length=64, validators=[clinic.models.location.validate_time_zone])),
                ('zone_confirmed', models.BooleanField(db_default=False, default=False, editable=False)),
                ('clinic', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='locations', to='clinic.clinic')),
            ],
            options={
                'default_permissions': (),
                'base_manager_name': 'objects',
                'constraints': [models.CheckConstraint(condition=models.Q(('pk', 1)), name='location_is_one_row')],
            },
        ),
        migrations.CreateModel(
            name='Practitioner',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(help_text='With title, for example Dr. Elena Marlow.', max_length=120)),
                ('slug', models.SlugField(unique=True)),
                ('credentials', models.CharField(blank=True, help_text='For example MD.', max_length=60)),
                ('role', models.CharField(blank=True, help_text='For example Neurologist.', max_length=80)),
                ('bio', models.TextField(blank=True, max_length=1500)),
                ('languages', models.CharField(default='English', help_text='Separated by commas.', max_length=120)),
                ('license_number', models.CharField(blank=True, max_length=60, verbose_name='license')),
                ('license_checked_on', models.DateField(blank=True, help_text='Needed to sign medical text; no older than two years.', null=True)),
                ('visit_types', models.JSONField(blank=True, default=clinic.models.visit_types.all_visit_types, validators=[clinic.models.visit_types.validate_visit_types], verbose_name='ways to meet')),
                ('accepts_bookings', models.BooleanField(default=True)),
                ('archived', models.BooleanField(default=False, help_text='Left the clinic. Past bookings stay; their sign-in ends.')),
                ('position', models.PositiveSmallIntegerField(default=0, help_text='Order on the site.')),
                ('user', models.OneToOneField(blank=True, help_text='The sign-in of this person, if they have one.', null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['position', 'name'],
            },
        ),
        migrations.CreateModel(
            name='OpeningHours',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('weekday', models.PositiveSmallIntegerField(choices=[(1, 'Monday'), (2, 'Tuesday'), (3, 'Wednesday'), (4, 'Thursday'), (5, 'Friday'), (6, 'Saturday'), (7, 'Sunday')])),
                ('opens', models.TimeField()),
                ('closes', models.TimeField(help_text='00:00 means midnight at the end of the day.')),
                ('valid_from', models.DateField(blank=True, null=True)),
                ('valid_until', models.DateField(blank=True, help_text='Last day, included.', null=True)),
                ('location', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='opening_hours', to='clinic.location')),
                ('practitioner', models.ForeignKey(blank=True, help_text='Empty: the whole clinic.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='opening_hours', to='clinic.practitioner')),
            ],
            options={
                'verbose_name_plural': 'opening hours',
                'ordering': ['practitioner__position', 'practitioner_id', 'weekday', 'opens'],
            },
        ),
        migrations.CreateModel(
            name='Closure',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('first_day', models.DateField()),
                ('last_day', models.DateField()),
                ('from_time', models.TimeField(blank=True, help_text='Empty: the whole day.', null=True)),
                ('until_time', models.TimeField(blank=True, null=True)),
                ('reason', models.CharField(blank=True, help_text='Shown to staff, for example Surgery.', max_length=80)),
                ('public_note', models.CharField(blank=True, help_text='Shown on the site, for example Public holiday.', max_length=80)),
                ('location', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='closures', to='clinic.location')),
                ('practitioner', models.ForeignKey(blank=True, help_text='Empty: the whole clinic.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='closures', to='clinic.practitioner')),
            ],
            options={
                'ordering': ['first_day', 'from_time'],
            },
        ),
        migrations.CreateModel(
            name='StaffSession',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('device', models.CharField(max_length=60)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('seen_at', models.DateTimeField()),
                ('session', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='staff_session', to='sessions.session')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='staff_sessions', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-seen_at', '-pk'],
                'default_permissions': (),
            },
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['object_type', 'object_key'], name='audit_of_object'),
        ),
        migrations.AddConstraint(
            model_name='auditevent',
            constraint=clinic.constraints.Immutable(fields=('id', 'at', 'actor', 'actor_label', 'action', 'object_type', 'object_key', 'details'), name='audit_event_is_frozen', violation_error_message='The record cannot be changed.', when='at'),
        ),
        migrations.AddConstraint(
            model_name='auditseal',
            constraint=clinic.constraints.Immutable(fields=('id', 'number', 'event', 'digest', 'sealed_at'), name='audit_seal_is_frozen', violation_error_message='A seal cannot be changed.', when='sealed_at'),
        ),
        migrations.AddConstraint(
            model_name='openinghours',
            constraint=models.CheckConstraint(condition=models.Q(('weekday__range', (1, 7))), name='opening_hours_iso_weekday', violation_error_message='Choose a weekday.'),
        ),
        migrations.AddConstraint(
            model_name='openinghours',
            constraint=models.CheckConstraint(condition=models.Q(('closes__gt', models.F('opens')), ('closes', '00:00'), _connector='OR'), name='opening_hours_closes_after_opens', violation_error_message='The closing time is before the opening time.'),
        ),
        migrations.AddConstraint(
            model_name='openinghours',
            constraint=models.CheckConstraint(condition=models.Q(('valid_from', None), ('valid_until', None), ('valid_until__gte', models.F('valid_from')), _connector='OR'), name='opening_hours_valid_until_after_from', violation_error_message='The last day is before the first day.'),
        ),
        migrations.AddConstraint(
            model_name='closure',
            constraint=models.CheckConstraint(condition=models.Q(('last_day__gte', models.F('first_day'))), name='closure_last_day_after_first', violation_error_message='The last day is before the first day.'),
        ),
        migrations.AddConstraint(
            model_name='closure',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('from_time', None), ('until_time', None)), models.Q(('from_time__isnull', False), ('until_time__gt', models.F('from_time')), ('until_time__isnull', False)), _connector='OR'), name='closure_until_after_from', violation_error_message='Give both times, the later one last, or neither.'),
        ),
        migrations.RunPython(make_table_of_limits, migrations.RunPython.noop),
    ]
