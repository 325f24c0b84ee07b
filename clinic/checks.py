"""What must be true before the site starts. Each check names the setting and the way out."""

import os
from datetime import UTC, datetime
from email.utils import parseaddr
from pathlib import Path
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.checks import Error, Tags, Warning, register, run_checks
from django.db import DatabaseError, connections
from django.db.migrations.recorder import MigrationRecorder

KEY_LENGTH = 50


@register(Tags.security)
def secret_key_is_long(app_configs, **kwargs):
    if len(settings.SECRET_KEY) >= KEY_LENGTH:
        return []
    return [
        Error(
            f"SECRET_KEY is shorter than {KEY_LENGTH} characters.",
            hint="Leave it unset: a strong one is then made and kept in VAR_DIR/secret_key.",
            id="clinic.E001",
        )
    ]


@register()
def time_zone_data_is_current(app_configs, **kwargs):
    """British Columbia keeps -07:00 all year since 2026; older data is an hour wrong in winter."""
    winter = datetime(2026, 12, 1, 12, 0, tzinfo=UTC).astimezone(ZoneInfo("America/Vancouver"))
    if winter.hour == 5:
        return []
    return [
        Error(
            "The time zone data is too old: bookings would show a wrong time in some zones.",
            hint="Install the pinned tzdata package: pip install -r requirements.txt",
            id="clinic.E002",
        )
    ]


@register(Tags.security)
def public_sites_use_https(app_configs, **kwargs):
    if settings.ON_LOOPBACK or settings.HTTPS:
        return []
    return [
        Error(
            f"SITE_URL is {settings.SITE_URL}: without https, health data travels in the clear.",
            hint="Put a proxy with TLS in front and set SITE_URL=https://…",
            id="clinic.E003",
        )
    ]


@register()
def data_folder_is_private_and_writable(app_configs, **kwargs):
    folder = settings.VAR_DIR
    if not os.access(folder, os.W_OK | os.X_OK):
        return [
            Error(
                f"The data folder {folder} cannot be written to.",
                hint="Give it to the user who runs the site, or set VAR_DIR to another folder.",
                id="clinic.E004",
            )
        ]
    if folder.stat().st_mode & 0o007:
        return [
            Warning(
                f"Everybody on this machine may look into the data folder {folder}.",
                hint=f"chmod o-rwx {folder}",
                id="clinic.W005",
            )
        ]
    return []


@register()
def database_file_is_writable(app_configs, **kwargs):
    file = Path(settings.DATABASES["default"]["NAME"])  # a file on SQLite only
    if not file.is_file() or os.access(file, os.W_OK):
        return []
    return [
        Error(
            f"The database file {file} cannot be written to: nobody could book.",
            hint="Give it to the user who runs the site, and see that its disk is not read-only.",
            id="clinic.E009",
        )
    ]


@register(Tags.security)
def debug_stays_at_home(app_configs, **kwargs):
    if settings.DEBUG and not settings.ON_LOOPBACK:
        return [
            Error(
                "DEBUG is on, and its error pages show what patients wrote.",
                hint="Unset DEBUG.",
                id="clinic.E006",
            )
        ]
    return []


@register(Tags.security)
def limits_hold_on_public_sites(app_configs, **kwargs):
    if settings.ON_LOOPBACK or (settings.ABUSE_LIMITS and settings.NETWORK_LIMITS):
        return []
    off = "NETWORK_LIMITS" if settings.ABUSE_LIMITS else "ABUSE_LIMITS"
    return [
        Warning(
            f"{off} is off on a public site: one program could take every free time.",
            hint=f"Unset {off}; behind a proxy set TRUSTED_PROXIES, so that visitors are told apart.",
            id="clinic.W010",
        )
    ]


@register(Tags.security, deploy=True)
def mails_of_public_sites_leave_the_machine(app_configs, **kwargs):
    if settings.ON_LOOPBACK or not getattr(settings, "EMAIL_FILE_PATH", None):
        return []
    return [
        Warning(
            "EMAIL_URL is not set on a public site: mails become files, and nobody gets one.",
            hint="Set EMAIL_URL=submission://user:password@mail.example",
            id="clinic.W011",
        )
    ]


@register(Tags.security, deploy=True)
def a_proxy_is_trusted_where_there_is_https(app_configs, **kwargs):
    if not settings.HTTPS or settings.TRUSTED_PROXIES:
        return []
    return [
        Warning(
            "SITE_URL is https and TRUSTED_PROXIES is 0: the site redirects to itself forever, and "
            "takes all visitors for one.",
            hint="Set TRUSTED_PROXIES to the number of proxies in front, mostly 1.",
            id="clinic.W012",
        )
    ]


@register(Tags.security, deploy=True)
def machines_share_the_secret_key(app_configs, **kwargs):
    on_a_server = not settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
    if not (settings.SECRET_KEY_IS_THIS_MACHINES and on_a_server):
        return []
    return [
        Warning(
            "The secret key is a file of this machine, and others can use the same database: theirs "
            "would be another. Sign-ins, second factors and seals of one are void on the other.",
            hint="Set SECRET_KEY, on each machine the same; begin with what is in "
            "VAR_DIR/secret_key.",
            id="clinic.W014",
        )
    ]


@register(Tags.security, deploy=True)
def what_is_stored_may_be_public(app_configs, databases=None, **kwargs):
    """`check --deploy` alone speaks of the demo and of the sender too, which are data."""
    if databases or settings.ON_LOOPBACK:
        return []
    try:
        return run_checks(tags=[Tags.database], databases=["default"])
    except DatabaseError:
        return [
            Warning(
                "The database does not answer, or is not as this release needs it: nothing is said "
                "of the demo, of the sender, and of emergency signs.",
                hint="Start it, run serve --prepare, and check again.",
                id="clinic.W016",
            )
        ]


def _is_ready(databases, model):
    """Return whether the default database is to be checked and has this model's table."""
    names = connections["default"].introspection.table_names
    return "default" in (databases or []) and model._meta.db_table in names()


@register(Tags.database)
def a_public_site_is_not_the_demo(app_configs, databases=None, **kwargs):
    from .models import Clinic, Practitioner
    from .operations import setup

    if settings.ON_LOOPBACK or not _is_ready(databases, Practitioner):
        return []
    people = Practitioner.objects.active().filter(license_number__startswith=setup.DEMO_LICENSE)
    found = [str(person) for person in people]
    found += [clinic.name for clinic in Clinic.objects.all() if setup.is_nobodys(clinic)]
    if not found:
        return []
    return [
        Warning(
            f"The demo is on a public site, and fictitious: {', '.join(found)}.",
            hint="In the admin, enter your clinic's own name and archive these practitioners.",
            id="clinic.W013",
        )
    ]


@register(Tags.database)
def mails_have_a_sender(app_configs, databases=None, **kwargs):
    from .models import Clinic
    from .operations import setup

    if settings.ON_LOOPBACK or not _is_ready(databases, Clinic):
        return []
    clinic = Clinic.objects.first()
    address = parseaddr(settings.DEFAULT_FROM_EMAIL)[1] or (clinic.email if clinic else "")
    if address and not setup.is_nobodys_address(address):
        return []
    return [
        Warning(
            "Mails have no sender at which somebody reads: mail servers refuse or hide such mails.",
            hint="In the admin, enter the clinic's e-mail, or set DEFAULT_FROM_EMAIL.",
            id="clinic.W015",
        )
    ]


@register(Tags.database)
def database_is_not_from_before(app_configs, databases=None, **kwargs):
    """Before the first release the tables were made anew, with a user model of our own."""
    for alias in databases or []:
        try:
            applied = MigrationRecorder(connections[alias]).applied_migrations()
        except DatabaseError:
            continue
        if ("clinic", "0001_the_clinic") in applied:
            return [
                Error(
                    "This database was made before the first release; its tables do not fit.",
                    hint="Set DATABASE_URL or VAR_DIR to a new place, or keep the code that made it. "
                    "Nothing was changed.",
                    id="clinic.E011",
                )
            ]
    return []


@register(Tags.database)
def database_reads_committed_rows(app_configs, databases=None, **kwargs):
    """Warn of a strict isolation level: a booking verb's second read would be stale."""
    problems = []
    for alias in databases or []:
        connection = connections[alias]
        if connection.vendor != "postgresql":
            continue
        with connection.cursor() as cursor:
            cursor.execute("SHOW transaction_isolation")
            level = cursor.fetchone()[0]
        if level != "read committed":
            problems.append(
                Error(
                    f"PostgreSQL runs at isolation level “{level}”.",
                    hint="Set default_transaction_isolation = 'read committed' for this database.",
                    id="clinic.E007",
                )
            )
    return problems


@register(Tags.database)
def demo_accounts_stay_at_home(app_configs, databases=None, **kwargs):
    from clinic.models import User

    from .staff.adapters import DEMO_GROUP

    if settings.ON_LOOPBACK or not _is_ready(databases, User):
        return []
    names = User.objects.filter(is_active=True, groups__name=DEMO_GROUP).values_list(
        "username", flat=True
    )
    if not names:
        return []
    return [
        Warning(
            f"Demo accounts are active on a public site: {', '.join(sorted(names))}.",
            hint="Deactivate them in the admin.",
            id="clinic.W008",
        )
    ]
