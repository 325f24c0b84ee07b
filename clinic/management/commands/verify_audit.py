"""Compare the audit record with its seals and anchors."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from clinic import audit
from clinic.models import AuditEvent, AuditSeal

SHOWN = 20  # findings, to begin looking with


class Command(BaseCommand):
    help = "Says what was changed or removed in the audit record. Ends with 1 if anything was."

    def add_arguments(self, parser):
        parser.add_argument(
            "--anchors",
            type=Path,
            help="a copy of audit_anchors that was kept elsewhere; else the one in VAR_DIR",
        )

    def handle(self, *, anchors, **options):
        if anchors and not anchors.exists():
            raise CommandError(f"There is no file {anchors}.")
        known = audit.read_anchors(anchors or audit.anchors_file())
        # Counted first: the worker goes on sealing while this reads.
        events, seals = AuditEvent.objects.count(), AuditSeal.objects.count()
        newest = AuditSeal.objects.order_by("number").last()
        number = 0
        for number, finding in enumerate(audit.verify(known), 1):
            if number <= SHOWN:
                self.stdout.write(finding)
        if number > SHOWN:
            self.stdout.write(f"and {number - SHOWN} more")
        self.stdout.write(f"{events} events, {seals} seals, {len(known)} anchors")
        if newest:
            self.stdout.write(f"newest seal: {newest.number} {newest.digest}")
        if number:
            raise CommandError(f"The audit record is not as it was written: {number} findings.")
