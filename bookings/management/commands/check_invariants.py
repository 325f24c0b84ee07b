"""Count what must never be: the nightly look at the bookings, and the last step of fault tests."""

from django.core.management.base import BaseCommand, CommandError

from bookings import invariants

SHOWN = 5  # references of an invariant, to begin looking with


class Command(BaseCommand):
    help = "Counts bookings that break a rule which must always hold. Ends with 1 if there are any."

    def handle(self, **options):
        found = invariants.broken()
        for name, references in found.items():
            some = f"  ({', '.join(references[:SHOWN])})" if references else ""
            self.stdout.write(f"{len(references):>6}  {name}{some}")
        number = sum(bool(references) for references in found.values())
        if number:
            raise CommandError(f"{number} of {len(found)} invariants are broken.")
