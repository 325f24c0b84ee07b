"""What is to be sent about a booking, and the beat of the worker that sends it."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from clinic.models import MailQuerySet, MailState

from .booking import Booking, Literal


class MessageQuerySet(MailQuerySet):
    def failed(self):
        """Messages that were given up, read through their own index."""
        return self.filter(state=Literal(MailState.FAILED))

    def to_patients(self):
        return self.exclude(kind__startswith="desk_")


class Message(models.Model):
    """One message about a booking: what, to whom, when due, when sent, tries, error.

    It holds no text: the worker renders it from the booking as it is at that moment.
    """

    class Kind(models.TextChoices):
        RECEIVED = "received", "Request received"
        CONFIRMED = "confirmed", "Confirmed"
        CHANGED = "changed", "Time changed"
        CANCELLED = "cancelled", "Cancelled"
        CALLBACK = "callback", "Call-back asked for"
        OFFERED = "offered", "Times offered"
        LINK = "link", "New manage link"
        REMINDER = "reminder", "Reminder"
        FOLLOW_UP = "follow_up", "After a missed visit"
        VERIFY = "verify", "Please confirm your address"
        DESK_NEW = "desk_new", "To the desk: new request"
        DESK_CHANGED = "desk_changed", "To the desk: changed by the patient"
        DESK_CANCELLED = "desk_cancelled", "To the desk: cancelled by the patient"
        DESK_OUTCOME = "desk_outcome", "To the desk: please tell us the outcome"

        @property
        def to_desk(self):
            return self.value.startswith("desk_")

    State = MailState

    # In another status of its booking a message has been overtaken. The table of transitions is
    # checked against this when it is read; the worker drops what is true no more.
    TRUE_WHILE = {
        Kind.VERIFY: (Booking.Status.PENDING,),
        Kind.RECEIVED: (Booking.Status.PENDING,),
        Kind.CALLBACK: (Booking.Status.WAITLIST,),
        Kind.OFFERED: Booking.WAITING,
        Kind.CONFIRMED: (Booking.Status.BOOKED,),
        Kind.CHANGED: (Booking.Status.PENDING, Booking.Status.BOOKED),
        Kind.CANCELLED: (Booking.Status.CANCELLED,),
        Kind.LINK: Booking.AWAITED,
        Kind.REMINDER: (Booking.Status.BOOKED,),
        Kind.FOLLOW_UP: (Booking.Status.NOSHOW,),
        Kind.DESK_NEW: Booking.AWAITED,
        Kind.DESK_CHANGED: (Booking.Status.PENDING, Booking.Status.BOOKED),
        Kind.DESK_CANCELLED: (Booking.Status.CANCELLED,),
        Kind.DESK_OUTCOME: Booking.EXPECTED,
    }

    booking = models.ForeignKey(Booking, on_delete=models.PROTECT, related_name="messages")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    channel = models.CharField(
        max_length=16, default="email", help_text="A module in messaging/channels."
    )
    key = models.CharField(
        max_length=120,
        help_text="Booking, kind and occasion: the same news is sent once by each channel.",
    )
    state = models.CharField(max_length=8, choices=State.choices, default=State.QUEUED)
    created_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    message_id = models.CharField(max_length=120, blank=True)
    error = models.CharField(max_length=200, blank=True)

    PERSONAL = ("message_id", "error")
    NOT_PERSONAL = ("channel", "key")
    FORGETS = ()  # it holds no text

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ["-due_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["key", "channel"], name="message_once")]
        indexes = [
            models.Index(fields=["due_at"], name="message_due", condition=Q(state="queued")),
            models.Index(fields=["due_at"], name="message_failed", condition=Q(state="failed")),
            models.Index(fields=["-due_at", "-id"], name="message_newest"),
        ]

    def __str__(self):
        return f"{self.get_kind_display()} ({self.booking_id})"

    @property
    def to_desk(self):
        return self.Kind(self.kind).to_desk


class Heartbeat(models.Model):
    """When each background job last ran; the health check reads it."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()

    PERSONAL = ()

    class Meta:
        ordering = ["name"]

    def __str__(self):
        return self.name
