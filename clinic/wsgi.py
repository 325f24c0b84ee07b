"""The WSGI application that the web server loads."""

import os
from contextlib import suppress

from django.core.wsgi import get_wsgi_application
from django.db import Error, connection

from clinic import database_waiting

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clinic.settings")


def know_the_phone():
    """Error pages name the clinic's number, also if the database fails before the first visitor."""
    from clinic.models import Location

    with suppress(Error):
        Location.objects.current()
    connection.close()


application = get_wsgi_application()
database_waiting.limit()
know_the_phone()
