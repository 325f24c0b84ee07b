"""Pages for these tests: a complete one, its people, and the way to the site."""

from datetime import date

from django.contrib.auth.models import Group

from clinic.staff.adapters import DEMO_GROUP
from clinic.staff.roles import apply_roles
from conditions import publishing
from conditions.models import (
    Citation,
    Condition,
    Faq,
    Page,
    RedFlag,
    Reference,
    Section,
    SharedBlock,
    SigningRight,
)
from tests.factories import make_condition, make_practitioner, make_user

BOXED = "<p>The effect can spread.</p>"


def make_shared():
    """The shared texts that every page needs, once."""
    blocks = [
        ("boxed-warning", "Serious warning", BOXED),
        ("contraindications", "When it must not be given", "<p>Not with an infection.</p>"),
        ("cautions", "Tell us first", "<p>Tell us about any nerve disease.</p>"),
    ]
    for position, (key, title, body) in enumerate(blocks):
        values = {"title": title, "body": body, "position": position}
        SharedBlock.objects.get_or_create(key=key, defaults=values)
    if not RedFlag.objects.filter(condition=None).exists():
        RedFlag.objects.create(level="emergency", text="you have trouble breathing")


def make_page(*, condition=None, **values):
    """A complete page of a condition, with nothing to stop it from being published."""
    make_shared()
    condition = condition or make_condition(name="Sore jaw")
    RedFlag.objects.create(
        condition=condition,
        level="emergency",
        text="chest pain",
        asked_before_booking=True,
        position=1,
    )
    RedFlag.objects.create(condition=condition, level="urgent", text="a locked jaw", position=2)
    values = {
        "kind": Page.Kind.CONDITION,
        "slug": condition.slug,
        "condition": condition,
        "title": condition.name,
        "description": "What it may do and what it cannot.",
        "lead": "It may ease pain for a time, but not for everybody.",
        "reviewer": make_practitioner(name="Dr. Rena Reviewer"),
        "last_reviewed": date(2026, 10, 1),
        "next_review_due": date(2027, 10, 1),
    } | values
    page = Page.objects.create(**values)
    _fill(page)
    return page


def make_guide(**values):
    make_shared()
    values = {
        "kind": Page.Kind.GUIDE,
        "slug": "a-guide",
        "title": "A guide",
        "summary": "One line",
        "description": "What it is.",
        "lead": "A few words.",
        "reviewer": make_practitioner(),
        "last_reviewed": date(2026, 10, 1),
        "next_review_due": date(2027, 10, 1),
    } | values
    page = Page.objects.create(**values)
    _fill(page)
    return page


def _fill(page):
    Section.objects.create(
        page=page, kind="in_short", heading="In short", position=1,
        body="<p>Pain was less in a small trial. [ref:lee-2020]</p>",
    )  # fmt: skip
    Section.objects.create(
        page=page, kind="alternatives", heading="Other treatments", position=2,
        body="<ul><li>A night guard</li><li>Exercises</li></ul>",
    )  # fmt: skip
    Faq.objects.create(page=page, question="Does it hurt?", answer="<p>A little.</p>", position=1)
    for position, key in enumerate(["lee-2020", "kim-2021"]):
        reference, _ = Reference.objects.get_or_create(
            key=key,
            defaults={
                "citation": f"{key.title()}. A trial.",
                "year": 2020,
                "url": f"https://doi.org/{key}",
                "kind": "trial",
            },
        )
        Citation.objects.create(page=page, reference=reference, position=position)


def make_editor(**values):
    return make_staff("Editor", **values)


def make_reviewer(**values):
    """A staff user who may sign: the role, a checked license, the right to all pages of today."""
    user = make_staff("Clinical reviewer")
    values = {
        "name": "Dr. Sam Signer", "credentials": "MD", "license_number": "A 1234",
        "license_checked_on": date.today(), "user": user,  # noqa: DTZ011
    } | values  # fmt: skip
    practitioner = make_practitioner(**values)
    let_sign(practitioner, None, *Condition.objects.all())
    return user


def let_sign(practitioner, *conditions):
    """Give the right to sign the pages of these conditions; None stands for guides."""
    for condition in conditions:
        SigningRight.objects.get_or_create(practitioner=practitioner, condition=condition)


def make_staff(role, **values):
    """A user with the role's permissions, who needs no second factor in a test."""
    apply_roles()
    user = make_user(role, **values)
    user.groups.add(Group.objects.get_or_create(name=DEMO_GROUP)[0])
    return user


def put_live(page, *, editor=None, reviewer=None):
    """Send, sign and publish ``page``; returns the live edition."""
    editor = editor or make_editor()
    edition = publishing.submit(page, by=editor)
    reviewer = reviewer or make_reviewer()
    let_sign(reviewer.practitioner, page.condition)
    edition = publishing.sign(edition, by=reviewer)
    return publishing.publish(edition, by=editor)
