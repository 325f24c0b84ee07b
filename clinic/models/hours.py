"""Opening hours and closures, of the clinic and of one person."""

from django.db import models
from django.db.models import F, Q

from .. import public_words
from .location import Location
from .practitioners import Practitioner


class Weekday(models.IntegerChoices):
    """ISO 8601 weekday numbers; no other convention is used anywhere."""

    MONDAY = 1, "Monday"
    TUESDAY = 2, "Tuesday"
    WEDNESDAY = 3, "Wednesday"
    THURSDAY = 4, "Thursday"
    FRIDAY = 5, "Friday"
    SATURDAY = 6, "Saturday"
    SUNDAY = 7, "Sunday"


class OpeningHours(models.Model):
    """A weekly rule in its place's wall clock. Without a practitioner it is the whole clinic's.

    A practitioner is free for consultations where a rule of theirs and a rule of the clinic both
    hold; one without rules works the clinic's hours. ``closes`` at 00:00 means the end of the day.
    """

    location = models.ForeignKey(
        Location, on_delete=models.PROTECT, related_name="opening_hours", editable=False
    )
    practitioner = models.ForeignKey(
        Practitioner,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="opening_hours",
        help_text="Empty: the whole clinic.",
    )
    weekday = models.PositiveSmallIntegerField(choices=Weekday.choices)
    opens = models.TimeField()
    closes = models.TimeField(help_text="00:00 means midnight at the end of the day.")
    valid_from = models.DateField(null=True, blank=True)
    valid_until = models.DateField(null=True, blank=True, help_text="Last day, included.")

    PERSONAL = ()

    class Meta:
        verbose_name_plural = "opening hours"
        ordering = ["practitioner__position", "practitioner_id", "weekday", "opens"]
        constraints = [
            models.CheckConstraint(
                condition=Q(weekday__range=(1, 7)),
                name="opening_hours_iso_weekday",
                violation_error_message="Choose a weekday.",
            ),
            models.CheckConstraint(
                condition=Q(closes__gt=F("opens")) | Q(closes="00:00"),
                name="opening_hours_closes_after_opens",
                violation_error_message="The closing time is before the opening time.",
            ),
            models.CheckConstraint(
                condition=Q(valid_from=None)
                | Q(valid_until=None)
                | Q(valid_until__gte=F("valid_from")),
                name="opening_hours_valid_until_after_from",
                violation_error_message="The last day is before the first day.",
            ),
        ]

    def __str__(self):
        return f"{self.get_weekday_display()} {self.opens:%H:%M} to {self.closes:%H:%M}"


class ClosureQuerySet(models.QuerySet):
    def touching(self, first_day, last_day):
        """Closures with at least one day in the given local dates, both included."""
        return self.filter(first_day__lte=last_day, last_day__gte=first_day)


class Closure(models.Model):
    """Dated time without consultations, in its place's wall clock; both days included.

    With ``from_time`` and ``until_time`` it closes that part of each day, else whole days.
    """

    location = models.ForeignKey(
        Location, on_delete=models.PROTECT, related_name="closures", editable=False
    )
    practitioner = models.ForeignKey(
        Practitioner,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="closures",
        help_text="Empty: the whole clinic.",
    )
    first_day = models.DateField()
    last_day = models.DateField()
    from_time = models.TimeField(null=True, blank=True, help_text="Empty: the whole day.")
    until_time = models.TimeField(null=True, blank=True)
    reason = models.CharField(
        max_length=80, blank=True, help_text="Shown to staff, for example Surgery."
    )
    public_note = models.CharField(
        max_length=80, blank=True, help_text="Shown on the site, for example Public holiday."
    )

    PERSONAL = ()

    PUBLIC_WORDS = ("public_note",)

    objects = ClosureQuerySet.as_manager()

    class Meta:
        ordering = ["first_day", "from_time"]
        constraints = [
            models.CheckConstraint(
                condition=Q(last_day__gte=F("first_day")),
                name="closure_last_day_after_first",
                violation_error_message="The last day is before the first day.",
            ),
            models.CheckConstraint(
                condition=Q(from_time=None, until_time=None)
                | Q(
                    from_time__isnull=False, until_time__isnull=False, until_time__gt=F("from_time")
                ),
                name="closure_until_after_from",
                violation_error_message="Give both times, the later one last, or neither.",
            ),
        ]

    def __str__(self):
        who = self.practitioner or "Whole clinic"
        return f"{who}: {self.first_day:%d %b %Y} to {self.last_day:%d %b %Y}"

    def clean(self):
        public_words.require_sound(self)
