"""A page as editors work on it: sections, questions, citations."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from clinic.models import Practitioner

from ..fields import ProseField
from .condition import Condition, SigningRight
from .references import Reference


class PageQuerySet(models.QuerySet):
    def whole(self):
        """With all that their documents are built from, in a fixed number of queries."""
        return self.select_related("condition", "reviewer").prefetch_related(
            "sections", "faqs", "citations", "related",
            "condition__red_flags", "condition__related",
        )  # fmt: skip


class Page(models.Model):
    """What editors change: the words of a condition page or a guide. The public never reads it."""

    class Kind(models.TextChoices):
        CONDITION = "condition", "Condition page"
        GUIDE = "guide", "Guide"

    kind = models.CharField(max_length=12, choices=Kind.choices)
    slug = models.SlugField(help_text="The address of the page.")
    language = models.CharField(max_length=8, default="en")
    condition = models.ForeignKey(
        Condition, on_delete=models.PROTECT, null=True, blank=True, related_name="pages"
    )
    position = models.PositiveSmallIntegerField(default=0)
    title = models.CharField(max_length=120)
    summary = models.CharField(max_length=100, blank=True, help_text="Card line of a guide.")
    description = models.CharField(
        max_length=170, help_text="For search engines, 110 to 155 characters."
    )
    lead = models.TextField(
        max_length=400, help_text="Says the limit in the same breath as the benefit."
    )
    reviewer = models.ForeignKey(
        Practitioner, on_delete=models.PROTECT, null=True, blank=True, related_name="reviewed_pages"
    )
    last_reviewed = models.DateField(null=True, blank=True)
    next_review_due = models.DateField(null=True, blank=True)
    references: models.ManyToManyField = models.ManyToManyField(
        Reference, through="Citation", related_name="pages"
    )
    related = models.ManyToManyField(Condition, blank=True, related_name="+")
    updated_at = models.DateTimeField(auto_now=True)
    updated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        editable=False,
    )

    PERSONAL = ()

    objects = PageQuerySet.as_manager()

    class Meta:
        ordering = ["kind", "position", "slug"]
        permissions = [("submit_page", "Can send a page for review")]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "slug", "language"],
                name="page_address_is_unique",
                violation_error_message="Another page has this address.",
            ),
            models.CheckConstraint(
                condition=Q(kind="condition", condition__isnull=False)
                | Q(kind="guide", condition=None),
                name="page_condition_matches_kind",
                violation_error_message="A condition page names its condition; a guide names none.",
            ),
        ]

    def __str__(self):
        return self.title

    @property
    def signers(self):
        """Who of the clinic may put their name to this page."""
        rights = SigningRight.objects.filter(condition=self.condition_id)
        return Practitioner.objects.active().filter(pk__in=rights.values("practitioner"))


class Section(models.Model):
    """One headed part of a page, in a fixed order of kinds; with an optional 100-people chart."""

    class Kind(models.TextChoices):
        IN_SHORT = "in_short", "In short"
        ABOUT = "about", "What it is"
        OFF_LABEL = "off_label", "What off-label means here"
        WHO = "who", "Who it may suit"
        DAY = "day", "What happens on the day"
        HOW_WELL = "how_well", "How well it works"
        RISKS = "risks", "Side effects and risks"
        NEXT_STEPS = "next_steps", "What helps instead"
        ALTERNATIVES = "alternatives", "Other treatments"
        TEXT = "text", "Text"

    page = models.ForeignKey(Page, on_delete=models.CASCADE, related_name="sections")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    heading = models.CharField(max_length=120)
    body = ProseField(help_text="Cite sources as [ref:key].")
    chart_title = models.CharField(max_length=160, blank=True)
    chart_placebo = models.PositiveSmallIntegerField(
        "of 100 people, with dummy injections", null=True, blank=True
    )
    chart_treatment = models.PositiveSmallIntegerField(
        "of 100 people, with treatment", null=True, blank=True
    )
    chart_placebo_label = models.CharField(max_length=80, blank=True)
    chart_treatment_label = models.CharField(max_length=80, blank=True)
    chart_rest_label = models.CharField(max_length=80, blank=True)
    position = models.PositiveSmallIntegerField(default=0)

    PERSONAL = ()

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(chart_placebo=None, chart_treatment=None)
                | Q(chart_placebo__range=(0, 100), chart_treatment__range=(0, 100)),
                name="section_chart_has_both_groups",
                violation_error_message="A chart shows both groups, each out of 100 people.",
            )
        ]

    def __str__(self):
        return self.heading


class Faq(models.Model):
    """A question people ask. Without a page it is shown on every condition page."""

    page = models.ForeignKey(
        Page, on_delete=models.CASCADE, null=True, blank=True, related_name="faqs"
    )
    question = models.CharField(max_length=160)
    answer = ProseField()
    position = models.PositiveSmallIntegerField(default=0)

    PERSONAL = ()

    class Meta:
        verbose_name = "question and answer"
        verbose_name_plural = "questions and answers"
        ordering = ["position", "pk"]

    def __str__(self):
        return self.question


class CitationManager(models.Manager):
    """A citation is never read without its source."""

    def get_queryset(self):
        return super().get_queryset().select_related("reference")


class Citation(models.Model):
    """A page cites a reference, at a place in its list."""

    page = models.ForeignKey(Page, on_delete=models.CASCADE, related_name="citations")
    reference = models.ForeignKey(Reference, on_delete=models.PROTECT, related_name="citations")
    position = models.PositiveSmallIntegerField(default=0)

    PERSONAL = ()

    objects = CitationManager()

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["page", "reference"],
                name="citation_once_a_page",
                violation_error_message="The page cites this reference already.",
            )
        ]

    def __str__(self):
        return str(self.reference)
