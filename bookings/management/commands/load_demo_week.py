"""Fill the demo clinic with a lived-in week of fictitious bookings; safe to run again."""

from django.core.management.base import BaseCommand, CommandError

from bookings import demo_week
from clinic import audit


class Command(BaseCommand):
    help = "Fill the demo clinic with fictitious bookings around today, on loopback only."

    def handle(self, *, verbosity, **options):
        try:
            made = demo_week.load()
        except ValueError as error:
            raise CommandError(str(error)) from error
        audit.seal()  # its record lies in the past, where the worker's next round does not look
        if made and verbosity:
            self.stdout.write(f"The demo's week is made: {made} bookings.")
