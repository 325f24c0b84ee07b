"""Test data as plain functions; each makes one row with sensible values that a test may replace."""

import dataclasses
import itertools
from datetime import UTC, datetime, time, timedelta

from django.contrib.auth.models import Group

from bookings.availability.search import SlotSearch
from bookings.lifecycle import requests
from bookings.messaging import queue
from bookings.models import Booking, Message
from clinic.models import Clinic, Closure, Location, OpeningHours, Practitioner, User
from conditions import editions, snapshot
from conditions.models import Condition, Edition, Page, RedFlag

_count = itertools.count(1)

# A Monday; 2027-01-04 09:00 in Los Angeles is 17:00 UTC.
MONDAY = datetime(2027, 1, 4, tzinfo=UTC)


def make_location(**values):
    """The one place and its clinic, in Los Angeles, with no notice unless asked."""
    values = {
        "name": "Linden & Vale Clinic",
        "short_name": "Linden & Vale",
        "phone": "+13235550142",
        "email": "hello@lindenvale.example",
        "desk_email": "desk@lindenvale.example",
        "street": "48 Linden Walk, Suite 2",
        "city": "Los Angeles",
        "region": "CA",
        "postal_code": "90026",
        "minimum_notice": 0,
    } | values
    place = {field.name for field in Location._meta.fields}
    here = {name: value for name, value in values.items() if name in place}
    policy = {name: value for name, value in values.items() if name not in place}
    clinic, _ = Clinic.objects.update_or_create(pk=1, defaults=policy)
    return Location.objects.update_or_create(pk=1, defaults=here | {"clinic": clinic})[0]


def make_clinic(**values):
    """The same, for tests of what holds for the whole clinic."""
    return make_location(**values).clinic


def here():
    """The one place, as it is stored now."""
    return Location.objects.current()


def slot_search(**asked):
    """A SlotSearch at the one place."""
    return SlotSearch(location=here(), **asked)


def make_practitioner(**values):
    number = next(_count)
    values = {
        "name": f"Dr. Test {number}",
        "slug": f"test-{number}",
        "credentials": "MD",
        "position": number,
    } | values
    return Practitioner.objects.create(**values)


def make_hours(practitioner=None, weekday=None, opens="09:00", closes="17:00", **values):
    """Opening hours on one weekday (1-7), or on all seven when none is named."""
    days = [weekday] if weekday else range(1, 8)
    rows = [
        OpeningHours.objects.create(
            location=here(),
            practitioner=practitioner,
            weekday=day,
            opens=time.fromisoformat(opens),
            closes=time.fromisoformat(closes),
            **values,
        )
        for day in days
    ]
    return rows[0] if weekday else rows


def make_closure(practitioner=None, **values):
    return Closure.objects.create(location=here(), practitioner=practitioner, **values)


def make_condition(**values):
    number = next(_count)
    values = {
        "slug": f"condition-{number}",
        "name": f"Condition {number}",
        "summary": "A line",
        "status": "approved",
        "service": "assessment",
        "approval_text": "Approved for adults.",
        "approval_year": 2010,
        "evidence": "strong",
    } | values
    return Condition.objects.create(**values)


def make_gate(condition=None, signs=("chest pain",), **values):
    """A live, signed edition with the emergency signs of a condition, or the general ones.

    Written straight to the tables, by a signer who has left the clinic.
    """
    number = next(_count)
    for text in signs:
        RedFlag.objects.create(
            condition=condition, level="emergency", text=text, asked_before_booking=True
        )
    page = values.pop("page", None) or Page.objects.create(
        kind=Page.Kind.CONDITION if condition else Page.Kind.GUIDE,
        slug=values.get("slug") or (condition.slug if condition else f"guide-{number}"),
        condition=condition,
        title=condition.name if condition else "A guide",
    )
    document = snapshot.build_document(page)
    mark, at = snapshot.digest(document), datetime(2026, 12, 1, tzinfo=UTC)
    signer = make_practitioner(archived=True)
    values = {
        "page": page, "number": 1, "kind": page.kind, "slug": page.slug,
        "document": document, "card": snapshot.build_card(document), "digest": mark,
        "created_at": at, "signed_at": at, "signed_by": signer, "signed_digest": mark,
        "published_at": at, "live": True,
    } | values  # fmt: skip
    return Edition.objects.create(**values)


def make_concern(*, signs=("chest pain",), **values):
    """A condition that can be booked: its emergency signs are signed and live."""
    condition = make_condition(**values)
    make_gate(condition, signs)
    return condition


def asked_of(condition=None):
    """What a patient was asked: the signs of the condition, or the general ones, made if need be."""
    if not editions.emergency_signs(condition):
        make_gate(condition)
    return editions.emergency_signs(condition)


def make_request(**values):
    """What somebody asks for through the verb: a consultation at ``start``, or without one a call.

    ``values`` are those of a Person and a Request, and the verb's own.
    """
    own = {name: values.pop(name) for name in ("by", "now", "verify_within") if name in values}
    said = {field.name for field in dataclasses.fields(requests.Person)} & values.keys()
    person = requests.Person(**{name: values.pop(name) for name in said})
    if "asked" not in values:
        values["asked"] = asked_of(values.get("condition"))
    wanted = requests.Request(**{"location": here(), "consent_version": "1"} | values)
    verb = requests.request if wanted.start else requests.request_callback
    return verb(person, wanted, **own)


def make_booking(*, starts_at=None, minutes=30, before=0, after=0, **values):
    """A booking written straight to the table: for tests of what reads it, not of the verbs."""
    number = next(_count)
    if starts_at is None and values.get("status") != "waitlist":
        starts_at = MONDAY + timedelta(hours=17)
    if starts_at is not None:
        ends_at = starts_at + timedelta(minutes=minutes)
        values = {
            "starts_at": starts_at,
            "ends_at": ends_at,
            "busy_from": starts_at - timedelta(minutes=before),
            "busy_until": ends_at + timedelta(minutes=after),
        } | values
        if "practitioner" not in values:
            values["practitioner"] = make_practitioner()
    values = {
        "status": Booking.Status.BOOKED,
        "visit_type": "in_person",
        "name": f"Pat Example {number}",
        "email": f"pat{number}@example.org",
        "phone": "+13235550100",
        "consent_at": datetime(2026, 12, 1, tzinfo=UTC),
        "consent_version": "1",
    } | values
    values.setdefault("location_id", here().pk)
    return Booking.objects.create(**values)


def make_user(role=None, **values):
    """A staff user in the group ``role``; "superuser" makes one of those."""
    number = next(_count)
    values = {"username": f"user{number}", "email": f"user{number}@example.org"} | values
    user = User.objects.create_user(password="correct horse battery", is_staff=True, **values)
    if role == "superuser":
        user.is_superuser = True
        user.save()
    elif role:
        user.groups.add(Group.objects.get_or_create(name=role)[0])
    return user


def queue_message(booking, kind, **when):
    """Queue a message as a verb does, and return its row."""
    return Message.objects.get(key=queue.enqueue(booking, kind, **when))
