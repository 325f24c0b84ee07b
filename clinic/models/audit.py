"""The record of changes and its seals."""

from enum import StrEnum

from django.conf import settings
from django.db import models

from ..constraints import Immutable


class Actor(StrEnum):
    """On whose behalf a verb acts, where ``by`` is no account: ``by: User | Actor``."""

    DESK = "desk"  # anybody of the staff who may answer bookings
    PATIENT = "patient"
    SYSTEM = "system"  # the clock, an operator's command, the demonstration


class Action(models.TextChoices):
    """What an event says has happened: subject and verb, and its words for staff.

    No choices of the column: an event keeps the text that it was sealed with, also of an older
    spelling.
    """

    BOOKING_REQUESTED = "booking.requested", "Requested"
    BOOKING_CALLBACK_REQUESTED = "booking.callback_requested", "Asked for a call"
    BOOKING_CONFIRMED = "booking.confirmed", "Confirmed"
    BOOKING_RESCHEDULED = "booking.rescheduled", "Moved"
    BOOKING_CANCELLED = "booking.cancelled", "Cancelled"
    BOOKING_ARRIVED = "booking.arrived", "Arrived"
    BOOKING_FULFILLED = "booking.fulfilled", "Seen"
    BOOKING_NOSHOW = "booking.noshow", "Did not come"
    BOOKING_UNDONE = "booking.undone", "Taken back"
    BOOKING_VERIFIED = "booking.verified", "Address confirmed"
    BOOKING_OFFERED = "booking.offered", "Times offered"
    BOOKING_OFFER_CHOSEN = "booking.offer_chosen", "Offered time taken"
    BOOKING_LINK_SENT = "booking.link_sent", "Link sent again"
    BOOKING_LINK_ASKED = "booking.link_asked", "Link asked for on the site"
    BOOKING_NEW_TIME_ANNOUNCED = "booking.new_time_announced", "Told the new clock time"
    BOOKING_REMINDERS_OFF = "booking.reminders_off", "Reminders off"
    BOOKING_REMINDERS_ON = "booking.reminders_on", "Reminders on"
    BOOKING_MESSAGE_FAILED = "booking.message_failed", "A message failed"
    BOOKING_MESSAGE_REQUEUED = "booking.message_requeued", "A message is sent again"
    BOOKING_UNREACHABLE_HANDLED = "booking.unreachable_handled", "Told by phone"
    BOOKING_PERSON_EXPORTED = "booking.person_exported", "Personal details exported"
    BOOKING_ERASED = "booking.erased", "Personal details erased"
    BOOKING_CHANGED = "booking.changed", "Contact changed"
    BOOKING_EXPORTED = "booking.exported", "Bookings exported"
    LINKS_REVOKED = "links.revoked", "All links of patients revoked"
    DEMO_WEEK_LOADED = "demo_week.loaded", "Demonstration week loaded"

    EDITION_SUBMITTED = "edition.submitted", "Edition submitted"
    EDITION_SIGNED = "edition.signed", "Edition signed"
    EDITION_SENT_BACK = "edition.sent_back", "Edition sent back"
    EDITION_PUBLISHED = "edition.published", "Edition published"
    EDITION_WITHDRAWN = "edition.withdrawn", "Edition withdrawn"
    PAGE_CHANGED = "page.changed", "Page changed"
    PAGE_REVIEWED = "page.reviewed", "Page reviewed"
    CONDITION_CHANGED = "condition.changed", "Condition changed"
    REFERENCE_CHANGED = "reference.changed", "Reference changed"
    SHARED_BLOCK_CHANGED = "sharedblock.changed", "Shared text changed"
    FAQ_CHANGED = "faq.changed", "Question changed"
    RED_FLAG_CHANGED = "redflag.changed", "Danger sign changed"
    SIGNING_RIGHT_GIVEN = "signing_right.given", "Right to sign given"
    SIGNING_RIGHT_TAKEN = "signing_right.taken", "Right to sign taken"
    STARTER_TEXT_KEPT = "starter_text.kept", "Own text kept over the release's"

    CLINIC_OPENED = "clinic.opened", "Site opened"
    CLINIC_CHANGED = "clinic.changed", "Clinic changed"
    STARTER_LOADED = "starter.loaded", "Starter content loaded"
    MAILBOX_TESTED = "mailbox.tested", "Mailbox tested"
    ACCOUNT_MAIL_FAILED = "account_mail.failed", "A mail to staff failed"
    PRACTITIONER_ADDED = "practitioner.added", "Practitioner added"
    PRACTITIONER_CHANGED = "practitioner.changed", "Practitioner changed"
    PRACTITIONER_DELETED = "practitioner.deleted", "Practitioner deleted"
    HOURS_ADDED = "openinghours.added", "Opening hours added"
    HOURS_CHANGED = "openinghours.changed", "Opening hours changed"
    HOURS_DELETED = "openinghours.deleted", "Opening hours deleted"
    CLOSURE_ADDED = "closure.added", "Closure added"
    CLOSURE_CHANGED = "closure.changed", "Closure changed"
    CLOSURE_DELETED = "closure.deleted", "Closure deleted"

    USER_ADDED = "user.added", "Account added"
    USER_CHANGED = "user.changed", "Account changed"
    USER_DELETED = "user.deleted", "Account deleted"
    STAFF_DEACTIVATED = "staff.deactivated", "Account deactivated"
    STAFF_SIGNED_IN = "staff.signed_in", "Signed in"
    STAFF_SIGNED_OUT = "staff.signed_out", "Signed out everywhere"
    STAFF_REFUSED = "staff.refused", "Sign-in refused"
    STAFF_RESET_ASKED = "staff.reset_asked", "New password asked for"
    STAFF_PASSWORD_CHANGED = "staff.password_changed", "Password changed"
    STAFF_PASSWORD_RESET = "staff.password_reset", "Password reset"
    STAFF_ADDRESS_ASKED = "staff.address_asked", "New address asked for"
    STAFF_ADDRESS_CHANGED = "staff.address_changed", "Address changed"
    SECOND_FACTOR_ADDED = "second_factor.added", "Second factor added"
    SECOND_FACTOR_REMOVED = "second_factor.removed", "Second factor removed"
    SECOND_FACTOR_RENEWED = "second_factor.renewed", "Second factor renewed"
    SECOND_FACTOR_RESET = "second_factor.reset", "Second factor reset"
    PASSKEY_COPIED = "passkey.copied", "A passkey may be copied"
    PAGE_REFUSED = "page.refused", "Page refused"

    @property
    def spellings(self):
        """This one, and the one of rows from before every action had its dot."""
        return (self.value, self.value.replace(".", "_"))

    @classmethod
    def words(cls, text):
        """Return the words for what a row says; an action that nobody knows speaks for itself."""
        return _WORDS.get(text, text)


_WORDS = {text: action.label for action in Action for text in action.spellings}


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
            Immutable(
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
            Immutable(
                fields=["id", "number", "event", "digest", "sealed_at"],
                when="sealed_at",
                name="audit_seal_is_frozen",
                violation_error_message="A seal cannot be changed.",
            )
        ]

    def __str__(self):
        return f"Seal {self.number}"
