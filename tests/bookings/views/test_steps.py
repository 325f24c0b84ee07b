"""Numbers, guards, progress and the next step follow from one list."""

import re

import pytest
from django.conf import settings
from django.template.loader import get_template
from django.urls import reverse

from bookings.views import steps
from bookings.views.patient_answers import Answers
from tests.factories import make_clinic, make_gate, make_practitioner

# What is answered, step by step: a second opinion on the list, edited on purpose.
ANSWERED = {
    "start": {"condition": "other", "visit_type": "video"},
    "signs": {"red_flags_read": "other"},
    "time": {"start": "2027-01-04T17:00:00Z"},
    "details": {"said": {"details": {"name": "Pat"}}},
    "check": {},
}


def answered_before(name):
    names = list(ANSWERED)
    given = [ANSWERED[earlier] for earlier in names[: names.index(name)]]
    return Answers(**{key: value for part in given for key, value in part.items()})


@pytest.mark.parametrize("name", ANSWERED)
def test_a_step_opens_once_all_before_it_are_answered(name):
    answers = answered_before(name)
    assert steps.next_step(answers).name == name
    place = list(ANSWERED).index(name)
    assert [step.name for step in steps.STEPS if step.may_open(answers)] == list(ANSWERED)[
        : place + 1
    ]


def test_the_danger_signs_belong_to_the_first_step():
    assert [step.number for step in steps.STEPS] == [1, 1, 2, 3, 4]
    assert steps.progress(steps.TIME) == ["done", "current", "ahead", "ahead"]


def test_every_step_has_an_address_and_a_template():
    for step in steps.STEPS:
        assert reverse(step.address)
        assert get_template(step.template)


def test_no_template_counts_for_itself():
    for template in (settings.BASE_DIR / "templates/bookings").glob("*.html"):
        assert not re.search(r"of 4|step [=<>]=? ?\d", template.read_text()), template


def test_one_more_row_is_one_more_step(monkeypatch):
    """Nothing else knows how many there are: it is asked, counted and guarded."""
    row = steps.Step("referral", "who sent you", form=lambda *given: None)
    monkeypatch.setattr(steps, "STEPS", (*steps.STEPS[:-1], row, steps.CHECK))
    answers = answered_before("check")
    assert steps.next_step(answers) == row
    assert not steps.CHECK.may_open(answers)
    assert (row.number, steps.CHECK.number, len(steps.progress(row))) == (4, 5, 5)
    answers.said["referral"] = {"name": "Dr. Who"}
    assert steps.CHECK.may_open(answers)


@pytest.mark.django_db
def test_a_change_of_the_first_answer_asks_the_danger_signs_again(client):
    make_clinic()
    make_gate()
    make_practitioner()
    concern = {"condition": "other", "visit_type": "video"}
    for _ in range(2):
        assert client.post("/book/", concern).url == "/book/signs/"
        client.post("/book/signs/", {"signs": "none"})
