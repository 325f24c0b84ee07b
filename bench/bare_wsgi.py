"""The application of the bare limit: Django's handler, our settings, no middleware."""

import os

from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "bench.bare"
application = get_wsgi_application()
