"""The record of who changed what. Verbs call record(); nothing else writes here."""

from django.utils import timezone

from .models import AuditEvent


def record(action, subject, *, by=None, details=None, at=None):
    """Write one AuditEvent about ``subject`` inside the caller's transaction.

    ``by`` is a staff user, or a word such as "patient" or "system". ``details`` is a small dict of
    codes and UTC times in ISO form; it must hold nothing that a patient typed.
    """
    is_user = hasattr(by, "get_username")
    return AuditEvent.objects.create(
        at=at or timezone.now(),
        actor=by if is_user else None,
        actor_label=(by.get_full_name() or by.get_username()) if is_user else (by or "system"),
        action=action,
        object_type=subject._meta.label_lower,
        object_key=str(getattr(subject, "reference", None) or subject.pk),
        details=details or {},
    )
