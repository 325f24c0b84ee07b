"""What a new public site needs before its manager can open it.

A public site is born closed and without the demo: visitors read "opening soon", staff prepare it in
the admin. Nothing here applies to a loopback address, where the demo clinic is shown at once.
"""

from collections.abc import Callable
from typing import NamedTuple

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from clinic import audit
from clinic.models import Clinic, Location, Practitioner

DEMO_LICENSE = "DEMO-"  # what the starter's license numbers begin with
# Reserved for examples by RFC 2606; nobody's mail arrives there.
NOBODYS_DOMAINS = (".example", ".invalid", ".test", "@example.com", "@example.org", "@example.net")
FICTION = "555"  # numbers 555-0100 to 555-0199 belong to nobody in North America


class Step(NamedTuple):
    """One thing that must be there; ``where`` is the admin page on which it is mended."""

    words: str
    done: bool
    where: str = ""


class NotReady(Exception):
    """The site cannot be opened; ``steps`` are those that are missing."""

    def __init__(self, steps):
        super().__init__("Something is missing before the site can open.")
        self.message, self.steps = self.args[0], steps


# Apps above this one add their own, each a function without arguments that returns a Step.
MORE: list[Callable[[], Step]] = []


def steps(location):
    """Every Step towards the opening, in the order in which somebody does them."""
    clinic = location.clinic
    page = reverse("admin:clinic_clinic_change", args=[clinic.pk])
    people = reverse("admin:clinic_practitioner_changelist")
    return [
        Step("The clinic's own name", not is_nobodys(clinic), page),
        Step("Its phone number", bool(location.phone) and not _is_fiction(location.phone), page),
        Step("Its mailbox, and the front desk's", _has_mailboxes(location), page),
        Step("Its time zone, confirmed by saving the clinic's page", location.zone_confirmed, page),
        Step("One practitioner with a license", _licensed().exists(), people),
        *(more() for more in MORE),
        Step(
            "A test mail that arrived in the clinic's mailbox",
            bool(clinic.email) and clinic.mailbox_tested == clinic.email,
        ),
    ]


@transaction.atomic
def open_site(*, by):
    """Show the site to everybody. Raises NotReady with the steps that are missing.

    There is no way back to "opening soon": a site that patients know withdraws pages instead.
    """
    location = Location.objects.current()
    clinic = location.clinic = Clinic.objects.select_for_update().get(pk=location.clinic_id)
    missing = [step for step in steps(location) if not step.done]
    if missing:
        raise NotReady(missing)
    if clinic.opened_at is None:
        clinic.opened_at = timezone.now()
        clinic.save(update_fields=["opened_at"])
        audit.record(audit.Action.CLINIC_OPENED, clinic, by=by)
    return clinic


@transaction.atomic
def mailbox_works(address, *, by):
    """Note that the code of a test mail to ``address`` came back."""
    clinic = Clinic.objects.current()
    clinic.mailbox_tested = address
    clinic.save(update_fields=["mailbox_tested"])
    audit.record(audit.Action.MAILBOX_TESTED, clinic, by=by)


def is_nobodys(clinic):
    """Return whether it still bears no name, or that of the demo."""
    from clinic.starter_clinic import CLINIC

    nobodys = {"", CLINIC["name"], CLINIC["short_name"], Clinic._meta.get_field("name").default}
    return clinic.name.strip() in nobodys


def is_nobodys_address(address):
    return address.lower().endswith(NOBODYS_DOMAINS)


def _is_fiction(phone):
    national = str(phone.national_number)
    return phone.country_code == 1 and national[3:6] == FICTION and national[6:8] == "01"


def _has_mailboxes(location):
    addresses = [location.clinic.email, location.desk_email]
    return all(a and not is_nobodys_address(a) for a in addresses)


def _licensed():
    people = Practitioner.objects.active().exclude(license_number="")
    return people.exclude(license_number__startswith=DEMO_LICENSE).filter(
        license_checked_on__isnull=False
    )
