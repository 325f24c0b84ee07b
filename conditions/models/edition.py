"""A page as it was signed: what the public reads."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from clinic import languages
from clinic.constraints import Immutable
from clinic.models import Practitioner

from .page import Page


class EditionQuerySet(models.QuerySet):
    def live(self):
        """Keep what the public sees: published and not withdrawn."""
        return self.filter(live=True)

    def conditions(self):
        return self.filter(kind=Page.Kind.CONDITION).order_by("position", "slug")

    def guides(self):
        return self.filter(kind=Page.Kind.GUIDE).order_by("position", "slug")

    def best_language(self):
        """Return a list: those in the active language, and in the default one what it lacks."""
        active, default = languages.active(), languages.default()
        rows = list(self.filter(language__in={active, default}))
        translated = {(row.kind, row.slug) for row in rows if row.language == active}
        return [
            row for row in rows if row.language == active or (row.kind, row.slug) not in translated
        ]

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

    def with_asked(self):
        """With the emergency signs to ask about as ``asked``, so that the document can stay unread."""
        return self.annotate(asked=F("document__gate"))


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
            Immutable(
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
