"""How often something happened lately; rows hold no address, only a keyed hash of it."""

from django.db import models


class RateCount(models.Model):
    """When one thing happened lately, oldest first: what bookings.rate_limits counts.

    The key is a keyed digest, so that no address, phone number or network can be read from it.
    """

    key = models.CharField(max_length=64, primary_key=True)
    times = models.JSONField(default=list, help_text="Seconds since 1970.")
    until = models.DateTimeField(db_index=True, help_text="No limit looks at it after this.")

    PERSONAL = ("key",)
    NOT_PERSONAL = ("times",)

    class Meta:
        ordering = ["until"]

    def __str__(self):
        return f"{len(self.times)} until {self.until:%d %b %Y %H:%M}"
