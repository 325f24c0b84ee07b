"""Settings of the bare limit: the site's own, without middleware, and two tiny views."""

from clinic.settings import *  # noqa: F403
from clinic.settings import INSTALLED_APPS

MIDDLEWARE = []
# These refuse to start without their middleware, or need those that do.
INSTALLED_APPS = [
    app for app in INSTALLED_APPS if not app.startswith(("allauth", "django.contrib.admin"))
]
ROOT_URLCONF = "bench.bare_urls"
