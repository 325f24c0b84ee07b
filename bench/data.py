"""Bookings by the million, written past the ORM: the same every day, relative to today.

The coming 60 days are filled as in a busy clinic and are the same at every size; what makes a
table large is the past. Runs inside Django.
"""

import csv
import io
import itertools
import json
import random
import uuid
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.utils import timezone

from bookings.lifecycle.clock_changes import clock_times
from bookings.models import REFERENCE_ALPHABET, Booking
from clinic.hours import day_start
from clinic.models import Closure, Location, OpeningHours, Practitioner
from conditions.models import Condition

ZONE = ZoneInfo("America/Los_Angeles")  # of the starter clinic
HORIZON = 60  # days
FAR = 99  # days after a Sunday: a Monday beyond the horizon
HALF_HOUR = timedelta(minutes=30)
SLOTS_A_DAY = [16, 17, 18, 19, 20, 21, 22, 23, 26, 27, 28, 29, 30, 31, 32, 33]  # half hours
FULLNESS = [0.7] * 3 + [0.4] * 7  # by working day; later ones as LATER
LATER = 0.06
PAST_A_DAY = 60
DENSE_AFTER, DENSE_A_DAY = 24_000, 600  # older than 400 days: a million rows reach back 6 years
FUTURE_CANCELLED = 50  # every 50th recent row is a cancelled time of the coming days instead
FIRST = "Ines Omar Lena Noah Aylin Marta Jun Priya Tomas Ruth Emil Zoe Ali Hana Piet Nora Luca Ida Sam Eva"
LAST = (
    "Okonkwo Lindqvist Moreau Tanaka Yildiz Novak Castillo Haddad Berg Kowalski Iyer Duarte Fischer "
    "Amadi Sorensen Petrov Nguyen Rossi Keller Mbeki Larsen Ortega Demir Hughes Sato Varga Costa "
    "Weber Ahmed Lopez Popov Horvat Silva Dubois Kaya Brown Jansen Marin Olsen Reid Tran Vogel "
    "Walsh Young Zeman Abbott Blake Cohen Diaz Evans"
)
FIRST_NAMES, LAST_NAMES = FIRST.split(), LAST.split()
REFERENCES = len(REFERENCE_ALPHABET) ** 8
STATUSES = [("fulfilled", 62), ("cancelled", 28), ("noshow", 10)]


def name_of(number):
    return f"{FIRST_NAMES[number % 20]} {LAST_NAMES[number // 20 % 50]}"


def reference_of(number):
    """Eight characters, different for every number and in no order."""
    rest, letters = number * 7**12 % REFERENCES, []
    for _ in range(8):
        rest, digit = divmod(rest, len(REFERENCE_ALPHABET))
        letters.append(REFERENCE_ALPHABET[digit])
    return "".join(letters)


def employ(count):
    """Make ``count`` practitioners, all with full hours from Monday to Friday, and no closures."""
    Closure.objects.all().delete()
    for number in range(Practitioner.objects.bookable().count(), count):
        Practitioner.objects.create(
            name=f"Dr. Benchmark {number + 1}", slug=f"benchmark-{number + 1}", position=number + 1
        )
    Practitioner.objects.update(visit_types=["in_person", "video", "phone"])
    OpeningHours.objects.exclude(practitioner=None).delete()
    here = Location.objects.current()
    OpeningHours.objects.bulk_create(
        OpeningHours(location=here, practitioner=person, weekday=day, opens=opens, closes=closes)
        for person in Practitioner.objects.bookable()
        for day in range(1, 6)
        for opens, closes in [(time(8), time(12)), (time(13), time(17))]
    )


def grow(size):
    """Add rows until the table has ``size``; the first call fills the coming days."""
    with transaction.atomic():
        if not Booking.objects.exists():
            fill_coming_days(Practitioner.objects.bookable())
        here = Booking.objects.count()
        _insert(_past(here, size - here))


def fill_coming_days(people):
    """The live bookings of the next 60 days, a few call-backs, a few without an outcome."""
    zone, now = Location.objects.current().zone, timezone.now()
    today = now.astimezone(zone).date()
    number = itertools.count(100_000_000 + 1_000_000 * people[0].pk)
    chance = random.Random(people[0].pk)
    conditions = list(Condition.objects.order_by("pk").values_list("pk", flat=True))
    rows = []
    working = [today + timedelta(days=n) for n in range(1, HORIZON + 1)]
    working = [day for day in working if day.isoweekday() < 6]
    for position, day in enumerate(working):
        full = FULLNESS[position] if position < len(FULLNESS) else LATER
        for person, slot in itertools.product(people, SLOTS_A_DAY):
            if chance.random() > full:
                continue
            pending = chance.random() < 0.15
            asked = now - timedelta(minutes=chance.randrange(10, 2000 if pending else 20_000))
            rows.append(
                _row(next(number), "pending" if pending else "booked", person.pk,
                     day_start(day, zone) + slot * HALF_HOUR, asked, chance.choice(conditions))
            )  # fmt: skip
    yesterday = day_start(today - timedelta(days=1), zone)
    rows += [
        _row(next(number), "booked", people[0].pk, yesterday + slot * HALF_HOUR, yesterday, None)
        for slot in SLOTS_A_DAY[:10]
    ]
    rows += [
        _row(next(number), "waitlist", None, None, now - timedelta(hours=hours), None)
        for hours in range(1, 6)
    ]
    _insert(rows)


def far_future(count):
    """``count`` live bookings beyond the horizon; returns their keys. For the outbox."""
    zone, now = Location.objects.current().zone, timezone.now()
    today = now.astimezone(zone).date()
    people = list(Practitioner.objects.bookable())
    sunday = today - timedelta(days=today.isoweekday() % 7)
    working = (FAR + number // 5 * 7 + number % 5 for number in itertools.count())
    places = (
        (day_start(sunday + timedelta(days=days), zone) + slot * HALF_HOUR, person.pk)
        for days in working
        for slot in SLOTS_A_DAY
        for person in people
    )
    newest = Booking.objects.order_by("-pk").values_list("pk", flat=True)[0]
    rows = (
        _row(200_000_000 + number, ("booked", "pending")[number % 2], person, start, now, None)
        for number, (start, person) in enumerate(itertools.islice(places, count))
    )
    _insert(rows)
    return list(Booking.objects.filter(pk__gt=newest).values_list("pk", "status"))


def _past(first, count):
    zone, now = Location.objects.current().zone, timezone.now()
    today = now.astimezone(zone).date()
    people = list(Practitioner.objects.bookable().values_list("pk", flat=True))
    conditions = list(Condition.objects.order_by("pk").values_list("pk", flat=True))
    chance = random.Random(first)
    midnight = lru_cache(maxsize=None)(lambda day: day_start(day, zone))
    statuses, weights = zip(*STATUSES, strict=True)
    for number in range(first, first + count):
        recent = min(number, DENSE_AFTER) // PAST_A_DAY
        age = 1 + recent + max(0, number - DENSE_AFTER) // DENSE_A_DAY
        status, day = chance.choices(statuses, weights)[0], today - timedelta(days=age)
        if number < DENSE_AFTER and number % FUTURE_CANCELLED == 7:
            status, day = "cancelled", today + timedelta(days=chance.randrange(1, HORIZON))
        start = midnight(day) + chance.choice(SLOTS_A_DAY) * HALF_HOUR
        asked = min(start, now) - timedelta(hours=chance.randrange(6, 500))
        yield _row(number, status, chance.choice(people), start, asked, chance.choice(conditions))


def _row(number, status, practitioner, start, asked, condition):
    end = start + HALF_HOUR if start else None
    cancelled = status == "cancelled"
    return {
        "reference": reference_of(number),
        "uid": uuid.UUID(int=number * 7**40 % 2**128),
        "status": status,
        "condition_id": condition,
        "location_id": 1,  # the one place
        "visit_type": ("in_person", "video", "phone")[number % 3],
        "practitioner_id": practitioner,
        "starts_at": start,
        "ends_at": end,
        "busy_from": start,
        "busy_until": end,
        "promised_times": clock_times(start, ZONE, ZONE),
        "name": name_of(number),
        "email": f"patient{number}@example.org",
        "phone": f"+1323555{number % 10_000:04}",
        "created_at": asked,
        "consent_at": asked,
        "confirmed_at": asked if status in ("booked", "fulfilled", "noshow") else None,
        "cancelled_at": asked if cancelled else None,
        "cancelled_by": ("patient", "clinic")[number % 2] if cancelled else "",
    }


def _insert(rows):
    """Write rows as fast as the driver can: COPY where it has it, else many values at once."""
    fields = [field for field in Booking._meta.concrete_fields if not field.primary_key]
    known = {"reference", "uid", "created_at"}  # their defaults differ from row to row
    usual = {f.attname: None if f.attname in known else f.get_default() for f in fields}
    columns = ", ".join(connection.ops.quote_name(field.column) for field in fields)
    table = connection.ops.quote_name(Booking._meta.db_table)
    native = connection.features.has_native_uuid_field
    adapt = connection.ops.adapt_datetimefield_value

    def stored(value):
        if isinstance(value, datetime):
            return adapt(value.astimezone(UTC))
        if isinstance(value, dict):
            return json.dumps(value)
        if isinstance(value, uuid.UUID):
            return str(value) if native else value.hex
        return value

    values = ([stored(value) for value in (usual | row).values()] for row in rows)
    with connection.cursor() as cursor:
        while batch := list(itertools.islice(values, 20_000)):
            if hasattr(cursor, "copy_expert"):
                _copy(
                    cursor,
                    f"COPY {table} ({columns}) FROM STDIN WITH (FORMAT csv, NULL '~')",
                    batch,
                )
            else:
                places = ", ".join(["%s"] * len(fields))
                cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", batch)


def _copy(cursor, statement, batch):
    text = io.StringIO()
    csv.writer(text).writerows([["~" if v is None else v for v in values] for values in batch])
    text.seek(0)
    cursor.copy_expert(statement, text)
