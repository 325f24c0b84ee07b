"""The medical content: what editors work on, and the editions that the public reads."""

import clinic.constraints
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('clinic', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Reference',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.SlugField(help_text='Cited in text as [ref:key].', unique=True)),
                ('citation', models.TextField(max_length=600)),
                ('year', models.PositiveSmallIntegerField()),
                ('url', models.URLField(blank=True, max_length=300)),
                ('kind', models.CharField(choices=[('trial', 'Trial'), ('review', 'Review'), ('guideline', 'Guideline'), ('label', 'Product label'), ('leaflet', 'Patient leaflet'), ('safety_notice', 'Safety notice'), ('other', 'Other')], max_length=16)),
                ('status', models.CharField(choices=[('current', 'Current'), ('superseded', 'Superseded'), ('retired', 'Retired: no longer kept up to date'), ('not_reread', 'Status not re-read')], default='current', max_length=12)),
                ('checked_on', models.DateField(blank=True, null=True)),
            ],
            options={
                'ordering': ['key'],
            },
        ),
        migrations.CreateModel(
            name='SharedBlock',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.SlugField(unique=True)),
                ('title', models.CharField(max_length=120)),
                ('body', models.TextField()),
                ('off_label_only', models.BooleanField(default=False)),
                ('position', models.PositiveSmallIntegerField(default=0)),
            ],
            options={
                'ordering': ['position', 'key'],
            },
        ),
        migrations.CreateModel(
            name='Condition',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.SlugField(unique=True)),
                ('position', models.PositiveSmallIntegerField(default=0)),
                ('name', models.CharField(help_text='Plain name.', max_length=80)),
                ('medical_name', models.CharField(blank=True, max_length=120)),
                ('synonyms', models.CharField(blank=True, help_text='Separated by semicolons.', max_length=300)),
                ('body_area', models.CharField(blank=True, max_length=40)),
                ('summary', models.CharField(help_text='One line for cards and lists.', max_length=80)),
                ('status', models.CharField(choices=[('approved', 'Approved by the FDA for this use'), ('off_label', 'Off-label')], max_length=12)),
                ('service', models.CharField(choices=[('assessment', 'Assessment for treatment'), ('consultation', 'Consultation, not a treatment booking'), ('advice', 'Advice only: the clinic does not treat it with toxin')], max_length=12)),
                ('product', models.CharField(blank=True, help_text='Product the approval is for. Empty when off-label.', max_length=80)),
                ('approval_text', models.TextField(max_length=500)),
                ('approval_year', models.PositiveSmallIntegerField(blank=True, null=True)),
                ('evidence', models.CharField(choices=[('strong', 'Strong'), ('moderate', 'Moderate'), ('mixed', 'Mixed'), ('limited', 'Limited'), ('very_limited', 'Very limited'), ('against', 'Guideline advises against')], max_length=12)),
                ('evidence_note', models.CharField(blank=True, max_length=200)),
                ('specialty', models.CharField(blank=True, max_length=60)),
                ('adults_only', models.BooleanField(default=True)),
                ('consultation_minutes', models.PositiveSmallIntegerField(blank=True, help_text="Empty: the clinic's usual length.", null=True)),
                ('onset', models.CharField(blank=True, max_length=40, verbose_name='starts to work')),
                ('onset_note', models.CharField(blank=True, max_length=100)),
                ('onset_source', models.CharField(blank=True, db_default='', default='', help_text='For example “product label [ref:key]”, or “clinical experience”.', max_length=120)),
                ('peak', models.CharField(blank=True, max_length=40)),
                ('peak_note', models.CharField(blank=True, max_length=100)),
                ('peak_source', models.CharField(blank=True, db_default='', default='', help_text='For example “product label [ref:key]”, or “clinical experience”.', max_length=120)),
                ('duration', models.CharField(blank=True, max_length=40, verbose_name='lasts about')),
                ('duration_note', models.CharField(blank=True, max_length=100)),
                ('duration_source', models.CharField(blank=True, db_default='', default='', help_text='For example “product label [ref:key]”, or “clinical experience”.', max_length=120)),
                ('session', models.CharField(blank=True, max_length=40, verbose_name='a session')),
                ('session_note', models.CharField(blank=True, max_length=100)),
                ('session_source', models.CharField(blank=True, db_default='', default='', help_text='For example “product label [ref:key]”, or “clinical experience”.', max_length=120)),
                ('repeat', models.CharField(blank=True, max_length=40, verbose_name='repeated')),
                ('repeat_note', models.CharField(blank=True, max_length=100)),
                ('repeat_source', models.CharField(blank=True, db_default='', default='', help_text='For example “product label [ref:key]”, or “clinical experience”.', max_length=120)),
                ('accepts_bookings', models.BooleanField(default=True)),
                ('map_x', models.PositiveSmallIntegerField(blank=True, null=True, verbose_name='mark, from the left')),
                ('map_y', models.PositiveSmallIntegerField(blank=True, null=True, verbose_name='mark, from the top')),
                ('map_side', models.CharField(blank=True, choices=[('left', 'Left'), ('right', 'Right')], max_length=5, verbose_name='side of the label')),
                ('map_label_y', models.PositiveSmallIntegerField(blank=True, null=True, verbose_name='label, from the top')),
                ('practitioners', models.ManyToManyField(blank=True, help_text='Who sees people with it.', related_name='conditions', to='clinic.practitioner')),
                ('related', models.ManyToManyField(blank=True, to='conditions.condition')),
            ],
            options={
                'ordering': ['position', 'name'],
            },
        ),
        migrations.CreateModel(
            name='Page',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('condition', 'Condition page'), ('guide', 'Guide')], max_length=12)),
                ('slug', models.SlugField(help_text='The address of the page.')),
                ('language', models.CharField(default='en', max_length=8)),
                ('position', models.PositiveSmallIntegerField(default=0)),
                ('title', models.CharField(max_length=120)),
                ('summary', models.CharField(blank=True, help_text='Card line of a guide.', max_length=100)),
                ('description', models.CharField(help_text='For search engines, 110 to 155 characters.', max_length=170)),
                ('lead', models.TextField(help_text='Says the limit in the same breath as the benefit.', max_length=400)),
                ('last_reviewed', models.DateField(blank=True, null=True)),
                ('next_review_due', models.DateField(blank=True, null=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('condition', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='pages', to='conditions.condition')),
                ('related', models.ManyToManyField(blank=True, related_name='+', to='conditions.condition')),
                ('reviewer', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='reviewed_pages', to='clinic.practitioner')),
                ('updated_by', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['kind', 'position', 'slug'],
                'permissions': [('submit_page', 'Can send a page for review')],
            },
        ),
        migrations.CreateModel(
            name='Faq',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('question', models.CharField(max_length=160)),
                ('answer', models.TextField()),
                ('position', models.PositiveSmallIntegerField(default=0)),
                ('page', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='faqs', to='conditions.page')),
            ],
            options={
                'verbose_name': 'question and answer',
                'verbose_name_plural': 'questions and answers',
                'ordering': ['position', 'pk'],
            },
        ),
        migrations.CreateModel(
            name='Edition',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('kind', models.CharField(choices=[('condition', 'Condition page'), ('guide', 'Guide')], max_length=12)),
                ('slug', models.SlugField()),
                ('language', models.CharField(default='en', max_length=8)),
                ('position', models.PositiveSmallIntegerField(default=0)),
                ('document', models.JSONField()),
                ('card', models.JSONField()),
                ('digest', models.CharField(max_length=64)),
                ('created_at', models.DateTimeField()),
                ('signed_at', models.DateTimeField(blank=True, null=True)),
                ('signed_digest', models.CharField(blank=True, max_length=64)),
                ('signed_as', models.CharField(blank=True, help_text='Name, credentials and license.', max_length=200)),
                ('sent_back_at', models.DateTimeField(blank=True, null=True)),
                ('sent_back_note', models.TextField(blank=True, max_length=1000)),
                ('published_at', models.DateTimeField(blank=True, null=True)),
                ('withdrawn_at', models.DateTimeField(blank=True, null=True)),
                ('live', models.BooleanField(default=False)),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('published_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('signed_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='signed_editions', to='clinic.practitioner')),
                ('page', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='editions', to='conditions.page')),
            ],
            options={
                'ordering': ['page', '-number'],
                'permissions': [('sign_edition', 'Can sign an edition'), ('publish_edition', 'Can publish and withdraw an edition')],
            },
        ),
        migrations.CreateModel(
            name='Citation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.PositiveSmallIntegerField(default=0)),
                ('page', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='citations', to='conditions.page')),
                ('reference', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='citations', to='conditions.reference')),
            ],
            options={
                'ordering': ['position', 'pk'],
            },
        ),
        migrations.CreateModel(
            name='RedFlag',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('level', models.CharField(choices=[('emergency', 'Emergency'), ('urgent', 'Urgent, the same day'), ('see_doctor', 'See a doctor')], max_length=12)),
                ('text', models.CharField(help_text='Continues “Call 911 if you have …”.', max_length=300)),
                ('asked_before_booking', models.BooleanField(default=False, verbose_name='ask before booking')),
                ('position', models.PositiveSmallIntegerField(default=0)),
                ('condition', models.ForeignKey(blank=True, help_text='Empty: shown on every page, as a sign after an injection.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='red_flags', to='conditions.condition')),
            ],
            options={
                'ordering': ['position', 'pk'],
            },
        ),
        migrations.AddField(
            model_name='page',
            name='references',
            field=models.ManyToManyField(related_name='pages', through='conditions.Citation', to='conditions.reference'),
        ),
        migrations.CreateModel(
            name='Section',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('in_short', 'In short'), ('about', 'What it is'), ('off_label', 'What off-label means here'), ('who', 'Who it may suit'), ('day', 'What happens on the day'), ('how_well', 'How well it works'), ('risks', 'Side effects and risks'), ('next_steps', 'What helps instead'), ('alternatives', 'Other treatments'), ('text', 'Text')], max_length=12)),
                ('heading', models.CharField(max_length=120)),
                ('body', models.TextField(help_text='Cite sources as [ref:key].')),
                ('chart_title', models.CharField(blank=True, max_length=160)),
                ('chart_placebo', models.PositiveSmallIntegerField(blank=True, null=True, verbose_name='of 100 people, with dummy injections')),
                ('chart_treatment', models.PositiveSmallIntegerField(blank=True, null=True, verbose_name='of 100 people, with treatment')),
                ('chart_placebo_label', models.CharField(blank=True, max_length=80)),
                ('chart_treatment_label', models.CharField(blank=True, max_length=80)),
                ('chart_rest_label', models.CharField(blank=True, max_length=80)),
                ('position', models.PositiveSmallIntegerField(default=0)),
                ('page', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='sections', to='conditions.page')),
            ],
            options={
                'ordering': ['position', 'pk'],
            },
        ),
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
            },
        ),
        migrations.CreateModel(
            name='StarterText',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=80, unique=True)),
                ('digest', models.CharField(max_length=64)),
                ('decided_at', models.DateTimeField()),
                ('decided_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['key'],
                'default_permissions': (),
            },
        ),
        migrations.AddConstraint(
            model_name='condition',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('approval_year__isnull', False), ('status', 'approved')), models.Q(('approval_year', None), ('product', ''), ('status', 'off_label')), _connector='OR'), name='condition_approval_matches_status', violation_error_message='An approved use needs its year; an off-label use has no year and no product.'),
        ),
        migrations.AddConstraint(
            model_name='condition',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('map_label_y', None), ('map_side', ''), ('map_x', None), ('map_y', None)), models.Q(('map_label_y__isnull', False), ('map_label_y__range', (0, 540)), ('map_side__in', ['left', 'right']), ('map_x__isnull', False), ('map_x__range', (0, 360)), ('map_y__isnull', False), ('map_y__range', (0, 540))), _connector='OR'), name='condition_map_place_is_whole', violation_error_message='A place on the body map needs its mark, side and label, inside the figure of 360 by 540; or leave all four empty.'),
        ),
        migrations.AddConstraint(
            model_name='edition',
            constraint=models.UniqueConstraint(fields=('page', 'number'), name='edition_number_is_unique'),
        ),
        migrations.AddConstraint(
            model_name='edition',
            constraint=models.UniqueConstraint(condition=models.Q(('live', True)), fields=('kind', 'slug', 'language'), name='edition_one_live_an_address'),
        ),
        migrations.AddConstraint(
            model_name='edition',
            constraint=models.CheckConstraint(condition=models.Q(('live', False), models.Q(('published_at__isnull', False), ('withdrawn_at', None)), _connector='OR'), name='edition_live_is_published'),
        ),
        migrations.AddConstraint(
            model_name='edition',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('signed_at', None), ('signed_by', None)), models.Q(('signed_at__isnull', False), ('signed_by__isnull', False)), _connector='OR'), name='edition_signature_is_whole'),
        ),
        migrations.AddConstraint(
            model_name='edition',
            constraint=clinic.constraints.Immutable(fields=('page', 'number', 'kind', 'slug', 'language', 'document', 'card', 'digest', 'signed_at', 'signed_by', 'signed_digest', 'signed_as', 'published_at'), name='edition_published_is_frozen', violation_error_message='A published edition cannot be changed. Make a new one.', when='published_at'),
        ),
        migrations.AddConstraint(
            model_name='redflag',
            constraint=models.CheckConstraint(condition=models.Q(('asked_before_booking', False), ('level', 'emergency'), _connector='OR'), name='red_flag_asked_is_emergency', violation_error_message='Only emergency signs are asked before booking.'),
        ),
        migrations.AddConstraint(
            model_name='page',
            constraint=models.UniqueConstraint(fields=('kind', 'slug', 'language'), name='page_address_is_unique', violation_error_message='Another page has this address.'),
        ),
        migrations.AddConstraint(
            model_name='page',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('condition__isnull', False), ('kind', 'condition')), models.Q(('condition', None), ('kind', 'guide')), _connector='OR'), name='page_condition_matches_kind', violation_error_message='A condition page names its condition; a guide names none.'),
        ),
        migrations.AddConstraint(
            model_name='citation',
            constraint=models.UniqueConstraint(fields=('page', 'reference'), name='citation_once_a_page', violation_error_message='The page cites this reference already.'),
        ),
        migrations.AddConstraint(
            model_name='section',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('chart_placebo', None), ('chart_treatment', None)), models.Q(('chart_placebo__range', (0, 100)), ('chart_treatment__range', (0, 100))), _connector='OR'), name='section_chart_has_both_groups', violation_error_message='A chart shows both groups, each out of 100 people.'),
        ),
        migrations.AddConstraint(
            model_name='signingright',
            constraint=models.UniqueConstraint(fields=('practitioner', 'condition'), name='signing_right_once_a_condition', violation_error_message='They have this right already.'),
        ),
        migrations.AddConstraint(
            model_name='signingright',
            constraint=models.UniqueConstraint(condition=models.Q(('condition', None)), fields=('practitioner',), name='signing_right_once_for_guides', violation_error_message='They have this right already.'),
        ),
    ]
