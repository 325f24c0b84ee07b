"""Load the demo clinic, its staff accounts and its medical pages. Safe to run again.

On a public site only the texts are loaded, as drafts: no fictitious clinic, nobody's practitioners.
"""

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import transaction

from clinic import starter_clinic
from clinic.models import User
from clinic.staff import roles


class Command(BaseCommand):
    help = "Load the demo clinic. Never overwrites what staff changed; safe to run again."

    def handle(self, *, verbosity, **options):
        from conditions.starter import content, release

        roles.apply_roles()
        with transaction.atomic():
            demo = settings.ON_LOOPBACK
            loaded = starter_clinic.load() if demo else starter_clinic.begin_empty()
            if loaded:  # later, a missing page is one that staff renamed or took away
                content.load(as_drafts=not demo)
                release.remember_all()
            waiting = 0 if loaded else len(release.corrections())
        if waiting:
            self.stdout.write(
                f"{waiting} texts of this release are not what this site says. Nothing was changed: "
                "an editor sees them in the admin, under Pages."
            )
        if loaded and verbosity:
            self.stdout.write(
                "The demo clinic is loaded." if demo else "The starter texts are loaded as drafts."
            )
        if not settings.ON_LOOPBACK:
            if User.objects.filter(is_active=True, is_staff=True).exists():
                return
            self.stdout.write(
                "No demo accounts are made on a public site. Make the first account with\n"
                "  python manage.py createsuperuser\n"
                "sign in at /admin/ and add the others there, each with a role. Visitors read\n"
                "“opening soon” until a manager opens the site in the admin."
            )
            return
        passwords = starter_clinic.make_staff()
        if passwords and verbosity:
            for username, password in passwords.items():
                self.stdout.write(f"  {username:<14}{password}")
            self.stdout.write(f"These sign-ins are kept in {starter_clinic.logins_path()}.")
