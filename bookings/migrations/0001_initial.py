"""Bookings, their messages, links and counts, with what the database itself refuses."""

import bookings.models.booking
import clinic.constraints
import clinic.models.location
import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import phonenumber_field.modelfields
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('clinic', '0001_initial'),
        ('conditions', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Heartbeat',
            fields=[
                ('name', models.CharField(max_length=40, primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='RateCount',
            fields=[
                ('key', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('times', models.JSONField(default=list, help_text='Seconds since 1970.')),
                ('until', models.DateTimeField(db_index=True, help_text='No limit looks at it after this.')),
            ],
            options={
                'ordering': ['until'],
            },
        ),
        migrations.CreateModel(
            name='Booking',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reference', models.CharField(default=bookings.models.booking.new_reference, editable=False, max_length=8, unique=True)),
                ('uid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('status', models.CharField(choices=[('proposed', 'Offered by the clinic'), ('pending', 'Waiting for the clinic'), ('booked', 'Confirmed'), ('arrived', 'Arrived'), ('fulfilled', 'Seen'), ('cancelled', 'Cancelled'), ('noshow', 'Did not come'), ('waitlist', 'To be called')], db_index=True, max_length=12)),
                ('visit_type', models.CharField(choices=[('in_person', 'At the clinic'), ('video', 'Video call'), ('phone', 'Phone call')], max_length=12)),
                ('starts_at', models.DateTimeField(blank=True, null=True)),
                ('ends_at', models.DateTimeField(blank=True, null=True)),
                ('busy_from', models.DateTimeField(blank=True, editable=False, null=True)),
                ('busy_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('promised_times', models.JSONField(blank=True, default=dict, editable=False, help_text='Zone and clock time as clinic and patient were told them: see bookings.lifecycle.clock_changes.')),
                ('hold_until', models.DateTimeField(blank=True, help_text='A proposed or unverified request frees its time after this.', null=True)),
                ('name', models.CharField(blank=True, max_length=80)),
                ('email', models.EmailField(blank=True, max_length=254, verbose_name='e-mail')),
                ('phone', phonenumber_field.modelfields.PhoneNumberField(blank=True, max_length=128, region=None)),
                ('message', models.TextField(blank=True, max_length=1000, validators=[django.core.validators.MaxLengthValidator(1000)], verbose_name='what the patient wrote')),
                ('call_when', models.CharField(blank=True, max_length=200, verbose_name='good times to call')),
                ('language', models.CharField(default='en', max_length=8)),
                ('spoken_language', models.CharField(blank=True, max_length=30, verbose_name='language for the consultation')),
                ('time_zone', models.CharField(blank=True, max_length=64, validators=[clinic.models.location.validate_time_zone], verbose_name="patient's time zone")),
                ('wants_reminders', models.BooleanField(default=True, verbose_name='reminders by e-mail')),
                ('consent_at', models.DateTimeField(blank=True, null=True)),
                ('consent_version', models.CharField(blank=True, max_length=20)),
                ('source', models.CharField(choices=[('web', 'Website'), ('desk', 'Front desk')], default='web', max_length=8)),
                ('idempotency_key', models.UUIDField(blank=True, editable=False, help_text='Of the form that made it: the first half of the SHA-256 of its key.', null=True, unique=True)),
                ('request_digest', models.CharField(blank=True, editable=False, help_text='SHA-256 of what was posted with the key.', max_length=64)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('verified_at', models.DateTimeField(blank=True, editable=False, help_text='When somebody first used the link that was mailed for it.', null=True)),
                ('confirmed_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('cancelled_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('cancelled_by', models.CharField(blank=True, choices=[('patient', 'Patient'), ('clinic', 'Clinic'), ('system', 'Time limit')], max_length=8)),
                ('cancel_reason', models.CharField(blank=True, max_length=200)),
                ('sequence', models.PositiveIntegerField(default=0, editable=False)),
                ('asked_red_flags', models.JSONField(blank=True, editable=False, help_text='The emergency signs that were asked. []: not asked here; empty: not recorded.', null=True)),
                ('staff_note', models.TextField(blank=True, max_length=1000)),
                ('kept_days_after_visit', models.PositiveSmallIntegerField(blank=True, editable=False, help_text="The clinic's period when it was made; empty: the present one.", null=True)),
                ('kept_days_after_cancelled', models.PositiveSmallIntegerField(blank=True, editable=False, help_text='As above.', null=True)),
                ('erased_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('is_demo', models.BooleanField(db_default=False, default=False, editable=False)),
                ('asked_edition', models.ForeignKey(blank=True, db_index=False, editable=False, help_text='The signed text that the emergency signs were asked from.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='conditions.edition')),
                ('condition', models.ForeignKey(blank=True, help_text='Empty: not sure, or something else.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='bookings', to='conditions.condition')),
                ('location', models.ForeignKey(db_index=False, editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='bookings', to='clinic.location')),
                ('offered_for', models.ForeignKey(blank=True, db_index=False, editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='offers', to='bookings.booking')),
                ('practitioner', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='bookings', to='clinic.practitioner')),
            ],
            options={
                'ordering': ['-created_at', '-pk'],
                'permissions': [('answer_booking', 'Can answer, move and cancel bookings'), ('export_booking', 'Can export bookings'), ('erase_booking', 'Can erase the personal details of bookings')],
            },
        ),
        migrations.CreateModel(
            name='ManageLink',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(max_length=64, unique=True)),
                ('browser', models.CharField(blank=True, db_default='', default='', help_text='SHA-256 of the secret in the session of the visiting browser. Empty: a link.', max_length=64)),
                ('mailed', models.BooleanField(db_default=True, default=True, help_text='It came, or the access began, with a mail. Else whoever asked typed the address.')),
                ('issued_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('booking', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='links', to='bookings.booking')),
            ],
            options={
                'ordering': ['-issued_at'],
            },
        ),
        migrations.CreateModel(
            name='Message',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('received', 'Request received'), ('confirmed', 'Confirmed'), ('changed', 'Time changed'), ('cancelled', 'Cancelled'), ('callback', 'Call-back asked for'), ('offered', 'Times offered'), ('link', 'New manage link'), ('reminder', 'Reminder'), ('follow_up', 'After a missed visit'), ('verify', 'Please confirm your address'), ('desk_new', 'To the desk: new request'), ('desk_changed', 'To the desk: changed by the patient'), ('desk_cancelled', 'To the desk: cancelled by the patient'), ('desk_outcome', 'To the desk: please tell us the outcome')], max_length=16)),
                ('channel', models.CharField(default='email', help_text='A module in messaging/channels.', max_length=16)),
                ('key', models.CharField(help_text='Booking, kind and occasion: the same news is sent once by each channel.', max_length=120)),
                ('state', models.CharField(choices=[('queued', 'Waiting'), ('sent', 'Sent'), ('dropped', 'No longer needed'), ('failed', 'Failed')], default='queued', max_length=8)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('due_at', models.DateTimeField()),
                ('lease_until', models.DateTimeField(blank=True, null=True)),
                ('tries', models.PositiveSmallIntegerField(default=0)),
                ('sent_at', models.DateTimeField(blank=True, null=True)),
                ('message_id', models.CharField(blank=True, max_length=120)),
                ('error', models.CharField(blank=True, max_length=200)),
                ('booking', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='bookings.booking')),
            ],
            options={
                'ordering': ['-due_at', '-pk'],
                'constraints': [models.UniqueConstraint(fields=('key', 'channel'), name='message_once')],
            },
        ),
        migrations.AddIndex(
            model_name='booking',
            index=models.Index(condition=models.Q(('status__in', ['proposed', 'pending', 'booked', 'arrived'])), fields=['practitioner', 'busy_from'], name='booking_time_held'),
        ),
        migrations.AddIndex(
            model_name='booking',
            index=models.Index(fields=['starts_at'], name='booking_starts_at'),
        ),
        migrations.AddIndex(
            model_name='booking',
            index=models.Index(fields=['status', 'created_at'], name='booking_status_created'),
        ),
        migrations.AddIndex(
            model_name='booking',
            index=models.Index(fields=['-created_at', '-id'], name='booking_newest'),
        ),
        migrations.AddIndex(
            model_name='booking',
            index=models.Index(fields=['email'], name='booking_email'),
        ),
        migrations.AddIndex(
            model_name='booking',
            index=models.Index(condition=models.Q(('offered_for__isnull', False)), fields=['offered_for'], name='booking_offered_for'),
        ),
        migrations.AddIndex(
            model_name='booking',
            index=models.Index(fields=['practitioner', '-created_at', '-id'], name='booking_of_practitioner'),
        ),
        migrations.AddConstraint(
            model_name='booking',
            constraint=clinic.constraints.NoOverlap(end='busy_until', name='booking_no_overlap', owner='practitioner', start='busy_from', statuses=('proposed', 'pending', 'booked', 'arrived'), violation_error_message="That practitioner's time is taken by another booking."),
        ),
        migrations.AddConstraint(
            model_name='booking',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('busy_from', None), ('busy_until', None), ('ends_at', None), ('starts_at', None)), models.Q(('busy_from__lte', models.F('starts_at')), ('ends_at__lte', models.F('busy_until')), ('practitioner__isnull', False), ('starts_at__lt', models.F('ends_at'))), _connector='OR'), name='booking_times_are_whole', violation_error_message='A time needs a practitioner, a start and a later end.'),
        ),
        migrations.AddConstraint(
            model_name='booking',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['waitlist', 'cancelled']), ('starts_at__isnull', False), _connector='OR'), name='booking_status_has_time', violation_error_message='Only a call-back may be without a time.'),
        ),
        migrations.AddConstraint(
            model_name='booking',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'cancelled'), models.Q(('cancelled_by', ''), _negated=True), ('cancelled_at__isnull', False)), models.Q(models.Q(('status', 'cancelled'), _negated=True), ('cancelled_at', None), ('cancelled_by', '')), _connector='OR'), name='booking_cancelled_says_by_whom'),
        ),
        migrations.AddConstraint(
            model_name='booking',
            constraint=models.CheckConstraint(condition=models.Q(('visit_type__in', ['in_person', 'video', 'phone'])), name='booking_visit_type_is_known'),
        ),
        migrations.AddConstraint(
            model_name='booking',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['proposed', 'pending', 'booked', 'arrived', 'fulfilled', 'cancelled', 'noshow', 'waitlist'])), name='booking_status_is_known'),
        ),
        migrations.AddIndex(
            model_name='managelink',
            index=models.Index(fields=['browser'], name='link_browser'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('state', 'queued')), fields=['due_at'], name='message_due'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('state', 'failed')), fields=['due_at'], name='message_failed'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(fields=['-due_at', '-id'], name='message_newest'),
        ),
    ]
