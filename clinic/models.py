"""The clinic: its identity and policy, who gives consultations, and when.

Wall-clock rules (opening hours, closures) are local dates and times in Clinic.time_zone;
clinic.hours turns them into instants.
"""

import re
import zoneinfo
from datetime import timedelta
from email.utils import formataddr, parseaddr

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from phonenumber_field.modelfields import PhoneNumberField

from . import public_words
from .constraints import Frozen
from .mail_addresses import MailAddressField


class VisitType(models.TextChoices):
    """How a consultation takes place."""

    IN_PERSON = "in_person", "At the clinic"
    VIDEO = "video", "Video call"
    PHONE = "phone", "Phone call"


class Weekday(models.IntegerChoices):
    """ISO 8601 weekday numbers; no other convention is used anywhere."""

    MONDAY = 1, "Monday"
    TUESDAY = 2, "Tuesday"
    WEDNESDAY = 3, "Wednesday"
    THURSDAY = 4, "Thursday"
    FRIDAY = 5, "Friday"
    SATURDAY = 6, "Saturday"
    SUNDAY = 7, "Sunday"


def validate_time_zone(value):
    """Raise ValidationError unless ``value`` is an IANA time zone name."""
    if value not in zoneinfo.available_timezones():
        raise ValidationError(
            f"“{value}” is not a time zone. Write a name such as America/Los_Angeles."
        )


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


# By country: a number that people can call and text, day and night, without charge.
CRISIS_LINES = {"US": "988"}


class ClinicManager(models.Manager):
    def current(self):
        """The one clinic; made with neutral values when a fresh database has none yet."""
        clinic = self.first()
        return clinic or self.get_or_create(pk=1)[0]


class Clinic(models.Model):
    """The one row of identity and policy. Staff edit it; no template repeats a value of it."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    name = models.CharField(max_length=120, default="The clinic")
    short_name = models.CharField(
        max_length=60, default="The clinic", help_text="Shown in the header."
    )
    phone = PhoneNumberField(blank=True)
    whatsapp = PhoneNumberField("WhatsApp", blank=True)
    email = MailAddressField(
        "e-mail", blank=True, help_text="Public address; also the sender of mails."
    )
    desk_email = MailAddressField(
        "front desk e-mail", blank=True, help_text="Where notices of new requests go."
    )
    street = models.CharField(max_length=120, blank=True)
    city = models.CharField(max_length=80, blank=True)
    region = models.CharField(max_length=80, blank=True)
    postal_code = models.CharField(max_length=20, blank=True)
    country = models.CharField(
        max_length=2, default="US", help_text="ISO 3166 code, for example US."
    )
    access_note = models.CharField(
        max_length=200, blank=True, help_text="Step-free entrance, parking, nearest stop."
    )
    video_note = models.CharField(
        max_length=200,
        blank=True,
        help_text="How to join a video call; goes into mails. Empty: you write to each patient.",
    )
    emergency_number = models.CharField(max_length=20, default="911")
    languages_spoken = models.CharField(max_length=120, default="English")
    time_zone = models.CharField(
        max_length=64, default="America/Los_Angeles", validators=[validate_time_zone]
    )

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
    zone_confirmed = models.BooleanField(default=False, db_default=False, editable=False)
    mailbox_tested = MailAddressField(blank=True, default="", db_default="", editable=False)

    PERSONAL = ()

    PUBLIC_WORDS = ("access_note", "video_note")

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
        """Whether visitors see the site; on a loopback address, where it is tried, always."""
        return settings.ON_LOOPBACK or self.opened_at is not None

    @property
    def crisis_line(self):
        """Who answers thoughts of suicide, beside the emergency number; empty where unknown."""
        return CRISIS_LINES.get(self.country, "")

    @property
    def zone(self):
        """The clinic's time zone as a ZoneInfo."""
        return zoneinfo.ZoneInfo(self.time_zone)


class PractitionerQuerySet(models.QuerySet):
    def active(self):
        return self.filter(archived=False)

    def bookable(self, visit_type=None):
        """Who takes bookings now; with ``visit_type``, who takes that kind."""
        found = self.active().filter(accepts_bookings=True)
        if visit_type:
            found = found.filter(**{Practitioner.VISIT_TYPE_FIELDS[visit_type]: True})
        return found


class Practitioner(models.Model):
    """Who gives consultations. Archived, never deleted, once a booking names them."""

    VISIT_TYPE_FIELDS = {
        VisitType.IN_PERSON: "sees_in_person",
        VisitType.VIDEO: "sees_by_video",
        VisitType.PHONE: "sees_by_phone",
    }

    name = models.CharField(max_length=120, help_text="With title, for example Dr. Elena Marlow.")
    slug = models.SlugField(unique=True)
    credentials = models.CharField(max_length=60, blank=True, help_text="For example MD.")
    role = models.CharField(max_length=80, blank=True, help_text="For example Neurologist.")
    bio = models.TextField(max_length=1500, blank=True)
    languages = models.CharField(
        max_length=120, default="English", help_text="Separated by commas."
    )
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        help_text="The sign-in of this person, if they have one.",
    )
    license_number = models.CharField("license", max_length=60, blank=True)
    license_checked_on = models.DateField(
        null=True, blank=True, help_text="Needed to sign medical text; no older than two years."
    )
    sees_in_person = models.BooleanField("at the clinic", default=True)
    sees_by_video = models.BooleanField("by video", default=True)
    sees_by_phone = models.BooleanField("by phone", default=True)
    accepts_bookings = models.BooleanField(default=True)
    archived = models.BooleanField(
        default=False, help_text="Left the clinic. Past bookings stay; their sign-in ends."
    )
    position = models.PositiveSmallIntegerField(default=0, help_text="Order on the site.")

    PERSONAL = ()

    PUBLIC_WORDS = ("role", "credentials", "bio", "languages")

    objects = PractitionerQuerySet.as_manager()

    class Meta:
        ordering = ["position", "name"]

    def __str__(self):
        return self.name

    def clean(self):
        public_words.require_sound(self)

    @property
    def visit_types(self):
        """The VisitType values this person offers."""
        return [kind for kind, field in self.VISIT_TYPE_FIELDS.items() if getattr(self, field)]


class OpeningHours(models.Model):
    """A weekly rule in the clinic's wall clock. Without a practitioner it is the whole clinic's.

    A practitioner is free for consultations where a rule of theirs and a rule of the clinic both
    hold; one without rules works the clinic's hours. ``closes`` at 00:00 means the end of the day.
    """

    practitioner = models.ForeignKey(
        Practitioner,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="opening_hours",
        help_text="Empty: the whole clinic.",
    )
    weekday = models.PositiveSmallIntegerField(choices=Weekday.choices)
    opens = models.TimeField()
    closes = models.TimeField(help_text="00:00 means midnight at the end of the day.")
    valid_from = models.DateField(null=True, blank=True)
    valid_until = models.DateField(null=True, blank=True, help_text="Last day, included.")

    PERSONAL = ()

    class Meta:
        verbose_name_plural = "opening hours"
        ordering = ["practitioner__position", "practitioner_id", "weekday", "opens"]
        constraints = [
            models.CheckConstraint(
                condition=Q(weekday__range=(1, 7)),
                name="opening_hours_iso_weekday",
                violation_error_message="Choose a weekday.",
            ),
            models.CheckConstraint(
                condition=Q(closes__gt=F("opens")) | Q(closes="00:00"),
                name="opening_hours_closes_after_opens",
                violation_error_message="The closing time is before the opening time.",
            ),
            models.CheckConstraint(
                condition=Q(valid_from=None)
                | Q(valid_until=None)
                | Q(valid_until__gte=F("valid_from")),
                name="opening_hours_valid_until_after_from",
                violation_error_message="The last day is before the first day.",
            ),
        ]

    def __str__(self):
        return f"{self.get_weekday_display()} {self.opens:%H:%M} to {self.closes:%H:%M}"


class ClosureQuerySet(models.QuerySet):
    def touching(self, first_day, last_day):
        """Closures with at least one day in the given local dates, both included."""
        return self.filter(first_day__lte=last_day, last_day__gte=first_day)


class Closure(models.Model):
    """Dated time without consultations, in the clinic's wall clock; both days included.

    With ``from_time`` and ``until_time`` it closes that part of each day, else whole days.
    """

    practitioner = models.ForeignKey(
        Practitioner,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="closures",
        help_text="Empty: the whole clinic.",
    )
    first_day = models.DateField()
    last_day = models.DateField()
    from_time = models.TimeField(null=True, blank=True, help_text="Empty: the whole day.")
    until_time = models.TimeField(null=True, blank=True)
    reason = models.CharField(
        max_length=80, blank=True, help_text="Shown to staff, for example Surgery."
    )
    public_note = models.CharField(
        max_length=80, blank=True, help_text="Shown on the site, for example Public holiday."
    )

    PERSONAL = ()

    PUBLIC_WORDS = ("public_note",)

    objects = ClosureQuerySet.as_manager()

    class Meta:
        ordering = ["first_day", "from_time"]
        constraints = [
            models.CheckConstraint(
                condition=Q(last_day__gte=F("first_day")),
                name="closure_last_day_after_first",
                violation_error_message="The last day is before the first day.",
            ),
            models.CheckConstraint(
                condition=Q(from_time=None, until_time=None)
                | Q(
                    from_time__isnull=False, until_time__isnull=False, until_time__gt=F("from_time")
                ),
                name="closure_until_after_from",
                violation_error_message="Give both times, the later one last, or neither.",
            ),
        ]

    def __str__(self):
        who = self.practitioner or "Whole clinic"
        return f"{who}: {self.first_day:%d %b %Y} to {self.last_day:%d %b %Y}"

    def clean(self):
        public_words.require_sound(self)


class AuditEvent(models.Model):
    """Who changed what, and when. Written by verbs through clinic.audit, never edited.

    ``details`` holds field names, codes and times, never what a patient typed.
    """

    at = models.DateTimeField(db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    actor_label = models.CharField(max_length=150, help_text="Staff name, “patient” or “system”.")
    action = models.CharField(max_length=60, db_index=True)
    object_type = models.CharField(max_length=60)
    object_key = models.CharField(max_length=60)
    details = models.JSONField(default=dict, blank=True)

    PERSONAL = ()

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["object_type", "object_key"], name="audit_of_object")]
        constraints = [
            Frozen(
                fields=[
                    "id",
                    "at",
                    "actor",
                    "actor_label",
                    "action",
                    "object_type",
                    "object_key",
                    "details",
                ],
                when="at",
                name="audit_event_is_frozen",
                violation_error_message="The record cannot be changed.",
            )
        ]

    def __str__(self):
        return f"{self.action} {self.object_type} {self.object_key}"


class AuditSeal(models.Model):
    """One link of the chain over the audit record, made by clinic.audit.seal().

    ``digest`` covers the event, this row and the digest of the seal numbered one lower.
    """

    number = models.PositiveBigIntegerField(unique=True, help_text="1, 2, 3 … without gaps.")
    event = models.OneToOneField(AuditEvent, on_delete=models.PROTECT, related_name="seal")
    digest = models.CharField(max_length=64, help_text="HMAC-SHA256, in hexadecimal.")
    sealed_at = models.DateTimeField()

    PERSONAL = ()

    class Meta:
        default_permissions = ()
        ordering = ["number"]
        constraints = [
            Frozen(
                fields=["id", "number", "event", "digest", "sealed_at"],
                when="sealed_at",
                name="audit_seal_is_frozen",
                violation_error_message="A seal cannot be changed.",
            )
        ]

    def __str__(self):
        return f"Seal {self.number}"


class StaffSession(models.Model):
    """One browser in which somebody of the staff is signed in; it goes with its session.

    Only what tells its owner which one it is: no address of the network, no full name of the browser.
    """

    session = models.OneToOneField(
        "sessions.Session", on_delete=models.CASCADE, related_name="staff_session"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="staff_sessions"
    )
    device = models.CharField(max_length=60)
    created_at = models.DateTimeField(auto_now_add=True)
    seen_at = models.DateTimeField()

    PERSONAL = ()

    class Meta:
        default_permissions = ()
        ordering = ["-seen_at", "-pk"]

    def __str__(self):
        return self.device


LEASE = timedelta(seconds=120)  # of a mail; renewed before each send (4 × EMAIL_TIMEOUT at most)


class MailState(models.TextChoices):
    QUEUED = "queued", "Waiting"
    SENT = "sent", "Sent"
    DROPPED = "dropped", "No longer needed"
    FAILED = "failed", "Failed"


class MailQuerySet(models.QuerySet):
    """What waits in an outbox: mails about accounts here, messages about bookings above."""

    def waiting(self):
        return self.filter(state=MailState.QUEUED)

    def due(self, at=None):
        """Mails to send now that no worker has leased.

        A lease that ends much later than one taken now would is from before the clock was put back;
        a little later is one renewed while this worker waited for its turn.
        """
        at = at or timezone.now()
        unleased = Q(lease_until=None) | Q(lease_until__lte=at) | Q(lease_until__gt=at + 2 * LEASE)
        return self.waiting().filter(unleased, due_at__lte=at).order_by("due_at", "pk")


class AccountMail(models.Model):
    """One mail about a staff account, such as a link that sets a password. See account_mails."""

    State = MailState

    to = MailAddressField()
    kind = models.CharField(max_length=100, help_text="Name of its template.")
    content = models.TextField(help_text="Subject and text, encrypted; empty once it is over.")
    state = models.CharField(max_length=8, choices=MailState.choices, default=MailState.QUEUED)
    created_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    message_id = models.CharField(max_length=120)
    error = models.CharField(max_length=200, blank=True)

    PERSONAL = ()  # about staff
    FORGETS = ("content",)  # columns that the outbox empties when it is done with a row

    objects = MailQuerySet.as_manager()

    class Meta:
        ordering = ["-due_at", "-pk"]
        default_permissions = ()
        indexes = [
            models.Index(fields=["due_at"], name="account_mail_due", condition=Q(state="queued"))
        ]

    def __str__(self):
        return f"{self.kind} ({self.get_state_display()})"
