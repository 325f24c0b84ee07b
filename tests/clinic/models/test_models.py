"""What the clinic's models are asked: languages, lengths, and who sees whom."""

import pytest

from clinic.models import Clinic, Practitioner
from tests.factories import make_condition, make_practitioner


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("English", ["English"]),
        (" English,Turkish , , Spanish", ["English", "Turkish", "Spanish"]),
        ("", ["English"]),
        (" , ", ["English"]),
    ],
)
def test_spoken_languages_are_the_names_between_the_commas(text, names):
    assert Clinic(languages_spoken=text).spoken_languages == names


@pytest.mark.django_db
def test_a_condition_may_have_a_length_of_its_own():
    clinic = Clinic(consultation_minutes=30)
    assert clinic.minutes_for() == clinic.minutes_for(make_condition()) == 30
    assert clinic.minutes_for(make_condition(consultation_minutes=45)) == 45


@pytest.mark.django_db
def test_who_sees_people_with_a_condition():
    named, other = make_practitioner(), make_practitioner(visit_types=["in_person", "phone"])
    away = make_practitioner(accepts_bookings=False)
    condition = make_condition()

    def who(*asked):
        return set(Practitioner.objects.who_see(*asked))

    assert who() == who(condition) == {named, other}
    assert who(condition, "video") == {named}
    condition.practitioners.set([other, away])
    assert who(condition) == {other}
    assert who(condition, "video") == set(), "nobody else stands in for those it names"
