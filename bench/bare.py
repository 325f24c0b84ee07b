"""Settings of the bare limit: the site's own, without middleware, and two tiny views."""

from clinic.settings import *  # noqa: F403

MIDDLEWARE = []
ROOT_URLCONF = "bench.bare_urls"
