"""What a mail address is, for everybody who is written to: patients, the desk and staff.

Only addresses that mean one mailbox however they are read: what is stored is, letter by letter,
what stands in the envelope of the mail, and what the limits count. Others are legal and refused:
Python's mail parser decodes an encoded word in an address, so "=?utf-8?q?pat?=@b.example" is
pat@b.example to the mail server, and "=00" there is a NUL byte.
"""

import re

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

_LONGEST, _LONGEST_LOCAL_PART = 254, 64  # RFC 5321, section 4.5.3.1; RFC 3696, erratum 1690
_LOCAL_PART = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*", re.ASCII)
_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+(?![0-9]+\Z)[a-z0-9][a-z0-9-]*[a-z0-9]")

NOT_AN_ADDRESS = _("Enter an e-mail address like name@example.com")
NOT_A_LOCAL_PART = _(
    "Before the @ we can use the letters a to z, digits, and signs like . + - _ but no spaces, "
    "quotation marks or “=?”"
)


def normal(address):
    """Return the one spelling of an address: its domain in ASCII and in small letters.

    Raises ValidationError for whatever is not one plain address.
    """
    local, at, domain = str(address).rpartition("@")
    try:
        domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise ValidationError(NOT_AN_ADDRESS, code="invalid") from error
    spelled = f"{local}@{domain}"
    if not (at and local and len(spelled) <= _LONGEST and _DOMAIN.fullmatch(domain)):
        raise ValidationError(NOT_AN_ADDRESS, code="invalid")
    plain = _LOCAL_PART.fullmatch(local) and "=?" not in local
    if not plain or len(local) > _LONGEST_LOCAL_PART:
        raise ValidationError(NOT_A_LOCAL_PART, code="local_part")
    return spelled


def as_stored(text):
    """Return how an address that somebody typed would be stored, to look for it or compare."""
    try:
        return normal(text.strip())
    except ValidationError:
        return text


def validate(address):
    """Raise ValidationError for what has no normal() spelling."""
    normal(address)


class MailAddressFormField(forms.EmailField):
    """Takes one plain address and gives its normal() spelling."""

    default_validators = [validate]

    def clean(self, value):
        value = super().clean(value)
        return normal(value) if value else value


class MailAddressField(models.EmailField):
    """A column of such addresses. To migrations it is Django's own: the difference is not in SQL."""

    default_validators = [validate]

    def clean(self, value, model_instance):
        value = super().clean(value, model_instance)
        return normal(value) if value else value

    def formfield(self, **kwargs):
        return super().formfield(**{"form_class": MailAddressFormField, **kwargs})

    def deconstruct(self):
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.EmailField", args, kwargs
