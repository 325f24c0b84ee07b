"""What may be asked of editions: danger signs by the page's concern, signed and live only."""

import time
from datetime import UTC, datetime

import pytest
from django.core.checks import run_checks
from django.urls import reverse
from django.utils import translation

from conditions import editions, publishing
from conditions.editions import emergency_signs
from conditions.models import Condition, Edition, RedFlag
from conditions.publishing import PublishingError
from tests.conditions.pages import (
    make_editor,
    make_guide,
    make_page,
    make_reviewer,
    make_shared,
    put_live,
)
from tests.factories import make_clinic, make_concern, make_condition, make_gate
from tests.shared_database import SharedDatabase

pytestmark = pytest.mark.django_db

LATER = datetime(2026, 12, 2, tzinfo=UTC)  # than make_gate publishes
UNSIGNED = {"signed_at": None, "signed_by": None, "signed_digest": ""}


def test_they_are_found_by_the_pages_concern_whatever_the_addresses():
    condition = make_condition(slug="neck")
    make_gate(condition, ["No air", "A stroke"], slug="twisted-neck")
    make_concern(signs=["Another's"], slug="other")
    Condition.objects.filter(pk=condition.pk).update(slug="renamed")
    assert emergency_signs(condition).signs == ("No air", "A stroke")
    assert Edition.objects.live().about(condition).get().document["gate"] == ["No air", "A stroke"]
    assert editions.condition_at("renamed") == editions.condition_at("twisted-neck") == condition
    assert editions.condition_at("nowhere") is None


@pytest.mark.parametrize("about", ["concern", "nothing"])
@pytest.mark.parametrize(
    "values",
    [
        {"live": False},
        {"live": False, "withdrawn_at": LATER},
        UNSIGNED,
        {"signed_digest": "0" * 64},
        {"signs": []},
        {"language": "tr"},
    ],
    ids=[
        "not live",
        "withdrawn",
        "unsigned",
        "signed for another text",
        "empty",
        "in Turkish only",
    ],
)
def test_only_signed_live_signs_are_asked(about, values):
    condition = make_condition() if about == "concern" else None
    make_gate(condition, **({"signs": ["No air"]} | values))
    RedFlag.objects.create(
        condition=condition, level="emergency", text="of the desk", asked_before_booking=True
    )
    assert not emergency_signs(condition)
    assert editions.why_not_bookable(condition)
    assert editions.bookable() == []


def test_the_general_signs_come_from_the_guide_published_last():
    make_gate(signs=["Old"], slug="whatever")
    RedFlag.objects.all().delete()
    make_gate(signs=["New"], published_at=LATER)
    RedFlag.objects.all().delete()
    make_gate(signs=[], published_at=LATER)
    make_gate(signs=["Yeni"], language="tr", published_at=LATER)
    assert emergency_signs(None).signs == ("New",)
    with translation.override("tr"):
        assert emergency_signs(None).signs == ("Yeni",)


def test_what_can_be_booked_is_named_as_it_was_signed():
    condition = make_concern(name="Leaky bladder", summary="A line", position=2)
    first = make_concern(name="First", position=1)
    Condition.objects.filter(pk=condition.pk).update(name="Leaky bladder, cured", summary="Gone")
    names = [(concern.name, concern.summary) for concern in editions.bookable()]
    assert names == [("First", "A line"), ("Leaky bladder", "A line")]
    Condition.objects.filter(pk=first.pk).update(accepts_bookings=False)
    assert [concern.condition for concern in editions.bookable()] == [condition]
    assert editions.why_not_bookable(Condition.objects.get(pk=first.pk)) == editions.NOT_TAKEN


# --- the floor ---


def make_general(text="no air"):
    make_shared()
    RedFlag.objects.create(level="emergency", text=text, asked_before_booking=True)


def test_the_last_general_signs_cannot_be_withdrawn_without_a_successor():
    make_clinic()
    editor, reviewer = make_editor(), make_reviewer()
    make_general()
    first = put_live(make_guide(slug="one"), editor=editor, reviewer=reviewer)
    put_live(make_page(), editor=editor, reviewer=reviewer)
    with pytest.raises(PublishingError, match="general emergency signs"):
        publishing.withdraw(first, by=editor)
    assert emergency_signs(None).edition == first
    second = put_live(make_guide(slug="two"), editor=editor, reviewer=reviewer)
    publishing.withdraw(first, by=editor)
    assert emergency_signs(None).edition == second
    with pytest.raises(PublishingError):
        publishing.withdraw(second, by=editor)


def test_the_last_general_signs_cannot_be_replaced_by_none():
    make_clinic()
    editor, reviewer = make_editor(), make_reviewer()
    make_general()
    page = make_guide()
    live = put_live(page, editor=editor, reviewer=reviewer)
    RedFlag.objects.filter(asked_before_booking=True).delete()
    with pytest.raises(PublishingError, match="general emergency signs"):
        put_live(page, editor=editor, reviewer=reviewer)
    assert emergency_signs(None).edition == live
    page.language = "tr"
    page.save()
    make_general()
    with pytest.raises(PublishingError, match="general emergency signs"):
        put_live(page, editor=editor, reviewer=reviewer)


WITHDRAW = """
import time
from clinic.models import User
from conditions import publishing
from conditions.models import Edition
time.sleep(max(0, {at} - time.time()))
try:
    publishing.withdraw(Edition.objects.get(pk={edition}), by=User.objects.get(pk={user}))
except publishing.PublishingError:
    print("refused")
"""


@pytest.mark.django_db(transaction=True)
def test_two_who_withdraw_at_the_same_moment_leave_one(tmp_path):
    """Each sees the other's guide on the site; only one may go."""
    make_clinic()
    editor, reviewer = make_editor(), make_reviewer()
    make_general()
    guides = [
        put_live(make_guide(slug=slug), editor=editor, reviewer=reviewer) for slug in ("one", "two")
    ]
    with SharedDatabase(tmp_path) as shared:
        codes = [
            WITHDRAW.format(at=time.time() + 6, edition=edition.pk, user=editor.pk)
            for edition in guides
        ]
        started = [shared.start("shell", "-c", code) for code in codes]
        said = [process.communicate(timeout=60)[0] for process in started]
    assert sorted("refused" in words for words in said) == [False, True], said
    assert emergency_signs(None).signs == ("no air",)


def test_the_page_that_withdraws_says_why_not(client):
    make_clinic()
    editor = make_editor()
    make_general()
    live = put_live(make_guide(), editor=editor)
    client.force_login(editor)
    address = reverse("admin:conditions_edition_withdraw", args=[live.pk])
    assert "Publish another guide" in client.post(address, follow=True).content.decode()
    assert Edition.objects.live().get() == live


def test_a_concern_that_was_published_stays_the_one_of_its_page(client):
    """Else its signed signs would be asked of people with another concern."""
    make_clinic()
    editor, other = make_editor(), make_condition(name="Another")
    page = make_page()
    put_live(page, editor=editor)
    client.force_login(editor)
    form = client.get(reverse("admin:conditions_page_change", args=[page.pk]))
    assert 'name="condition"' not in form.content.decode()
    assert not emergency_signs(other)


# --- what the operator is told ---


def warnings():
    found = run_checks(databases=["default"])
    return {problem.id: problem.msg for problem in found if problem.id.startswith("conditions.")}


def test_the_system_check_names_concerns_without_signs():
    make_condition(name="Facial spasm")
    make_condition(name="Closed", accepts_bookings=False)
    make_concern(name="Bruxism")
    found = warnings()
    assert found.keys() == {"conditions.W001", "conditions.W002"}
    assert "Facial spasm" in found["conditions.W001"]
    assert not {"Closed", "Bruxism"} & set(found["conditions.W001"].split())
    make_gate()
    Condition.objects.filter(name="Facial spasm").update(accepts_bookings=False)
    assert warnings() == {}


def test_lost_general_signs_are_found():
    assert list(editions.lost_general_signs()) == []
    edition = make_gate()
    assert list(editions.lost_general_signs()) == []
    Edition.objects.filter(pk=edition.pk).update(live=False)
    assert list(editions.lost_general_signs()) == [str(edition)]
