"""How staff sign in: no sign-up, encrypted second factors, demo accounts on loopback only."""

import logging

from allauth.core import context as request_of_library
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.contrib.sites.shortcuts import get_current_site
from django.core.exceptions import ValidationError

from clinic import account_mails, encryption, mail_addresses
from clinic.models import Clinic

from . import roles
from .sign_in import CarefulSignIn

log = logging.getLogger(__name__)

DEMO_GROUP = "Demo account"


class StaffAccounts(CarefulSignIn):
    """Accounts are made by a manager in the admin; nobody signs up."""

    def is_open_for_signup(self, request):
        return False

    def clean_email(self, email):
        """Check an address as the sign-in library's forms take it; see clinic.mail_addresses."""
        return mail_addresses.normal(email)

    def get_from_email(self):
        """Return the clinic, as on every mail of ours; allauth's own default is nobody."""
        return Clinic.objects.current().sender

    def send_mail(self, template_prefix, email, context):
        """Into the outbox: no mail server's trouble breaks a page.

        Nothing goes to an account's address that is no plain one.
        """
        try:
            address = mail_addresses.normal(email)
        except ValidationError:
            log.error("an account mail was not sent: its address is no plain one")
            return
        request = request_of_library.request
        here = {"request": request, "email": address, "current_site": get_current_site(request)}
        mail = self.render_mail(template_prefix, address, here | context)
        account_mails.queue(mail, template_prefix.rpartition("/")[2])


class EncryptedSecondFactors(DefaultMFAAdapter):
    """Encrypt TOTP secrets and recovery seeds, which allauth stores in clear text by default."""

    def encrypt(self, text):
        return encryption.encrypt(text, "second factor")

    def decrypt(self, encrypted_text):
        return encryption.decrypt(encrypted_text, "second factor")


def may_skip_second_factor(user):
    """Return whether this is a demo account of the starter, on a site only loopback reaches."""
    return settings.DEMO_ACCOUNTS_SKIP_SECOND_FACTOR and DEMO_GROUP in roles.names_of(user)
