"""The people who see patients, and the ways to meet them."""

from django.conf import settings
from django.db import models
from django.db.models import Exists, Q
from django.utils.translation import gettext_lazy as _

from .. import public_words


class VisitType(models.TextChoices):
    """How a consultation takes place."""

    IN_PERSON = "in_person", _("At the clinic")
    VIDEO = "video", _("Video call")
    PHONE = "phone", _("Phone call")


class PractitionerQuerySet(models.QuerySet):
    def active(self):
        return self.filter(archived=False)

    def bookable(self, visit_type=None):
        """Who takes bookings now; with ``visit_type``, who takes that kind."""
        found = self.active().filter(accepts_bookings=True)
        if visit_type:
            found = found.filter(**{Practitioner.VISIT_TYPE_FIELDS[visit_type]: True})
        return found

    def who_see(self, condition=None, visit_type=None):
        """Who takes bookings for a condition: those it names, or everybody where it names nobody."""
        found = self.bookable(visit_type)
        if condition is None:
            return found
        named = condition.practitioners.order_by()
        return found.filter(Q(pk__in=named.values("pk")) | ~Exists(named))


class Practitioner(models.Model):
    """Who gives consultations. Archived, never deleted, once a booking names them."""

    VISIT_TYPE_FIELDS = {
        VisitType.IN_PERSON: "sees_in_person",
        VisitType.VIDEO: "sees_by_video",
        VisitType.PHONE: "sees_by_phone",
    }

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
    sees_in_person = models.BooleanField("at the clinic", default=True)
    sees_by_video = models.BooleanField("by video", default=True)
    sees_by_phone = models.BooleanField("by phone", default=True)
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
    def visit_types(self):
        """The VisitType values this person offers."""
        return [kind for kind, field in self.VISIT_TYPE_FIELDS.items() if getattr(self, field)]
