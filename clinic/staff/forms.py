"""Forms of the sign-in pages where ours ask for more than the library's own."""

from allauth.account import forms as account
from allauth.mfa.webauthn import forms as webauthn
from django import forms

from clinic.mail_addresses import MailAddressFormField
from clinic.models import Action

from . import addresses, passkeys
from .record import NOBODY, note


class AddressForm(forms.Form):
    """The new address of one's own account."""

    email = MailAddressFormField(label="New e-mail address")

    def __init__(self, *args, user, **kwargs):
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_email(self):
        address = self.cleaned_data["email"]
        if address.lower() == self.user.email.lower():
            raise forms.ValidationError("This is your address already.")
        if addresses.taken(address, self.user):
            raise forms.ValidationError(addresses.AddressTaken().message)
        return address


class ResetPasswordForm(account.ResetPasswordForm):
    """Who gets a link is who has this address on the account itself, at that address only."""

    def clean_email(self):
        address = super().clean_email()
        self.users = addresses.owners(address)
        return address

    def save(self, request, **kwargs):
        for user in self.users:
            addresses.mirror(user)  # the library's token covers its rows as well
            note(Action.STAFF_RESET_ASKED, user, by=NOBODY)
        return super().save(request, **kwargs)


class CountedKey:
    """For a form that takes the answer of a key: one that was copied is refused and recorded."""

    def clean_credential(self):
        answer = self.cleaned_data["credential"]
        authenticator = super().clean_credential()
        if not passkeys.count(authenticator, answer):
            note(Action.PASSKEY_COPIED, authenticator.user, by=NOBODY, key=authenticator.pk)
            raise forms.ValidationError(
                "This key is not taken: it answered as a copy of it would. "
                "Sign in another way, remove the key, and tell your manager."
            )
        return authenticator


class KeyAsSecondFactor(CountedKey, webauthn.AuthenticateWebAuthnForm):
    pass


class KeyAlone(CountedKey, webauthn.LoginWebAuthnForm):
    pass


class KeyAgain(CountedKey, webauthn.ReauthenticateWebAuthnForm):
    pass
