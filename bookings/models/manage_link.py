"""The secrets that open one booking."""

from django.db import models
from django.utils import timezone

from .booking import Booking


class ManageLinkQuerySet(models.QuerySet):
    def valid(self, at=None):
        """Links and access that have not ended."""
        return self.filter(revoked_at=None, expires_at__gt=at or timezone.now())

    def open(self, at=None):
        """Those that still open their booking, with what its pages show."""
        rows = self.valid(at).filter(booking__erased_at=None)
        return rows.select_related(
            "booking__practitioner",
            "booking__condition",
            "booking__location__clinic",
            "booking__asked_edition",
        ).defer("booking__asked_edition__document")


class ManageLink(models.Model):
    """One secret that opens one booking, of a link or of one browser's access: see bookings.manage_links.

    Only its SHA-256 is kept. Each mail carries a link of its own, so that a repeated mail never
    breaks an earlier one. All are revoked when the booking is moved or its contact changes.
    """

    booking = models.ForeignKey(Booking, on_delete=models.CASCADE, related_name="links")
    digest = models.CharField(max_length=64, unique=True)
    browser = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="SHA-256 of the secret in the session of the visiting browser. Empty: a link.",
    )
    mailed = models.BooleanField(
        default=True,
        db_default=True,
        help_text="It came, or the access began, with a mail. Else whoever asked typed the address.",
    )
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    PERSONAL = ("digest", "browser")

    objects = ManageLinkQuerySet.as_manager()

    class Meta:
        ordering = ["-issued_at"]
        indexes = [models.Index(fields=["browser"], name="link_browser")]

    def __str__(self):
        kind = "Access" if self.browser else "Link"
        return f"{kind} of {self.booking_id}, issued {self.issued_at:%d %b %Y %H:%M}"
