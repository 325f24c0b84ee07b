"""A clinic at noon on a Tuesday, and staff who are signed in."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.models import Group
from django.core.cache import caches
from django.test import Client
from django.urls import reverse

from clinic.staff import roles
from clinic.staff.adapters import DEMO_GROUP
from tests.factories import (
    make_booking,
    make_clinic,
    make_hours,
    make_practitioner,
    make_user,
)

NOW = datetime(2027, 1, 5, 20, 10, tzinfo=UTC)  # Tuesday 12:10 in Los Angeles
LATER = datetime(2027, 1, 6, 17, tzinfo=UTC)  # Wednesday 09:00 there
EARLIER = datetime(2027, 1, 5, 17, tzinfo=UTC)
PAGES = ["desk", "booking_changelist", "booking_outside"]
HOSTILE = "<script>alert(1)</script>\u202egnp.exe"


@pytest.fixture(autouse=True)
def _clinic():
    caches["memory"].clear()
    roles.apply_roles()
    make_clinic()
    make_hours()
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def doctor():
    return make_practitioner(name="Dr. One", slug="one")


def signed_in(role):
    client, user = Client(), make_user(role)
    user.groups.add(Group.objects.get_or_create(name=DEMO_GROUP)[0])
    client.force_login(user)
    client.user = user
    return client


@pytest.fixture
def desk():
    return signed_in(roles.FRONT_DESK)


def page(name, *args):
    """The address of an admin page of bookings; the board has a short name of its own."""
    return reverse("admin:desk" if name == "desk" else f"admin:bookings_{name}", args=args)


def says(response):
    """The messages of the page that the browser is sent to."""
    return [str(message) for message in response.context["messages"]]


def press(client, booking, name, **data):
    return client.post(page(f"booking_{name}", booking.pk), data, follow=True)


@pytest.fixture
def practitioner(doctor):
    client = signed_in(roles.PRACTITIONER)
    doctor.user = client.user
    doctor.save()
    return client


def offered(booking, practitioner, starts_at, **values):
    """A time held as an offer, as the verb writes it."""
    values = {"name": "", "email": "", "phone": "", "hold_until": NOW + timedelta(hours=1)} | values
    return make_booking(status="proposed", offered_for=booking, practitioner=practitioner,
                        starts_at=starts_at, **values)  # fmt: skip


def listed(client, **query):
    return list(client.get(page("booking_changelist"), query).context["cl"].result_list)
