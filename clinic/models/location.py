"""A place of the clinic: where it is, how to reach it, and on which clock it lives."""

import zoneinfo

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from phonenumber_field.modelfields import PhoneNumberField

from .. import errors, public_words
from ..mail_addresses import MailAddressField
from .clinic import Clinic

# By country: a number that people can call and text, day and night, without charge.
CRISIS_LINES = {"US": "988"}


def validate_time_zone(value):
    """Raise ValidationError unless ``value`` is an IANA time zone name."""
    if value not in zoneinfo.available_timezones():
        raise ValidationError(
            f"“{value}” is not a time zone. Write a name such as America/Los_Angeles."
        )


class LocationManager(models.Manager):
    """Read a place together with its clinic, in one query: whoever needs one needs the other."""

    def get_queryset(self):
        return super().get_queryset().select_related("clinic")

    def current(self):
        """Return the one place; made with neutral values when a fresh database has none yet.

        Its phone number is kept for the pages that cannot ask the database.
        """
        defaults = {"clinic": Clinic.objects.current}  # Django calls it if it makes a row
        place = self.first() or self.get_or_create(pk=1, defaults=defaults)[0]
        errors.remember_phone(place)
        return place


class Location(models.Model):
    """Address, phone, clock and front desk of a place; hours, closures and bookings are of one.

    There is one, edited on the clinic's page. What holds for every place is in Clinic.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    clinic = models.ForeignKey(
        Clinic, on_delete=models.PROTECT, related_name="locations", editable=False
    )
    phone = PhoneNumberField(blank=True)
    desk_email = MailAddressField(
        "front desk e-mail", blank=True, help_text="Where notices of new requests go."
    )
    street = models.CharField(max_length=120, blank=True)
    city = models.CharField(max_length=80, blank=True)
    region = models.CharField(max_length=80, blank=True)
    postal_code = models.CharField(max_length=20, blank=True)
    country = models.CharField(
        max_length=2, default="US", help_text="ISO 3166 code, for example US."
    )
    access_note = models.CharField(
        max_length=200, blank=True, help_text="Step-free entrance, parking, nearest stop."
    )
    time_zone = models.CharField(
        max_length=64, default="America/Los_Angeles", validators=[validate_time_zone]
    )
    # Whether somebody has seen the zone and saved it: clinic.operations.setup.
    zone_confirmed = models.BooleanField(default=False, db_default=False, editable=False)

    PERSONAL = ()

    PUBLIC_WORDS = ("access_note",)

    objects = LocationManager()

    class Meta:
        base_manager_name = "objects"
        default_permissions = ()  # whoever may change the clinic changes it, on one page
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="location_is_one_row")]

    def __str__(self):
        return self.city or str(self.clinic)

    def clean(self):
        public_words.require_sound(self)

    @property
    def zone(self):
        """Its time zone as a ZoneInfo."""
        return zoneinfo.ZoneInfo(self.time_zone)

    @property
    def crisis_line(self):
        """Who answers thoughts of suicide, beside the emergency number; empty where unknown."""
        return CRISIS_LINES.get(self.country, "")
