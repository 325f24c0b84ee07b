"""The filters of the list of pages, and what its rows must know."""

from datetime import timedelta

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from conditions import snapshot
from conditions.models import Edition

DUE_SOON = timedelta(days=60)
WAITING = Q(published_at=None, sent_back_at=None)


class ReviewDue(admin.SimpleListFilter):
    title = "next review"
    parameter_name = "review"

    def lookups(self, request, model_admin):
        return [("overdue", "Overdue"), ("soon", "Due in 60 days"), ("none", "No date")]

    def queryset(self, request, queryset):
        today = timezone.localdate()
        if self.value() == "overdue":
            return queryset.filter(next_review_due__lt=today)
        if self.value() == "soon":
            return queryset.filter(next_review_due__range=(today, today + DUE_SOON))
        return queryset.filter(next_review_due=None) if self.value() == "none" else queryset


class OnTheSite(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request, model_admin):
        return [
            ("live", "On the site"),
            ("changed", "Says something else than the site"),
            ("off", "Not on the site"),
            ("review", "To review"),
            ("signed", "Signed, not published"),
        ]

    def queryset(self, request, queryset):
        editions = Edition.objects.filter(page=OuterRef("pk"))
        waiting = editions.filter(WAITING)
        conditions = {
            "live": Exists(editions.filter(live=True)),
            "off": ~Exists(editions.filter(live=True)),
            "review": Exists(waiting.filter(signed_at=None)),
            "signed": Exists(waiting.filter(signed_at__isnull=False)),
        }
        if self.value() == "changed":
            differ = snapshot.that_differ(Edition.objects.live())
            return queryset.filter(editions__in=differ)
        chosen = conditions.get(self.value())
        return queryset.filter(chosen) if chosen else queryset


class PageList(ChangeList):
    """Knows which editions are not what their page, or a text it shares, says by now."""

    def get_results(self, request):
        super().get_results(request)
        shown = Edition.objects.filter(page__in=[page.pk for page in self.result_list])
        differ = snapshot.that_differ(shown.filter(Q(live=True) | WAITING))
        for page in self.result_list:
            page.differ = differ
