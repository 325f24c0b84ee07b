"""Each way to meet has its facts in one table, and nothing stands in silently for another."""

import re
from dataclasses import fields

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from bookings.messaging import calendars
from clinic.models import WAYS, Practitioner, VisitType
from clinic.models.visit_types import ways_in_words
from tests.factories import make_booking, make_clinic, make_practitioner

OPTIONAL = {"place", "join", "join_note", "at_clinic"}


def test_each_way_has_its_facts_and_its_picture():
    assert list(WAYS) == list(VisitType)
    for way in WAYS.values():
        assert [
            f.name for f in fields(way) if f.name not in OPTIONAL and not getattr(way, f.name)
        ] == []
        assert (settings.BASE_DIR / "clinic/artwork/ui" / f"{way.icon}.svg").exists()
        assert way.at_clinic != bool(way.place), "at the clinic, or somewhere that is named"


def test_the_facts_are_told_nowhere_else():
    """No template and no module but the table asks which way it is."""
    asks = re.compile(r"visit_type ==|== VisitType|VisitType\.[A-Z]|icon .video")
    allowed = {"visit_types.py", "phone.py", "demo_week.py"}  # the desk begins at the clinic
    found = [
        path.relative_to(settings.BASE_DIR)
        for app in ("clinic", "conditions", "bookings", "templates")
        for path in (settings.BASE_DIR / app).rglob("*.*")
        if path.suffix in (".py", ".html", ".txt")
        if path.name not in allowed and asks.search(path.read_text())
    ]
    assert found == []


def test_the_ways_in_a_sentence():
    assert ways_in_words() == "at the clinic, by video or by phone"


@pytest.mark.parametrize(
    "values", ["video", ["telepathy"], ["video", "video"], {"video": True}, [None]]
)
def test_a_practitioner_has_a_list_of_known_ways(values):
    with pytest.raises(ValidationError):
        Practitioner(name="Dr. A", slug="a", visit_types=values).clean_fields()


@pytest.mark.django_db
@pytest.mark.parametrize("visit_type", VisitType.values)
def test_who_can_be_met_that_way(visit_type):
    every, only, another, nobody = (
        make_practitioner(visit_types=values)
        for values in (
            list(reversed(VisitType.values)),
            [visit_type],
            [value for value in VisitType.values if value != visit_type],
            [],
        )
    )
    assert set(Practitioner.objects.bookable(visit_type)) == {every, only}
    assert set(Practitioner.objects.bookable()) == {every, only, another, nobody}


@pytest.mark.django_db
def test_the_database_refuses_a_way_that_is_not_known():
    with pytest.raises(IntegrityError):
        make_booking(visit_type="telepathy")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("visit_type", "place"),
    [("in_person", "12 "), ("video", "By video"), ("phone", "By phone: we call you")],
)
def test_a_calendar_names_the_place_of_each(visit_type, place):
    make_clinic(street="12 Hill Road")
    assert place in calendars.place(make_booking(visit_type=visit_type))
