"""How staff sign in: no sign-up, encrypted second factors, demo accounts on loopback only."""

import base64
import hashlib
import logging
from smtplib import SMTPException

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.core.exceptions import ValidationError

from . import mail_addresses, roles
from .models import Clinic

log = logging.getLogger(__name__)

DEMO_GROUP = "Demo account"


class StaffAccounts(DefaultAccountAdapter):
    """Accounts are made by a manager in the admin; nobody signs up."""

    def is_open_for_signup(self, request):
        return False

    def clean_email(self, email):
        """What the sign-in library's forms take; see clinic.mail_addresses."""
        return mail_addresses.normal(email)

    def get_from_email(self):
        """The clinic, as on every mail of ours; allauth's own default is nobody."""
        return Clinic.objects.current().sender

    def send_mail(self, template_prefix, email, context):
        """A mail server that is down breaks no page: the second factor is set up all the same.

        Nothing goes to an account's address that is no plain one.
        """
        try:
            super().send_mail(template_prefix, mail_addresses.normal(email), context)
        except (OSError, SMTPException, ValidationError) as error:
            log.error("an account mail was not sent: %s", type(error).__name__)


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
