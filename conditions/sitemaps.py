"""What search engines may list: the live pages, and the fixed pages of the site."""

from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.sitemaps import Sitemap
from django.urls import reverse

from clinic import languages

from .models import Edition


class _OurSite(Sitemap):
    """Addresses begin with SITE_URL, whatever host the request named."""

    protocol = urlsplit(settings.SITE_URL).scheme

    def get_domain(self, site=None):
        return urlsplit(settings.SITE_URL).netloc


class LivePages(_OurSite):
    """One entry a live edition in the site's first language; the draft's dates never show."""

    def items(self):
        live = (
            Edition.objects.live()
            .filter(language=languages.default())
            .order_by("kind", "position", "slug")
        )
        return live.only("kind", "slug", "published_at")

    def location(self, edition):
        return reverse(f"conditions:{edition.kind}", args=[edition.slug])

    def lastmod(self, edition):
        return edition.published_at


class FixedPages(_OurSite):
    """Pages whose address never changes."""

    names = (
        "bookings:home", "bookings:start", "conditions:index", "clinic:practitioners",
        "clinic:contact", "clinic:privacy", "clinic:accessibility",
    )  # fmt: skip

    def items(self):
        return self.names

    def location(self, name):
        return reverse(name)


SITEMAPS = {"pages": LivePages, "site": FixedPages}
