"""Who gets in at all, the verbs that end a sign-in, and which rows the admin shows to whom."""

from allauth.account.auth_backends import AuthenticationBackend
from django.contrib.auth.models import Permission
from django.db import transaction
from django.db.models import Exists, Q

from clinic import audit
from clinic.models import Practitioner

from . import roles, sessions


class StaffBackend(AuthenticationBackend):
    """The permissions of one's roles; those of an archived practitioner's own role are none.

    By whatever door a practitioner was archived, their sign-in reads no patients any more.
    """

    def _get_group_permissions(self, user):
        left = Practitioner.objects.filter(user=user, archived=True)
        groups = user.groups.exclude(Q(name=roles.PRACTITIONER), Exists(left))
        return Permission.objects.filter(group__in=groups)


@transaction.atomic
def archive(practitioner, *, by):
    """Take a practitioner off the site and end their sign-in; their bookings stay.

    Returns the user who can no longer sign in, or None: nobody ends their own sign-in by this, and
    only a superuser that of a superuser.
    """
    practitioner.archived = True
    practitioner.save(update_fields=["archived"])
    user = practitioner.user
    if user is None or not user.is_active or user == by:
        return None
    if user.is_superuser and not by.is_superuser:
        return None
    deactivate(user, by=by)
    return user


@transaction.atomic
def bring_back(practitioner, *, by):
    """Show a practitioner on the site again. Their sign-in stays as it is."""
    practitioner.archived = False
    practitioner.save(update_fields=["archived"])


@transaction.atomic
def deactivate(user, *, by):
    """End a sign-in for good: giving it back opens none of its old sessions."""
    user.is_active = False
    user.save(update_fields=["is_active"])
    audit.record(audit.Action.STAFF_DEACTIVATED, user, by=by)
    sessions.end(user, by=by)


class OwnRows:
    """For a ModelAdmin: a practitioner meets their own rows only, in lists and by address.

    ``owner`` is the path to the practitioner's user.
    """

    owner = "practitioner__user"

    def get_queryset(self, request):
        rows = super().get_queryset(request)
        if roles.sees_every_practitioner(request.user):
            return rows
        return rows.filter(**{self.owner: request.user})


class ReadOnly:
    """For a ModelAdmin: its rows are shown, and written elsewhere."""

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False
