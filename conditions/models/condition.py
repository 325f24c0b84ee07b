"""A condition that the clinic treats, its red flags, and who may sign texts about it."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from clinic.models import Practitioner


def _source():
    """Return a field for where a quick fact is known from; a key becomes a link."""
    return models.CharField(
        max_length=120,
        blank=True,
        default="",
        db_default="",
        help_text="For example “product label [ref:key]”, or “clinical experience”.",
    )


def _on_map(name):
    return models.PositiveSmallIntegerField(name, null=True, blank=True)


class Condition(models.Model):
    """Language-neutral clinical record of a complaint and its treatment; not anyone's diagnosis."""

    class Status(models.TextChoices):
        APPROVED = "approved", "Approved by the FDA for this use"
        OFF_LABEL = "off_label", "Off-label"

    class Service(models.TextChoices):
        ASSESSMENT = "assessment", "Assessment for treatment"
        CONSULTATION = "consultation", "Consultation, not a treatment booking"
        ADVICE = "advice", "Advice only: the clinic does not treat it with toxin"

    class Evidence(models.TextChoices):
        STRONG = "strong", _("Strong")
        MODERATE = "moderate", _("Moderate")
        MIXED = "mixed", _("Mixed")
        LIMITED = "limited", _("Limited")
        VERY_LIMITED = "very_limited", _("Very limited")
        AGAINST = "against", _("Guideline advises against")

    class MapSide(models.TextChoices):
        LEFT = "left", "Left"
        RIGHT = "right", "Right"

    MAP_SIZE = 360, 540  # width and height of the figure on the front page

    BARS = {
        Evidence.STRONG: 4,
        Evidence.MODERATE: 3,
        Evidence.MIXED: 2,
        Evidence.LIMITED: 2,
        Evidence.VERY_LIMITED: 1,
        Evidence.AGAINST: 1,
    }

    slug = models.SlugField(unique=True)
    position = models.PositiveSmallIntegerField(default=0)
    name = models.CharField(max_length=80, help_text="Plain name.")
    medical_name = models.CharField(max_length=120, blank=True)
    synonyms = models.CharField(max_length=300, blank=True, help_text="Separated by semicolons.")
    body_area = models.CharField(max_length=40, blank=True)
    summary = models.CharField(max_length=80, help_text="One line for cards and lists.")
    status = models.CharField(max_length=12, choices=Status.choices)
    service = models.CharField(max_length=12, choices=Service.choices)
    product = models.CharField(
        max_length=80, blank=True, help_text="Product the approval is for. Empty when off-label."
    )
    approval_text = models.TextField(max_length=500)
    approval_year = models.PositiveSmallIntegerField(null=True, blank=True)
    evidence = models.CharField(max_length=12, choices=Evidence.choices)
    evidence_note = models.CharField(max_length=200, blank=True)
    specialty = models.CharField(max_length=60, blank=True)
    adults_only = models.BooleanField(default=True)
    consultation_minutes = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Empty: the clinic's usual length."
    )
    onset = models.CharField("starts to work", max_length=40, blank=True)
    onset_note = models.CharField(max_length=100, blank=True)
    onset_source = _source()
    peak = models.CharField(max_length=40, blank=True)
    peak_note = models.CharField(max_length=100, blank=True)
    peak_source = _source()
    duration = models.CharField("lasts about", max_length=40, blank=True)
    duration_note = models.CharField(max_length=100, blank=True)
    duration_source = _source()
    session = models.CharField("a session", max_length=40, blank=True)
    session_note = models.CharField(max_length=100, blank=True)
    session_source = _source()
    repeat = models.CharField("repeated", max_length=40, blank=True)
    repeat_note = models.CharField(max_length=100, blank=True)
    repeat_source = _source()
    practitioners = models.ManyToManyField(
        Practitioner, blank=True, related_name="conditions", help_text="Who sees people with it."
    )
    related = models.ManyToManyField("self", blank=True, symmetrical=False)
    accepts_bookings = models.BooleanField(default=True)
    map_x = _on_map("mark, from the left")
    map_y = _on_map("mark, from the top")
    map_side = models.CharField(
        "side of the label", max_length=5, choices=MapSide.choices, blank=True
    )
    map_label_y = _on_map("label, from the top")

    PERSONAL = ()

    class Meta:
        ordering = ["position", "name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status="approved", approval_year__isnull=False)
                | Q(status="off_label", approval_year=None, product=""),
                name="condition_approval_matches_status",
                violation_error_message=(
                    "An approved use needs its year; an off-label use has no year and no product."
                ),
            ),
            models.CheckConstraint(
                condition=Q(map_side="", map_x=None, map_y=None, map_label_y=None)
                | Q(
                    map_side__in=["left", "right"],
                    map_x__isnull=False,
                    map_y__isnull=False,
                    map_label_y__isnull=False,
                    map_x__range=(0, 360),
                    map_y__range=(0, 540),
                    map_label_y__range=(0, 540),
                ),
                name="condition_map_place_is_whole",
                violation_error_message=(
                    "A place on the body map needs its mark, side and label, inside the figure of "
                    "360 by 540; or leave all four empty."
                ),
            ),
        ]

    def __str__(self):
        return self.name

    @property
    def form(self):
        """How pages show it: "approved", "off_label", or "advice" where we do not treat it."""
        return "advice" if self.service == self.Service.ADVICE else self.status

    @property
    def evidence_bars(self):
        return self.BARS[self.evidence]


class SigningRight(models.Model):
    """A practitioner may put their name to the pages about a condition; without one, to guides.

    Managers give and take it. Editors cannot: whoever writes a text does not choose its reader.
    """

    practitioner = models.ForeignKey(
        Practitioner, on_delete=models.CASCADE, related_name="signing_rights"
    )
    condition = models.ForeignKey(
        Condition,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="signing_rights",
        help_text="Empty: guides, which speak of many conditions at once.",
    )

    class Meta:
        verbose_name = "right to sign"
        verbose_name_plural = "pages that they may sign and mark as reviewed"
        ordering = ["condition__position", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["practitioner", "condition"],
                name="signing_right_once_a_condition",
                violation_error_message="They have this right already.",
            ),
            models.UniqueConstraint(
                fields=["practitioner"],
                condition=Q(condition=None),
                name="signing_right_once_for_guides",
                violation_error_message="They have this right already.",
            ),
        ]

    def __str__(self):
        return str(self.condition or "Guides")

    @property
    def about(self):
        return self.condition.slug if self.condition else "guides"


class RedFlag(models.Model):
    """A typed warning sign. Without a condition it is shared by all pages.

    A shared one is a sign after an injection; with ``asked_before_booking`` it is instead asked before booking of
    people who are not sure what their concern is.
    """

    class Level(models.TextChoices):
        EMERGENCY = "emergency", "Emergency"
        URGENT = "urgent", "Urgent, the same day"
        SEE_DOCTOR = "see_doctor", "See a doctor"

    condition = models.ForeignKey(
        Condition,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="red_flags",
        help_text="Empty: shown on every page, as a sign after an injection.",
    )
    level = models.CharField(max_length=12, choices=Level.choices)
    text = models.CharField(max_length=300, help_text="Continues “Call 911 if you have …”.")
    asked_before_booking = models.BooleanField("ask before booking", default=False)
    position = models.PositiveSmallIntegerField(default=0)

    PERSONAL = ()

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(asked_before_booking=False) | Q(level="emergency"),
                name="red_flag_asked_is_emergency",
                violation_error_message="Only emergency signs are asked before booking.",
            )
        ]

    def __str__(self):
        return self.text
