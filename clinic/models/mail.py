"""Mails that wait to be sent: states and leases, and the mails about staff accounts."""

from datetime import timedelta

from django.db import models
from django.db.models import Q
from django.utils import timezone

from ..mail_addresses import MailAddressField

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
    channel = "email"

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
