"""How many queries each page asks, and that the number does not grow with the data."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.cache import caches
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from clinic import starter_clinic
from clinic.models import Practitioner
from conditions.starter import content
from tests.factories import make_booking

pytestmark = pytest.mark.django_db
NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def starter(db):
    with time_machine.travel(NOW, tick=False):
        starter_clinic.load()
        content.load()
        yield


def queries(path, client=None):
    caches["memory"].clear()
    client = client or Client()
    with CaptureQueriesContext(connection) as captured:
        response = client.get(path)
    assert response.status_code == 200
    return len([q for q in captured if not q["sql"].startswith(("SAVEPOINT", "RELEASE"))])


def fill(number):
    people = list(Practitioner.objects.all())
    for place in range(number):
        make_booking(
            practitioner=people[place % len(people)],
            starts_at=NOW + timedelta(days=2 + place // 4, minutes=30 * (place % 4)),
        )


def test_pages_of_content(starter):
    """One edition and one clinic row; the next free time comes from memory after its first use."""
    client = Client()
    client.get("/conditions/bruxism/")
    with CaptureQueriesContext(connection) as captured:
        client.get("/conditions/bruxism/")
    assert len(captured) <= 3, [q["sql"][:80] for q in captured]
    with CaptureQueriesContext(connection) as captured:
        client.get("/guides/safety/")
    assert len(captured) <= 2, [q["sql"][:80] for q in captured]


@pytest.mark.parametrize(("path", "most"), [("/", 11), ("/conditions/", 2), ("/contact/", 4)])
def test_public_lists(starter, path, most):
    assert queries(path) <= most


def test_free_times_do_not_grow_with_bookings(starter):
    client = Client()
    client.post("/book/", "condition=other&visit_type=in_person", content_type=FORM)
    client.post("/book/signs/", "signs=none", content_type=FORM)
    few = queries("/book/time/", client)
    fill(120)
    assert queries("/book/time/", client) == few
    assert few <= 22
