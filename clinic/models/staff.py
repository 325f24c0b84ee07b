"""Where staff are signed in."""

from django.conf import settings
from django.db import models


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
