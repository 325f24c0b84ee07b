"""How the sign-in library asks, and what it remembers: fresh proof, tries, known browsers."""

import time

from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.core.exceptions import ReauthenticationRequired
from allauth.core.internal import ratelimit
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.core.exceptions import ValidationError
from django.db.models import Q

from clinic.models import Action, User

from . import addresses, devices
from .record import NOBODY, note

# What a refusal does for a known name takes this long for an unknown one too (seconds).
REFUSING_TAKES = 0.05


def accounts(credentials):
    """Return the accounts that somebody may mean by what they typed as name or address."""
    names = {credentials.get(kind) for kind in ("username", "email")} - {None, ""}
    found = Q()
    for name in names:
        found |= Q(username__iexact=name) | Q(email__iexact=name)
    return list(User.objects.filter(found)) if names else []


def proved_lately(request):
    """Return whether this session just proved the account's second factor, else its password."""
    wanted = "mfa" if is_mfa_enabled(request.user) else "password"
    return any(
        entry.get("method") == wanted
        and time.time() - entry["at"] < app_settings.REAUTHENTICATION_TIMEOUT
        for entry in get_authentication_records(request, request.user)
    )


class CarefulSignIn(DefaultAccountAdapter):
    """The part of the account adapter that is about proof, tries and the record."""

    def pre_authenticate(self, request, **credentials):
        """Count a try: apart in a browser that the account knows, else with those of strangers."""
        known = request.COOKIES.get(devices.COOKIE) and accounts(credentials)
        bucket = devices.bucket(request, known or [])
        try:
            if bucket is None:
                super().pre_authenticate(request, **credentials)
                return
            self._login_failed_rl_usage = ratelimit.consume(
                request, app="allauth.account", action="login_failed_known", key=bucket
            )
            if not self._login_failed_rl_usage:
                raise self.validation_error("too_many_login_attempts")
        except ValidationError:
            self._refused(request, credentials, "too many tries")
            raise

    def authentication_failed(self, request, **credentials):
        self._refused(request, credentials, "wrong password")

    def pre_login(self, request, user, **kwargs):
        if not user.is_active:
            note(Action.STAFF_REFUSED, user, by=NOBODY, why="inactive account")
        return super().pre_login(request, user, **kwargs)

    def post_login(self, request, user, **kwargs):
        response = super().post_login(request, user, **kwargs)
        addresses.mirror(user)
        devices.remember(request, response, user)
        proofs = [
            entry.get("type") or entry["method"]
            for entry in get_authentication_records(request, user)
        ]
        note(Action.STAFF_SIGNED_IN, user, by=user, proofs=proofs)
        return response

    def is_reauthentication_required(self, *, app, **kwargs):
        """Second factors change after the second factor, and the first one in one sitting.

        Elsewhere a password or factor that was given for that very purpose will do.
        """
        if app != "allauth.mfa":
            return super().is_reauthentication_required(app=app, **kwargs)
        if not proved_lately(self.request):
            raise ReauthenticationRequired
        return False

    def get_reauthentication_methods(self, user):
        """Ask for the second factor first, if there is one; a key before codes, without an app."""
        ways = super().get_reauthentication_methods(user)
        key_first = not is_mfa_enabled(user, [Authenticator.Type.TOTP])
        order = {"mfa_reauthenticate:webauthn": 0 if key_first else 2, "reauthenticate": 3}
        return sorted(ways, key=lambda way: order.get(way["id"], 1))

    def _refused(self, request, credentials, why):
        began = time.monotonic()
        by = request.user if request.user.is_authenticated else NOBODY
        for user in accounts(credentials):
            note(Action.STAFF_REFUSED, user, by=by, why=why)
        time.sleep(max(0, began + REFUSING_TAKES - time.monotonic()))
