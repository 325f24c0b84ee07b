"""The record of changes and its seals."""

from django.conf import settings
from django.db import models

from ..constraints import Frozen


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
