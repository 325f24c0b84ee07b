"""What the record of changes says about sign-ins: who came in, who was refused, what proves them.

No password, code or address. A crowd that guesses cannot fill the table: of one kind about one
account an hour holds so many entries, and the last of them says that more are left out.
"""

from datetime import timedelta

from allauth.account.internal.flows.login import record_authentication
from allauth.account.signals import password_changed, password_reset, password_set
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import (
    authentication_failed,
    authenticator_added,
    authenticator_removed,
    authenticator_reset,
)
from django.dispatch import receiver
from django.utils import timezone

from clinic import audit
from clinic.models import Action, AuditEvent

from . import sessions

MOST_AN_HOUR = 20
NOBODY = "somebody"  # who was refused need not be whose account it is


def note(action, user, *, by, **details):
    """Record ``action`` about an account, unless that happened too often in the last hour."""
    same = AuditEvent.objects.filter(
        object_type=user._meta.label_lower,
        object_key=str(user.pk),
        action=action,
        at__gt=timezone.now() - timedelta(hours=1),
    )
    number = same.count()
    if number < MOST_AN_HOUR:
        if number == MOST_AN_HOUR - 1:
            details["more"] = "not recorded for up to an hour"
        audit.record(action, user, by=by, details=details)


@receiver([password_changed, password_set])
def _password_changed(request, user, **kwargs):
    note(Action.STAFF_PASSWORD_CHANGED, user, by=user)
    sessions.end(user, by=user, but=request.session.session_key)


@receiver(password_reset)
def _password_reset(request, user, **kwargs):
    note(Action.STAFF_PASSWORD_RESET, user, by=user)
    sessions.end(user, by=user)


@receiver(authentication_failed)
def _wrong_code(request, user, **kwargs):
    by = request.user if request.user.is_authenticated else NOBODY
    note(Action.STAFF_REFUSED, user, by=by, why="wrong code")


@receiver(authenticator_added)
def _factor_added(request, user, authenticator, **kwargs):
    note(Action.SECOND_FACTOR_ADDED, user, by=user, kind=authenticator.type)
    if authenticator.type != Authenticator.Type.RECOVERY_CODES:
        # It was proved a moment ago, by its code or its signature: no second code is asked for.
        facts = {"id": authenticator.pk, "type": authenticator.type}
        record_authentication(request, user, "mfa", **facts)


@receiver([authenticator_removed, authenticator_reset])
def _factor_removed_or_renewed(signal, user, authenticator, **kwargs):
    removed = signal is authenticator_removed
    action = Action.SECOND_FACTOR_REMOVED if removed else Action.SECOND_FACTOR_RENEWED
    note(action, user, by=user, kind=authenticator.type)
