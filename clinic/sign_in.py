"""How staff sign in: no sign-up, encrypted second factors, demo accounts on loopback only."""

import base64
import hashlib

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings

from . import roles

DEMO_GROUP = "Demo account"


class StaffAccounts(DefaultAccountAdapter):
    """Accounts are made by a manager in the admin; nobody signs up."""

    def is_open_for_signup(self, request):
        return False


def _cipher():
    """Encrypts with a key made from SECRET_KEY; reads what the fallback keys wrote, too."""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet(
        Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"second factor:" + key.encode()).digest()))
        for key in keys
    )


class EncryptedSecondFactors(DefaultMFAAdapter):
    """allauth stores TOTP secrets and recovery seeds in clear text unless told otherwise."""

    def encrypt(self, text):
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text):
        return _cipher().decrypt(encrypted_text.encode()).decode()


def may_skip_second_factor(user):
    """Whether this is one of the starter's demo accounts on a site that only loopback reaches."""
    return settings.DEMO_ACCOUNTS_SKIP_SECOND_FACTOR and DEMO_GROUP in roles.names_of(user)
