"""The steps of booking, in order: numbers, progress, guards and the next step follow from the list.

A step that has a form here needs no view and no address of its own: views.booking.ask shows the
form with the template of the step's name, and keeps what was said.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.forms import Form
from django.utils.translation import gettext_lazy as _

from bookings.forms import DetailsForm
from clinic.models import Clinic

from .patient_answers import Answers

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


def details_form(data: Any, answers: Answers, clinic: Clinic) -> Form:
    return DetailsForm(
        data,
        initial=answers.details or None,
        languages=clinic.spoken_languages,
        visit_type=answers.visit_type,
    )


@dataclass(frozen=True)
class Step:
    name: str  # of its address and its template
    title: "_StrPromise"  # after "Step 1 of 4"; steps with the same title count as one
    answered: Callable[[Answers], bool] | None = None  # without it: something was said here
    form: Callable[[Any, Answers, Clinic], Form] | None = None

    @property
    def address(self) -> str:
        return f"bookings:{self.name}"

    @property
    def template(self) -> str:
        return f"bookings/{self.name}.html"

    @property
    def number(self) -> int:
        return numbered().index(self.title) + 1

    def is_answered(self, answers: Answers) -> bool:
        return self.answered(answers) if self.answered else bool(answers.said.get(self.name))

    def may_open(self, answers: Answers) -> bool:
        """Return whether every step before it is answered."""
        return STEPS.index(self) <= STEPS.index(next_step(answers))


START = Step("start", _("your concern"), lambda given: bool(given.condition and given.visit_type))
RED_FLAGS = Step("signs", _("your concern"), lambda given: given.red_flags_read == given.condition)
TIME = Step("time", _("choose a time"), lambda given: bool(given.start))
DETAILS = Step("details", _("your details"), form=details_form)
CHECK = Step("check", _("check and book"), lambda given: False)

STEPS = (START, RED_FLAGS, TIME, DETAILS, CHECK)


def numbered() -> list["_StrPromise"]:
    """Return the titles that count, in order."""
    return list(dict.fromkeys(step.title for step in STEPS))


def next_step(answers: Answers) -> Step:
    """Return the first step that still needs an answer."""
    return next(step for step in STEPS if not step.is_answered(answers))


def progress(current: Step) -> list[str]:
    """Return what each number of the row of steps is: "done", "current" or "ahead"."""
    at = current.number
    return [
        "current" if number == at else "done" if number < at else "ahead"
        for number in range(1, len(numbered()) + 1)
    ]
