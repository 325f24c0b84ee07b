"""Stop every manage link at once, after a leak of mails, logs or backups."""

from django.core.management.base import BaseCommand

from bookings import manage_links
from clinic.models import Actor, Clinic


class Command(BaseCommand):
    help = (
        "Revokes all manage links. Bookings stay; patients get a new link at /booking/lost/ "
        "or from the desk."
    )

    def handle(self, **options):
        number = manage_links.revoke_all_links(Clinic.objects.current(), by=Actor.SYSTEM)
        self.stdout.write(f"{number} links revoked.")
