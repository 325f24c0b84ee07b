"""The demo clinic, Linden & Vale: everything about it is fictitious.

Loaded once, into an empty database; what staff change afterwards is theirs. Dates are relative to
the day of that first load, in the clinic's time.
"""

import os
import secrets
from datetime import date, time, timedelta

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from . import audit
from .models import (
    Actor,
    AuditEvent,
    Clinic,
    Closure,
    Location,
    OpeningHours,
    Practitioner,
    User,
    Weekday,
)
from .staff import roles
from .staff.adapters import DEMO_GROUP

CLINIC = {
    "name": "Linden & Vale Clinic",
    "short_name": "Linden & Vale",
    "whatsapp": "+13235550187",
    "email": "hello@lindenvale.example",
    "languages_spoken": "English, Turkish, Spanish",
    "minimum_notice": 120,
    "horizon_days": 60,
    "slot_step": 30,
    "consultation_minutes": 30,
    "buffer_before": 0,
    "buffer_after": 0,
    "confirm_at_once": False,
    "answer_within_hours": 24,
    "cancel_until_hours": 4,
    "retention_days_after_visit": 365,
    "retention_days_after_cancelled": 90,
}

LOCATION = {
    "phone": "+13235550142",
    "desk_email": "desk@lindenvale.example",
    "street": "48 Linden Walk, Suite 2",
    "city": "Los Angeles",
    "region": "CA",
    "postal_code": "90026",
    "country": "US",
    "access_note": "Step-free entrance, parking behind the building.",
    "time_zone": "America/Los_Angeles",
}

MON, TUE, WED, THU, FRI, SAT = list(Weekday)[:6]
CLINIC_HOURS = [
    ([MON, TUE, WED, THU], "08:00", "18:00"),
    ([FRI], "08:00", "16:00"),
    ([SAT], "09:00", "13:00"),
]

PRACTITIONERS = [
    {
        "slug": "elena-marlow",
        "name": "Dr. Elena Marlow",
        "credentials": "MD",
        "role": "Neurologist",
        "languages": "English, Spanish",
        "license_number": "DEMO-20311",
        "bio": (
            "Dr. Marlow looks after people with chronic migraine, cervical dystonia, restless "
            "legs or sleep apnea. She starts with a headache or symptom diary and goes through "
            "what you have tried so far, so that you leave with a plan, whether or not it "
            "includes injections."
        ),
        "hours": [
            ([MON, TUE, WED, THU, FRI], "08:00", "12:00"),
            ([MON, TUE, WED, THU, FRI], "13:00", "17:00"),
        ],
    },
    {
        "slug": "kerem-aydin",
        "name": "Dr. Kerem Aydın",
        "credentials": "DDS",
        "role": "Jaw and facial pain dentist",
        "languages": "English, Turkish",
        "license_number": "DEMO-20447",
        "bio": (
            "Dr. Aydın sees people with jaw pain and with tooth grinding by day or at night. "
            "He checks the jaw, the teeth and the bite first, and explains what a splint, exercise "
            "or an injection can do for you and what it cannot."
        ),
        "hours": [([MON, TUE, WED, THU], "10:00", "18:00"), ([SAT], "09:00", "13:00")],
    },
    {
        "slug": "sofia-reyes",
        "name": "Dr. Sofía Reyes",
        "credentials": "MD",
        "role": "Urologist",
        "languages": "English, Spanish",
        "license_number": "DEMO-20582",
        "visit_types": ["in_person", "phone"],
        "bio": (
            "Dr. Reyes treats overactive bladder. She talks about it plainly, in person or on the "
            "phone, and starts with what is simple: habits, exercises and tablets, before any "
            "procedure."
        ),
        "hours": [([MON, TUE, WED, THU, FRI], "08:00", "12:00")],
    },
    {
        "slug": "daniel-whitcombe",
        "name": "Dr. Daniel Whitcombe",
        "credentials": "MD",
        "role": "Rehabilitation physician",
        "languages": "English",
        "license_number": "DEMO-20619",
        "bio": (
            "Dr. Whitcombe works with people who have stiff muscles after a stroke or an injury, "
            "and with long-lasting muscle pain. He plans together with your therapist and your "
            "family, around the things that you want to do again."
        ),
        "hours": [([TUE, WED, THU, FRI], "09:00", "16:00")],
    },
    {
        "slug": "miriam-castellan",
        "name": "Dr. Miriam Castellan",
        "credentials": "MD",
        "role": "Neurologist and sleep physician",
        "languages": "English",
        "license_number": "DEMO-20733",
        "visit_types": [],
        "accepts_bookings": False,
        "bio": (
            "Dr. Castellan reads our pages on sleep and on the nervous system, and the guides, "
            "before they are published. She does not take consultations."
        ),
        "hours": [],
    },
]

# username, roles, first name, last name, slug of the practitioner whose sign-in it is
STAFF = [
    ("manager", [roles.MANAGER], "Morgan", "Ellis", None),
    ("frontdesk", [roles.FRONT_DESK], "Frances", "Dale", None),
    ("practitioner", [roles.PRACTITIONER], "Elena", "Marlow", "elena-marlow"),
    ("editor", [roles.EDITOR], "Edwin", "Tait", None),
    ("reviewer", [roles.REVIEWER], "Miriam", "Castellan", "miriam-castellan"),
    # To see it all with one sign-in. Signs nothing: whoever writes a page cannot sign it.
    ("owner", [roles.MANAGER, roles.FRONT_DESK, roles.EDITOR], "Olive", "Renner", None),
]

LOADED = audit.Action.STARTER_LOADED
# No letters or digits that look alike: people type these passwords from a screen.
ALPHABET = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def logins_path():
    return settings.VAR_DIR / "staff-logins.txt"


@transaction.atomic
def load(*, now=None):
    """Load the demo clinic unless it was loaded before; return whether it was loaded now."""
    location = Location.objects.current()
    if AuditEvent.objects.filter(action__in=LOADED.spellings).exists():
        return False
    now = now or timezone.now()
    if location.clinic.name == Clinic._meta.get_field("name").default:
        for row, values in ((location.clinic, CLINIC), (location, LOCATION)):
            for field, value in values.items():
                setattr(row, field, value)
            row.save()
    today = timezone.localdate(now, location.zone)
    if not OpeningHours.objects.filter(practitioner=None).exists():
        _add_hours(location, None, CLINIC_HOURS)
    if not Closure.objects.filter(practitioner=None).exists():
        day = thanksgiving(today)
        Closure.objects.create(
            location=location,
            first_day=day,
            last_day=day,
            reason="Public holiday",
            public_note="Thanksgiving",
        )
    for position, person in enumerate(PRACTITIONERS, start=1):
        _add_practitioner(location, person, position, today)
    audit.record(LOADED, location.clinic, by=Actor.SYSTEM, at=now)
    return True


@transaction.atomic
def begin_empty(*, now=None):
    """On a public site nothing fictitious is made; return whether this is the first start."""
    if AuditEvent.objects.filter(action__in=LOADED.spellings).exists():
        return False
    audit.record(LOADED, Clinic.objects.current(), by=Actor.SYSTEM, at=now or timezone.now())
    return True


def thanksgiving(today):
    """Return the next fourth Thursday of November, today included."""
    for year in (today.year, today.year + 1):
        first = date(year, 11, 1)
        fourth = first + timedelta((THU - first.isoweekday()) % 7 + 21)
        if fourth >= today:
            return fourth
    raise AssertionError("every November has four Thursdays")


def _add_practitioner(location, person, position, today):
    values = {key: value for key, value in person.items() if key not in ("slug", "hours")}
    values |= {"position": position, "license_checked_on": today - timedelta(45)}
    practitioner, made = Practitioner.objects.get_or_create(slug=person["slug"], defaults=values)
    if not made:
        return
    _add_hours(location, practitioner, person["hours"])
    if practitioner.slug == "daniel-whitcombe":
        tuesday = today + timedelta(7 - today.isoweekday() + TUE)
        Closure.objects.create(
            location=location,
            practitioner=practitioner,
            first_day=tuesday,
            last_day=tuesday + timedelta(1),
            reason="Conference",
        )


def _add_hours(location, practitioner, rules):
    OpeningHours.objects.bulk_create(
        OpeningHours(
            location=location,
            practitioner=practitioner,
            weekday=day,
            opens=time.fromisoformat(opens),
            closes=time.fromisoformat(closes),
        )
        for days, opens, closes in rules
        for day in days
    )


@transaction.atomic
def make_staff():
    """Make the demo accounts that do not exist yet; return their passwords by username.

    The passwords are random and kept in logins_path(), which only its owner can read.
    """
    taken = set(User.objects.values_list("username", flat=True))
    demo, _ = Group.objects.get_or_create(name=DEMO_GROUP)
    made = {}
    for username, held, first_name, last_name, slug in STAFF:
        if username in taken:
            continue
        made[username] = "".join(secrets.choice(ALPHABET) for _ in range(20))
        user = User.objects.create_user(
            username,
            email=f"{username}@lindenvale.example",
            password=made[username],
            first_name=first_name,
            last_name=last_name,
            is_staff=True,
        )
        user.groups.add(demo, *Group.objects.filter(name__in=held))
        Practitioner.objects.filter(slug=slug, user=None).update(user=user)
    if made:
        _keep(made)
    return made


def _keep(passwords):
    path = logins_path()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "w") as file:
        file.writelines(f"{username:<14}{password}\n" for username, password in passwords.items())
