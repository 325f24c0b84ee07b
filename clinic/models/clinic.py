"""The clinic itself: one row of identity and policy."""

import re
from datetime import timedelta
from email.utils import formataddr, parseaddr

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from phonenumber_field.modelfields import PhoneNumberField

from .. import public_words
from ..mail_addresses import MailAddressField
from .visit_types import ways_in_words

_REMINDER = re.compile(r"([1-9]\d{0,2}) (day|hour)s?")


MOST_REMINDERS = 5


def parse_reminders(text):
    """ "7 days, 2 hours" as [("7-day", timedelta), …], longest first.

    Raises ValidationError, with words for staff, for anything else.
    """
    reminders = []
    for part in filter(None, (part.strip().lower() for part in text.split(","))):
        found = _REMINDER.fullmatch(part)
        if not found:
            raise ValidationError(f"“{part}” is not understood. Write for example: 7 days, 2 hours")
        number, unit = int(found[1]), found[2]
        reminders.append((f"{number}-{unit}", timedelta(**{f"{unit}s": number})))
    if len(reminders) > MOST_REMINDERS:
        raise ValidationError(f"More than {MOST_REMINDERS} reminders are read as spam.")
    return sorted(reminders, key=lambda reminder: reminder[1], reverse=True)


class ClinicManager(models.Manager):
    def current(self):
        """Return the one clinic; a fresh database gets one with neutral values."""
        clinic = self.first()
        return clinic or self.get_or_create(pk=1)[0]


class Clinic(models.Model):
    """The one row of identity and policy. Staff edit it; no template repeats a value of it."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    name = models.CharField(max_length=120, default="The clinic")
    short_name = models.CharField(
        max_length=60, default="The clinic", help_text="Shown in the header."
    )
    whatsapp = PhoneNumberField("WhatsApp", blank=True)
    email = MailAddressField(
        "e-mail", blank=True, help_text="Public address; also the sender of mails."
    )
    video_note = models.CharField(
        max_length=200,
        blank=True,
        help_text="How to join a video call; goes into mails. Empty: you write to each patient.",
    )
    emergency_number = models.CharField(max_length=20, default="911")
    languages_spoken = models.CharField(max_length=120, default="English")

    minimum_notice = models.PositiveIntegerField(
        "notice (minutes)", default=120, help_text="No time sooner than this from now is offered."
    )
    horizon_days = models.PositiveSmallIntegerField(
        "horizon (days)",
        default=60,
        validators=[MinValueValidator(1), MaxValueValidator(366)],
        help_text="How far ahead people can book.",
    )
    slot_step = models.PositiveSmallIntegerField(
        "step (minutes)",
        default=30,
        validators=[MinValueValidator(5), MaxValueValidator(240)],
        help_text="Times are offered this far apart.",
    )
    consultation_minutes = models.PositiveSmallIntegerField(
        "consultation (minutes)",
        default=30,
        validators=[MinValueValidator(5), MaxValueValidator(480)],
        help_text="A condition may have its own length.",
    )
    buffer_before = models.PositiveSmallIntegerField(
        "buffer before (minutes)", default=0, validators=[MaxValueValidator(240)]
    )
    buffer_after = models.PositiveSmallIntegerField(
        "buffer after (minutes)", default=0, validators=[MaxValueValidator(240)]
    )
    confirm_at_once = models.BooleanField(
        default=False,
        help_text="On: a request is booked at once. Off: it waits for the desk, which confirms it.",
    )
    answer_within_hours = models.PositiveSmallIntegerField(
        "answer within (hours)",
        default=24,
        help_text="Promised to patients; the desk sees what is late.",
    )
    cancel_until_hours = models.PositiveSmallIntegerField(
        "change or cancel online until (hours before)", default=4
    )
    reminders = models.CharField(
        max_length=120,
        blank=True,
        default="7 days, 2 days, 2 hours",
        validators=[parse_reminders],
        help_text="How long before a visit we remind by e-mail; holds for all future bookings.",
    )
    retention_days_after_visit = models.PositiveSmallIntegerField(
        "erase personal data after a visit (days)",
        default=365,
        validators=[MinValueValidator(1)],
        help_text="A shorter period holds at once, a longer one for bookings made from then on.",
    )
    retention_days_after_cancelled = models.PositiveSmallIntegerField(
        "erase personal data after a cancellation or missed visit (days)",
        default=90,
        validators=[MinValueValidator(1)],
        help_text="Also after a request or call-back that led to no visit. Changes hold as above.",
    )
    two_person_signoff = models.BooleanField(
        "medical text needs a second person",
        default=True,
        help_text="On: whoever wrote or changed a page cannot sign it.",
    )

    # How far a new public site has come on its way to the first visitor: clinic.operations.setup.
    opened_at = models.DateTimeField(null=True, blank=True, editable=False)
    mailbox_tested = MailAddressField(blank=True, default="", db_default="", editable=False)

    PERSONAL = ()

    PUBLIC_WORDS = ("video_note",)

    objects = ClinicManager()

    class Meta:
        verbose_name_plural = "clinic"
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="clinic_is_one_row")]

    def __str__(self):
        return self.name

    def clean(self):
        public_words.require_sound(self)

    @property
    def sender(self):
        """Who all our mails are from: the clinic, at its own address or DEFAULT_FROM_EMAIL's."""
        name = " ".join("".join(c if c.isprintable() else " " for c in self.name).split())
        address = parseaddr(settings.DEFAULT_FROM_EMAIL)[1] or self.email
        return formataddr((name, address or f"no-reply@{settings.SITE_HOST or 'localhost'}"))

    @property
    def is_open(self):
        """Return whether visitors see the site; on a loopback address, for trying it, always."""
        return settings.ON_LOOPBACK or self.opened_at is not None

    @property
    def spoken_languages(self):
        """The names of the languages that consultations are held in."""
        names = [name.strip() for name in self.languages_spoken.split(",")]
        return [name for name in names if name] or ["English"]

    @property
    def ways_in_words(self):
        return ways_in_words()

    def minutes_for(self, condition=None):
        """How long a consultation about a condition lasts: its own length, or the usual one."""
        return (condition and condition.consultation_minutes) or self.consultation_minutes
