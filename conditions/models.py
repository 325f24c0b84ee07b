"""Medical content: the clinical record of a condition, its pages, and their published editions.

Editors change Page and its children; the public reads only Edition.document.
"""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from clinic.constraints import Frozen
from clinic.models import Practitioner

from .fields import ProseField


def _source():
    """Where a quick fact is known from; a key becomes a link to the page's reference."""
    return models.CharField(
        max_length=120,
        blank=True,
        default="",
        db_default="",
        help_text="For example “product label [ref:key]”, or “clinical experience”.",
    )


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
        STRONG = "strong", "Strong"
        MODERATE = "moderate", "Moderate"
        MIXED = "mixed", "Mixed"
        LIMITED = "limited", "Limited"
        VERY_LIMITED = "very_limited", "Very limited"
        AGAINST = "against", "Guideline advises against"

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

    @property
    def timing(self):
        """The five timing facts that are known, in page order, as (key, label, value, note, source)."""
        labels = [
            ("onset", "Starts to work"),
            ("peak", "Strongest"),
            ("duration", "Lasts about"),
            ("session", "A session"),
            ("repeat", "Repeated"),
        ]
        return [
            (key, label, *(getattr(self, f"{key}{end}") for end in ("", "_note", "_source")))
            for key, label in labels
            if getattr(self, key)
        ]


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

    A shared one is a sign after an injection; with ``gate`` it is instead asked before booking of
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
    gate = models.BooleanField("ask before booking", default=False)
    position = models.PositiveSmallIntegerField(default=0)

    PERSONAL = ()

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(gate=False) | Q(level="emergency"),
                name="red_flag_gate_is_emergency",
                violation_error_message="Only emergency signs are asked before booking.",
            )
        ]

    def __str__(self):
        return self.text


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
    references = models.ManyToManyField(Reference, through="Citation", related_name="pages")
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


class EditionQuerySet(models.QuerySet):
    def live(self):
        """What the public sees: published and not withdrawn."""
        return self.filter(live=True)

    def conditions(self):
        return self.filter(kind=Page.Kind.CONDITION).order_by("position", "slug")

    def guides(self):
        return self.filter(kind=Page.Kind.GUIDE).order_by("position", "slug")

    def cards(self, language="en"):
        """The card of each live edition, as a list of dicts, in order."""
        return list(self.live().filter(language=language).values_list("card", flat=True))

    def signed(self):
        """Those whose signature is for the text that they hold."""
        return self.filter(signed_at__isnull=False, signed_digest=F("digest"))

    def about(self, condition):
        """Those of the condition's page, whatever its address; for None the guides."""
        if condition is None:
            return self.filter(kind=Page.Kind.GUIDE)
        return self.filter(kind=Page.Kind.CONDITION, page__condition=condition)

    def asking(self):
        """Signed ones that name at least one emergency sign to ask about before booking."""
        return self.signed().filter(document__gate__0__isnull=False)

    def with_gate(self):
        """With the emergency signs to ask about as ``gate``, so that the document can stay unread."""
        return self.annotate(gate=F("document__gate"))


class Edition(models.Model):
    """A whole page as it stood: the document, its SHA-256, who signed it, when it was live."""

    page = models.ForeignKey(Page, on_delete=models.PROTECT, related_name="editions")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=12, choices=Page.Kind.choices)
    slug = models.SlugField()
    language = models.CharField(max_length=8, default="en")
    position = models.PositiveSmallIntegerField(default=0)
    document = models.JSONField()
    card = models.JSONField()
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    signed_at = models.DateTimeField(null=True, blank=True)
    signed_by = models.ForeignKey(
        Practitioner,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="signed_editions",
    )
    signed_digest = models.CharField(max_length=64, blank=True)
    signed_as = models.CharField(
        max_length=200, blank=True, help_text="Name, credentials and license."
    )
    sent_back_at = models.DateTimeField(null=True, blank=True)
    sent_back_note = models.TextField(max_length=1000, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    live = models.BooleanField(default=False)

    PERSONAL = ()

    objects = EditionQuerySet.as_manager()

    class Meta:
        ordering = ["page", "-number"]
        permissions = [
            ("sign_edition", "Can sign an edition"),
            ("publish_edition", "Can publish and withdraw an edition"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["page", "number"], name="edition_number_is_unique"),
            models.UniqueConstraint(
                fields=["kind", "slug", "language"], condition=Q(live=True),
                name="edition_one_live_an_address",
            ),
            models.CheckConstraint(
                condition=Q(live=False) | Q(published_at__isnull=False, withdrawn_at=None),
                name="edition_live_is_published",
            ),
            models.CheckConstraint(
                condition=Q(signed_at=None, signed_by=None) | Q(signed_at__isnull=False, signed_by__isnull=False),
                name="edition_signature_is_whole",
            ),
            Frozen(
                fields=["page", "number", "kind", "slug", "language", "document", "card", "digest",
                        "signed_at", "signed_by", "signed_digest", "signed_as", "published_at"],
                when="published_at",
                name="edition_published_is_frozen",
                violation_error_message="A published edition cannot be changed. Make a new one.",
            ),
        ]  # fmt: skip

    def __str__(self):
        return f"{self.slug}, edition {self.number}"

    @property
    def state(self):
        """One word for lists: live, withdrawn, replaced, signed, sent back, or to review."""
        if self.live:
            return "live"
        if self.withdrawn_at:
            return "withdrawn"
        if self.published_at:
            return "replaced"
        if self.signed_at:
            return "signed"
        return "sent back" if self.sent_back_at else "to review"


class StarterText(models.Model):
    """Which text of the starter's release this site has decided about: loaded, taken or kept.

    ``digest`` is that of the release's text; a later release with another text is asked about.
    """

    key = models.CharField(max_length=80, unique=True)
    digest = models.CharField(max_length=64)
    decided_at = models.DateTimeField()
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    PERSONAL = ()

    class Meta:
        default_permissions = ()
        ordering = ["key"]

    def __str__(self):
        return self.key
