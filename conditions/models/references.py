"""What pages share: sources, and blocks of text."""

from django.db import models

from ..fields import ProseField


class Reference(models.Model):
    """A source, held once and cited by pages. Its status shows wherever it is cited."""

    class Kind(models.TextChoices):
        TRIAL = "trial", "Trial"
        REVIEW = "review", "Review"
        GUIDELINE = "guideline", "Guideline"
        LABEL = "label", "Product label"
        LEAFLET = "leaflet", "Patient leaflet"
        SAFETY_NOTICE = "safety_notice", "Safety notice"
        OTHER = "other", "Other"

    class Status(models.TextChoices):
        CURRENT = "current", "Current"
        SUPERSEDED = "superseded", "Superseded"
        RETIRED = "retired", "Retired: no longer kept up to date"
        NOT_REREAD = "not_reread", "Status not re-read"

    key = models.SlugField(unique=True, help_text="Cited in text as [ref:key].")
    citation = models.TextField(max_length=600)
    year = models.PositiveSmallIntegerField()
    url = models.URLField(max_length=300, blank=True)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.CURRENT)
    checked_on = models.DateField(null=True, blank=True)

    PERSONAL = ()

    class Meta:
        ordering = ["key"]

    def __str__(self):
        return self.key


class SharedBlock(models.Model):
    """Text held once and shown on many pages: boxed warning, contraindications, after-care."""

    key = models.SlugField(unique=True)
    title = models.CharField(max_length=120)
    body = ProseField()
    off_label_only = models.BooleanField(default=False)
    position = models.PositiveSmallIntegerField(default=0)

    PERSONAL = ()

    class Meta:
        ordering = ["position", "key"]

    def __str__(self):
        return self.title
