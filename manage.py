#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys


def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clinic.settings")
    if sys.argv[1:2] == ["runserver"]:
        # Who types this develops: templates reload and errors show. A check refuses DEBUG on a
        # public address; `serve` is what runs a site.
        os.environ.setdefault("DEBUG", "true")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from environs import EnvError

    try:
        execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, EnvError) as error:
        if "--traceback" in sys.argv:
            raise
        sys.exit(f"{sys.argv[0]}: {error}")


if __name__ == "__main__":
    main()
