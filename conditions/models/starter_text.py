"""What a release said in each starter text that a clinic has."""

from django.conf import settings
from django.db import models


class StarterText(models.Model):
    """Which text of the starter's release this site has decided about: loaded, taken or kept.

    ``digest`` is that of the release's text; a later release with another text is asked about.
    """

    key = models.CharField(max_length=80, unique=True)
    digest = models.CharField(max_length=64)
    decided_at = models.DateTimeField()
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    PERSONAL = ()

    class Meta:
        default_permissions = ()
        ordering = ["key"]

    def __str__(self):
        return self.key
