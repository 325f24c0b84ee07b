"""The one mail address of a staff account: ``User.email``.

The sign-in library looks addresses up in rows of its own. They repeat the account's address, and
only change() and mirror() write them.
"""

from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core import signing
from django.db import transaction
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac

from clinic import audit
from clinic.models import User

LINK_LASTS = 3600  # seconds
_SALT = "clinic.staff.addresses"


class AddressTaken(Exception):
    """Another account has this address."""

    def __init__(self):
        super().__init__("Another account has this address.")
        self.message = self.args[0]


def owners(address):
    """Return the active accounts with this address, whatever the case of its letters."""
    return list(User.objects.filter(email__iexact=address, is_active=True)) if address else []


def taken(address, user):
    """Return whether an account other than ``user`` has this address."""
    return bool(address) and (
        User.objects.filter(email__iexact=address).exclude(pk=user.pk).exists()
    )


@transaction.atomic
def change(user, address, *, by):
    """Make ``address`` the account's only one, and tell the old one.

    Raises AddressTaken. It has to be called in a request: the library's mails name its place.
    """
    User.objects.select_for_update().get(pk=user.pk)  # two changes of one account wait here
    if taken(address, user):
        raise AddressTaken
    before, user.email = user.email, address
    user.save(update_fields=["email"])
    mirror(user)
    audit.record(audit.Action.STAFF_ADDRESS_CHANGED, user, by=by)
    if before:
        words = {"from_email": before, "to_email": address or "no address"}
        get_adapter().send_notification_mail("account/email/email_changed", user, words, before)


@transaction.atomic
def mirror(user):
    """Make the library's rows repeat the account's address; True unless another account has it."""
    address = user.email.lower()
    EmailAddress.objects.filter(user=user).exclude(email=address).delete()
    if taken(address, user):
        EmailAddress.objects.filter(user=user).delete()
        return False
    if address:
        # By taken(), a row of somebody else with this address repeats nothing.
        EmailAddress.objects.filter(email=address).exclude(user=user).delete()
        EmailAddress.objects.update_or_create(
            user=user, email=address, defaults={"primary": True, "verified": True}
        )
    return True


def disagreements():
    """Return names of accounts that differ from their rows, or whose address is shared."""
    rows = EmailAddress.objects.select_related("user")
    wrong = {
        row.user.username
        for row in rows
        if not (row.primary and row.verified and row.email == row.user.email.lower())
    }
    seen = {}
    for name, address in User.objects.exclude(email="").values_list("username", "email"):
        wrong |= {name, seen[address.lower()]} if address.lower() in seen else set()
        seen[address.lower()] = name
    return sorted(wrong)


@transaction.atomic
def ask(user, address):
    """Send ``address`` a link by which ``user`` makes it theirs. Raises AddressTaken."""
    if taken(address, user):
        raise AddressTaken
    token = signing.dumps([user.pk, address, _standing(user)], salt=_SALT)
    link = settings.SITE_URL + reverse("confirm_address", args=[token])
    audit.record(audit.Action.STAFF_ADDRESS_ASKED, user, by=user)
    get_adapter().send_mail("account/email/new_address", address, {"user": user, "link": link})


def asked(token, user):
    """Return the address that ``user`` asked for by this link, or None: it ended, or is another's.

    It ends with every change of the account's address or password.
    """
    try:
        pk, address, standing = signing.loads(token, salt=_SALT, max_age=LINK_LASTS)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    mine = pk == user.pk and constant_time_compare(standing, _standing(user))
    return address if mine else None


def _standing(user):
    return salted_hmac(_SALT, f"{user.email}|{user.password}", algorithm="sha256").hexdigest()
