"""Who may do what: one table. Staff roles are Django groups with exactly these permissions."""

from django.contrib.auth.models import Group, Permission
from django.db import transaction

MANAGER = "Manager"
FRONT_DESK = "Front desk"
PRACTITIONER = "Practitioner"
EDITOR = "Editor"
REVIEWER = "Clinical reviewer"


def _rows(app, *models, may):
    """Return permissions to do each word of ``may`` ("view add") with each model of ``app``."""
    return {f"{app}.{verb}_{model}" for model in models for verb in may.split()}


READ_CONTENT = _rows(
    "conditions",
    "condition", "redflag", "reference", "sharedblock",
    "page", "section", "faq", "citation", "edition",
    may="view",
)  # fmt: skip
WRITE_CONTENT = (
    _rows("conditions", "condition", "reference", "sharedblock", "page", may="add change")
    | _rows("conditions", "redflag", "section", "faq", "citation", may="add change delete")
)  # fmt: skip
READ_DESK = _rows("bookings", "booking", "message", may="view")
RUN_DESK = _rows("bookings", "booking", may="add change") | {"bookings.answer_booking"}

ROLES = {
    MANAGER: (
        READ_CONTENT
        | READ_DESK
        | RUN_DESK
        | {"bookings.export_booking", "bookings.erase_booking"}
        | _rows("conditions", "signingright", may="view add delete")
        | _rows("clinic", "clinic", may="view change")
        | _rows("clinic", "practitioner", may="view add change")
        | _rows("clinic", "openinghours", "closure", may="view add change delete")
        | _rows("clinic", "auditevent", may="view")
        | _rows("clinic", "user", may="view add change")
        | _rows("auth", "group", may="view")
    ),
    FRONT_DESK: (
        READ_DESK
        | RUN_DESK
        | _rows("clinic", "practitioner", "openinghours", may="view")
        | _rows("clinic", "closure", may="view add")
    ),
    # Own rows only: the admin narrows every list to the practitioner whose sign-in it is.
    PRACTITIONER: (
        _rows("bookings", "booking", may="view")
        | _rows("clinic", "practitioner", may="view")
        | _rows("clinic", "openinghours", "closure", may="view add change delete")
    ),
    EDITOR: READ_CONTENT | WRITE_CONTENT | {"conditions.submit_page", "conditions.publish_edition"},
    REVIEWER: READ_CONTENT | {"conditions.sign_edition"},
}


@transaction.atomic
def apply_roles():
    """Make the groups of the table hold exactly their permissions; safe to run again.

    Raises LookupError when the table names a permission that no model has.
    """
    known = {
        f"{app}.{codename}": pk
        for pk, app, codename in Permission.objects.values_list(
            "pk", "content_type__app_label", "codename"
        )
    }
    missing = sorted(set().union(*ROLES.values()) - known.keys())
    if missing:
        raise LookupError(f"The table of roles names unknown permissions: {', '.join(missing)}.")
    for name, permissions in ROLES.items():
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.set(known[permission] for permission in permissions)


def names_of(user):
    """Return the names of a user's groups, read once for each user object (once a request)."""
    if not hasattr(user, "_role_names"):
        user._role_names = frozenset(user.groups.values_list("name", flat=True))
    return user._role_names


def sees_every_practitioner(user):
    """Return whether rows of all practitioners are this user's business, or only their own."""
    return user.is_superuser or not names_of(user).isdisjoint({MANAGER, FRONT_DESK})


def grantable_by(user):
    """Return the roles that ``user`` may give and take: all of the table for a manager, else none.

    Never the group of demo accounts, whose members may skip the second factor.
    """
    if user.is_superuser or MANAGER in names_of(user):
        return set(ROLES)
    return set()
