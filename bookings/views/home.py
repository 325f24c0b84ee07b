"""The front page, and what it and the pages of conditions show of booking."""

from django.core.cache import caches
from django.utils import timezone
from django.utils.formats import date_format
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from bookings import times
from bookings.availability.search import SlotSearch
from clinic import languages, opening_status, page_cache
from clinic.models import Location
from conditions import body_map, editions
from conditions.models import Edition

NEXT_FREE_SECONDS = 30  # how old the advertised next free time may be; booking itself looks anew


def next_free_label(slug=""):
    """Find the next free time for a page, any or a condition's: label, detail, instant; or None.

    Kept in this process's memory for NEXT_FREE_SECONDS, so that pages stay cheap.
    """
    key = f"next-free:{languages.active()}:{slug}"
    cached = caches["memory"].get(key, "missing")
    if cached != "missing":
        return cached
    now = timezone.now()
    condition = editions.condition_at(slug) if slug else None
    slot = None
    if not why_not_label(slug):
        search = SlotSearch(location=Location.objects.current(), condition=condition, now=now)
        slot = search.next()
    label = None
    if slot:
        zone = search.zone
        label = {
            "starts_at": slot.starts_at,
            "label": f"{times.near_day(slot.starts_at, zone, now)}, {times.clock(slot.starts_at, zone)}",
            "detail": f"{date_format(slot.starts_at.astimezone(zone), 'D j M')}, {slot.practitioner.name}",
            "zone": times.zone_name(zone),
        }
    caches["memory"].set(key, label, NEXT_FREE_SECONDS)
    return label


def why_not_label(slug=""):
    """Why a condition's page, or with none any page, offers no booking; "" when it does. Kept as above."""
    key = f"why-not:{languages.active()}:{slug}"
    why = caches["memory"].get(key)
    if why is None:
        why = editions.why_not_bookable(editions.condition_at(slug) if slug else None)
        if why and not slug:
            why = "" if editions.bookable() else editions.NOTHING
        why = str(why)
        caches["memory"].set(key, why, NEXT_FREE_SECONDS)
    return why


def booking_offer(slug=""):
    """Return what a condition's page, or with none any page, shows of booking, for its template."""
    return {"next_free": next_free_label(slug), "not_bookable": why_not_label(slug)}


@require_safe
@gzip_page  # here and on the pages of content only: they hold no secret that its length could tell
def home(request):
    """Show the front page: what we treat, how good the evidence is, and the next free time."""
    rows = Edition.objects.live().conditions().select_related("page__condition").defer("document")
    live = rows.best_language()
    context = {
        "cards": [edition.card for edition in live],
        "places": body_map.places(live),
        "opening": opening_status.read(Location.objects.current()),
        **booking_offer(),
    }
    version = list(context.items())
    return page_cache.answer(request, "bookings/home.html", version, lambda clinic: context)
