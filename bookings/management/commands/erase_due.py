"""Erase personal details whose time has come; the worker does it each day, this does it now."""

from collections import Counter
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from bookings.lifecycle import erasure, erasures_file
from bookings.models import Booking
from clinic.models import Clinic


class Command(BaseCommand):
    help = "Erases the personal details of bookings whose period is over."

    def add_arguments(self, parser):
        parser.add_argument("--dry-run", action="store_true", help="count them, erase nothing")
        parser.add_argument(
            "--repeat",
            type=Path,
            metavar="FILE",
            help="after a restore: erase again what is noted in this copy of VAR_DIR/erasures",
        )

    def handle(self, *, dry_run, repeat, **options):
        now = timezone.now()
        if repeat:
            self._repeat(repeat, dry_run, now)
        elif dry_run:
            found = Counter(
                row.status
                for rows in erasure.windows(Clinic.objects.current(), now)
                for row in rows
            )
            for status, number in sorted(found.items()):
                self.stdout.write(f"{number:>6}  {Booking.Status(status).label}")
            self.stdout.write(f"{found.total()} bookings are due. Nothing was erased.")
        else:
            self.stdout.write(f"{sum(erasure.run(Clinic.objects.current(), now))} bookings erased.")

    def _repeat(self, path, dry_run, now):
        try:
            uids = erasures_file.read(path)
        except (OSError, ValueError) as error:
            raise CommandError(f"{path}: {error}") from error
        if dry_run:
            back = [Booking.objects.filter(uid=uid, erased_at=None).exists() for uid in uids]
            self.stdout.write(f"{sum(back)} of {len(uids)} are back. Nothing was erased.")
        else:
            number = erasure.repeat(uids, now)
            self.stdout.write(f"{number} of {len(uids)} were back and are erased again.")
