"""The people who see patients."""

from django.conf import settings
from django.db import models
from django.db.models import Exists, Q

from .. import public_words
from .visit_types import WAYS, VisitType, Way, all_visit_types, validate_visit_types


class PractitionerQuerySet(models.QuerySet):
    def active(self):
        return self.filter(archived=False)

    def bookable(self, visit_type=None):
        """Keep who takes bookings now; with ``visit_type``, who takes that kind."""
        found = self.active().filter(accepts_bookings=True)
        if visit_type:
            # No database of ours looks into lists, but both compare what stands at one place.
            places = [(f"visit_types__{place}", visit_type) for place in range(len(VisitType))]
            found = found.filter(Q(*places, _connector=Q.OR))
        return found

    def who_see(self, condition=None, visit_type=None):
        """Keep who takes bookings for a condition: those it names, or if nobody, everybody."""
        found = self.bookable(visit_type)
        if condition is None:
            return found
        named = condition.practitioners.order_by()
        return found.filter(Q(pk__in=named.values("pk")) | ~Exists(named))


class Practitioner(models.Model):
    """Who gives consultations. Archived, never deleted, once a booking names them."""

    name = models.CharField(max_length=120, help_text="With title, for example Dr. Elena Marlow.")
    slug = models.SlugField(unique=True)
    credentials = models.CharField(max_length=60, blank=True, help_text="For example MD.")
    role = models.CharField(max_length=80, blank=True, help_text="For example Neurologist.")
    bio = models.TextField(max_length=1500, blank=True)
    languages = models.CharField(
        max_length=120, default="English", help_text="Separated by commas."
    )
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        help_text="The sign-in of this person, if they have one.",
    )
    license_number = models.CharField("license", max_length=60, blank=True)
    license_checked_on = models.DateField(
        null=True, blank=True, help_text="Needed to sign medical text; no older than two years."
    )
    visit_types = models.JSONField(
        "ways to meet", default=all_visit_types, blank=True, validators=[validate_visit_types]
    )
    accepts_bookings = models.BooleanField(default=True)
    archived = models.BooleanField(
        default=False, help_text="Left the clinic. Past bookings stay; their sign-in ends."
    )
    position = models.PositiveSmallIntegerField(default=0, help_text="Order on the site.")

    PERSONAL = ()

    PUBLIC_WORDS = ("role", "credentials", "bio", "languages")

    objects = PractitionerQuerySet.as_manager()

    class Meta:
        ordering = ["position", "name"]

    def __str__(self):
        return self.name

    def clean(self):
        public_words.require_sound(self)

    @property
    def ways(self) -> list[Way]:
        return [way for visit_type, way in WAYS.items() if visit_type in self.visit_types]
