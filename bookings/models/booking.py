"""A booking, and the named groups of bookings.

One file: a group, the columns it asks for and the index that answers it are read together.
"""

import hashlib
import secrets
import uuid
from datetime import UTC, datetime, timedelta

from django.core.validators import MaxLengthValidator
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from phonenumber_field.modelfields import PhoneNumberField

from clinic.constraints import NoOverlap
from clinic.mail_addresses import MailAddressField
from clinic.models import Location, Practitioner, VisitType, Way, validate_time_zone
from conditions.models import Condition, Edition

# No 0 O, 1 I L, U: a reference is read out on the phone.
REFERENCE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_reference():
    """Eight characters of the alphabet above; unique in the database, not a secret."""
    return "".join(secrets.choice(REFERENCE_ALPHABET) for _ in range(8))


def hashed_key(key):
    """Hash a form's key (a UUID) as it is stored: it cannot be read back from the database."""
    return uuid.UUID(bytes=hashlib.sha256(key.bytes).digest()[:16])


LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Literal(Value):
    """One of our own codes, written into the SQL instead of sent beside it.

    SQLite uses a partial index only if it can read the index's condition in the query itself;
    with parameters it would go through everything a practitioner ever did.
    """

    def as_sql(self, compiler, connection):
        return f"'{self.value}'", ()


def _stands(at):
    """Not lapsed(): a hold counts for offers and unverified requests only."""
    return Q(hold_until=None) | Q(hold_until__gt=at) | ~Q(status__in=Booking.LAPSING)


class BookingQuerySet(models.QuerySet):
    """Every named group of bookings; ``at`` is an instant, now if not given.

    Booking has a method for what a single row is asked: is_waiting, hold_is_over, lacks_outcome.
    """

    def made_with(self, key):
        """Find what the form with this key has made: one booking, or none yet."""
        return self.filter(idempotency_key=hashed_key(key)) if key else self.none()

    def in_state(self, *statuses):
        """Keep rows in these statuses, found by another column, such as their time.

        Lower() hides the status from its index: a database that keeps no statistics would read all
        that ever had one of them instead of a few days.
        """
        return self.alias(state=Lower("status")).filter(state__in=statuses)

    def asked_for(self):
        """Keep what somebody asked for, without the times that the clinic holds as offers."""
        return self.filter(offered_for=None)

    def waiting(self, at=None):
        """Keep requests that wait for the clinic's answer, oldest first: with a time or to be called.

        Those whose hold ran out wait no longer.
        """
        found = self.filter(_stands(at or timezone.now()), status__in=Booking.WAITING)
        return found.order_by("created_at", "pk")

    def ahead(self, at=None):
        """Keep consultations to come, and requests for a time to come, soonest first; no offers."""
        at = at or timezone.now()
        found = self.in_state(*Booking.AGREED).filter(_stands(at), starts_at__gt=at)
        return found.order_by("starts_at", "pk")

    def holding_time(self):
        """Keep rows in a status that holds time, whatever has become of their hold."""
        return self.filter(status__in=Booking.HOLDING)

    def holding_time_at(self, at=None):
        """Keep bookings whose time nobody else can have, read through the index of time held.

        A proposed or pending booking whose hold has run out holds nothing, although its row is
        cancelled only by the verb that next takes the time.
        """
        return self.filter(
            _stands(at or timezone.now()),
            status__in=[Literal(status) for status in Booking.HOLDING],
        )

    def lapsed(self, at=None):
        """Keep offers and unverified requests whose hold ran out; of one practitioner by that index."""
        offered, pending = Booking.LAPSING
        return self.filter(
            Q(status=offered) | Q(status=pending),
            status__in=[Literal(status) for status in Booking.HOLDING],
            busy_from__gt=LONG_AGO,  # always true; it makes SQLite choose that index
            hold_until__lte=at or timezone.now(),
        ).order_by()

    def awaited(self, at=None):
        """Keep what patients still have before them: requests and consultations, offers left out.

        An unverified request whose moment has passed is none any more.
        """
        at = at or timezone.now()
        return self.filter(
            Q(starts_at=None) | Q(starts_at__gt=at), _stands(at), status__in=Booking.AWAITED
        )

    def open_offers(self, at=None):
        """Keep times that the clinic offers and still holds, soonest first."""
        at = at or timezone.now()
        return self.filter(
            status=Booking.Status.PROPOSED, hold_until__gt=at, starts_at__gt=at
        ).order_by("starts_at", "pk")

    def needs_outcome(self, at=None):
        """Consultations that are over and have no outcome yet; nothing decides it but staff."""
        return self.filter(
            status__in=Booking.EXPECTED,
            ends_at__lte=at or timezone.now(),
            erased_at=None,
        ).order_by("starts_at", "pk")


class Booking(models.Model):
    """A consultation request and what became of it. Rows are never deleted, only erased.

    Times are UTC instants, half-open. ``busy_from`` and ``busy_until`` add the clinic's buffers;
    the database refuses two rows of one practitioner whose busy times overlap while they hold time.
    """

    class Status(models.TextChoices):
        """FHIR AppointmentStatus codes, stored as they are."""

        PROPOSED = "proposed", _("Offered by the clinic")
        PENDING = "pending", _("Waiting for the clinic")
        BOOKED = "booked", _("Confirmed")
        ARRIVED = "arrived", _("Arrived")
        FULFILLED = "fulfilled", _("Seen")
        CANCELLED = "cancelled", _("Cancelled")
        NOSHOW = "noshow", _("Did not come")
        WAITLIST = "waitlist", _("To be called")

    HOLDING = (Status.PROPOSED, Status.PENDING, Status.BOOKED, Status.ARRIVED)
    AGREED = (Status.PENDING, Status.BOOKED, Status.ARRIVED)  # HOLDING without offers
    LAPSING = (Status.PROPOSED, Status.PENDING)  # these may hold their time for a while only
    WAITING = (Status.PENDING, Status.WAITLIST)  # for the clinic's answer
    AWAITED = (Status.PENDING, Status.BOOKED, Status.WAITLIST)  # by their patients
    LIVE = (Status.BOOKED, Status.ARRIVED, Status.FULFILLED)
    EXPECTED = (Status.BOOKED, Status.ARRIVED)  # they need an outcome once they are over

    class CancelledBy(models.TextChoices):
        PATIENT = "patient", "Patient"
        CLINIC = "clinic", "Clinic"
        SYSTEM = "system", "Time limit"

    class Source(models.TextChoices):
        WEB = "web", "Website"
        DESK = "desk", "Front desk"

    reference = models.CharField(max_length=8, unique=True, default=new_reference, editable=False)
    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    status = models.CharField(max_length=12, choices=Status.choices, db_index=True)
    condition = models.ForeignKey(
        Condition,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="bookings",
        help_text="Empty: not sure, or something else.",
    )
    visit_type = models.CharField(max_length=12, choices=VisitType.choices)
    practitioner = models.ForeignKey(
        Practitioner, on_delete=models.PROTECT, null=True, blank=True, related_name="bookings"
    )
    location = models.ForeignKey(
        Location,
        on_delete=models.PROTECT,
        related_name="bookings",
        editable=False,
        db_index=False,  # every booking has the same one: an index would only be in the way
    )
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    busy_from = models.DateTimeField(null=True, blank=True, editable=False)
    busy_until = models.DateTimeField(null=True, blank=True, editable=False)
    promised_times = models.JSONField(
        default=dict,
        blank=True,
        editable=False,
        help_text="Zone and clock time as clinic and patient were told them: see bookings.lifecycle.clock_changes.",
    )
    hold_until = models.DateTimeField(
        null=True,
        blank=True,
        help_text="A proposed or unverified request frees its time after this.",
    )

    name = models.CharField(max_length=80, blank=True)
    email = MailAddressField("e-mail", blank=True)
    phone = PhoneNumberField(blank=True)
    message = models.TextField(
        "what the patient wrote", max_length=1000, blank=True, validators=[MaxLengthValidator(1000)]
    )
    call_when = models.CharField("good times to call", max_length=200, blank=True)
    language = models.CharField(max_length=8, default="en")
    spoken_language = models.CharField("language for the consultation", max_length=30, blank=True)
    time_zone = models.CharField(
        "patient's time zone", max_length=64, blank=True, validators=[validate_time_zone]
    )
    wants_reminders = models.BooleanField("reminders by e-mail", default=True)
    consent_at = models.DateTimeField(null=True, blank=True)
    consent_version = models.CharField(max_length=20, blank=True)

    source = models.CharField(max_length=8, choices=Source.choices, default=Source.WEB)
    idempotency_key = models.UUIDField(
        unique=True,
        null=True,
        blank=True,
        editable=False,
        help_text="Of the form that made it: the first half of the SHA-256 of its key.",
    )
    request_digest = models.CharField(
        max_length=64,
        blank=True,
        editable=False,
        help_text="SHA-256 of what was posted with the key.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    verified_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When somebody first used the link that was mailed for it.",
    )
    confirmed_at = models.DateTimeField(null=True, blank=True, editable=False)
    cancelled_at = models.DateTimeField(null=True, blank=True, editable=False)
    cancelled_by = models.CharField(max_length=8, choices=CancelledBy.choices, blank=True)
    cancel_reason = models.CharField(max_length=200, blank=True)
    sequence = models.PositiveIntegerField(default=0, editable=False)
    offered_for = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="offers",
        editable=False,
        db_index=False,  # nearly every row has none: the partial index below is for the others
    )
    asked_edition = models.ForeignKey(
        Edition,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        editable=False,
        db_index=False,  # an edition is never deleted, and nobody asks for its bookings
        help_text="The signed text that the emergency signs were asked from.",
    )
    asked_red_flags = models.JSONField(
        null=True,
        blank=True,
        editable=False,
        help_text="The emergency signs that were asked. []: not asked here; empty: not recorded.",
    )
    staff_note = models.TextField(max_length=1000, blank=True)
    kept_days_after_visit = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        editable=False,
        help_text="The clinic's period when it was made; empty: the present one.",
    )
    kept_days_after_cancelled = models.PositiveSmallIntegerField(
        null=True, blank=True, editable=False, help_text="As above."
    )
    erased_at = models.DateTimeField(null=True, blank=True, editable=False)
    is_demo = models.BooleanField(default=False, db_default=False, editable=False)

    PERSONAL = (
        "name", "email", "phone", "message", "call_when", "spoken_language", "time_zone",
        "promised_times", "cancel_reason", "staff_note", "idempotency_key", "request_digest",
    )  # fmt: skip
    NOT_PERSONAL = ("reference", "language", "consent_version", "asked_red_flags")

    objects = BookingQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        permissions = [
            ("answer_booking", "Can answer, move and cancel bookings"),
            ("export_booking", "Can export bookings"),
            ("erase_booking", "Can erase the personal details of bookings"),
        ]
        indexes = [
            models.Index(
                fields=["practitioner", "busy_from"],
                name="booking_time_held",
                condition=Q(status__in=["proposed", "pending", "booked", "arrived"]),
            ),
            models.Index(fields=["starts_at"], name="booking_starts_at"),
            models.Index(fields=["status", "created_at"], name="booking_status_created"),
            models.Index(fields=["-created_at", "-id"], name="booking_newest"),
            models.Index(fields=["email"], name="booking_email"),
            models.Index(
                fields=["offered_for"],
                name="booking_offered_for",
                condition=Q(offered_for__isnull=False),
            ),
            models.Index(
                fields=["practitioner", "-created_at", "-id"], name="booking_of_practitioner"
            ),
        ]
        constraints = [
            NoOverlap(
                owner="practitioner", start="busy_from", end="busy_until",
                statuses=("proposed", "pending", "booked", "arrived"),
                name="booking_no_overlap",
                violation_error_message="That practitioner's time is taken by another booking.",
            ),
            models.CheckConstraint(
                condition=Q(
                    starts_at=None, ends_at=None, busy_from=None, busy_until=None,
                ) | Q(
                    practitioner__isnull=False,
                    busy_from__lte=F("starts_at"),
                    starts_at__lt=F("ends_at"),
                    ends_at__lte=F("busy_until"),
                ),
                name="booking_times_are_whole",
                violation_error_message="A time needs a practitioner, a start and a later end.",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["waitlist", "cancelled"]) | Q(starts_at__isnull=False),
                name="booking_status_has_time",
                violation_error_message="Only a call-back may be without a time.",
            ),
            models.CheckConstraint(
                condition=(Q(status="cancelled") & ~Q(cancelled_by="") & Q(cancelled_at__isnull=False))
                | (~Q(status="cancelled") & Q(cancelled_by="", cancelled_at=None)),
                name="booking_cancelled_says_by_whom",
            ),
            models.CheckConstraint(
                condition=Q(visit_type__in=VisitType.values), name="booking_visit_type_is_known"
            ),
            models.CheckConstraint(
                condition=Q(status__in=["proposed", "pending", "booked", "arrived", "fulfilled",
                                        "cancelled", "noshow", "waitlist"]),
                name="booking_status_is_known",
            ),
        ]  # fmt: skip

    def __str__(self):
        return self.spoken_reference

    @property
    def spoken_reference(self):
        """The reference in two groups, as it is read out: KX74-MPQR."""
        return f"{self.reference[:4]}-{self.reference[4:]}"

    @property
    def concern(self):
        """For staff: the name of the condition, or plain words when the patient was not sure."""
        return self.condition.name if self.condition else "Not sure, or something else"

    @property
    def answer_by(self):
        """The instant (UTC) by which the clinic promises its answer: before the visit in any case."""
        promised = self.created_at + timedelta(hours=self.location.clinic.answer_within_hours)
        return min(promised, self.starts_at or promised)

    @property
    def change_deadline(self):
        """The last instant (UTC) at which a patient may move or cancel online."""
        return self.starts_at - timedelta(hours=self.location.clinic.cancel_until_hours)

    @property
    def way(self) -> Way:
        """What is told of how we meet."""
        return VisitType(self.visit_type).way

    @property
    def look(self):
        """The style of its status on a page: live, waiting or off."""
        if self.status in self.LIVE:
            return "live"
        return "waiting" if self.status in self.WAITING else "off"

    @property
    def status_for_patient(self):
        """The status in words that say to its patient who acts next."""
        words = {
            self.Status.PENDING: _("Waiting for the clinic to confirm"),
            self.Status.WAITLIST: _("We will call you"),
        }
        return words.get(self.status, self.get_status_display())

    @property
    def holds_time(self):
        return self.status in self.HOLDING

    @property
    def is_unverified(self):
        """Whether it still waits for its patient to show that the mailbox is theirs."""
        return self.status == self.Status.PENDING and self.hold_until is not None

    def has_lapsed(self, at=None):
        """Whether its time was given back because nobody verified the mailbox."""
        if self.cancelled_by == self.CancelledBy.SYSTEM:
            return True
        return self.is_unverified and self.hold_until <= (at or timezone.now())

    def hold_is_over(self, at=None):
        """Whether it is one of lapsed(): its time is free again, although its row says otherwise."""
        holds_for_a_while = self.status in self.LAPSING and self.hold_until is not None
        return holds_for_a_while and self.hold_until <= (at or timezone.now())

    def is_waiting(self, at=None):
        """Whether it is one of waiting(): a request without an answer."""
        return self.status in self.WAITING and not self.hold_is_over(at)

    def lacks_outcome(self, at=None):
        """Whether it is one of needs_outcome(): over, and nobody has said how it ended."""
        is_over = self.ends_at is not None and self.ends_at <= (at or timezone.now())
        return self.status in self.EXPECTED and is_over and self.erased_at is None

    def is_by_day(self, now):
        """Whether its day has come where it takes place, or is past."""
        zone = self.location.zone
        return self.starts_at.astimezone(zone).date() <= now.astimezone(zone).date()

    @property
    def is_over(self):
        return bool(self.ends_at and self.ends_at <= timezone.now())
