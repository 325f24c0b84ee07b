"""Loading the starter texts: complete, repeatable, and never over what staff changed."""

import io

import pytest

from clinic.models import Practitioner
from conditions import publishing
from conditions.models import (
    Condition,
    Edition,
    Faq,
    Page,
    RedFlag,
    Reference,
    Section,
    SigningRight,
)
from conditions.starter import content
from conditions.text_checks import gaps
from tests.factories import make_practitioner

pytestmark = pytest.mark.django_db

PEOPLE = ["elena-marlow", "kerem-aydin", "sofia-reyes", "daniel-whitcombe", "miriam-castellan"]
CONDITIONS = {
    "bruxism", "sleep-apnea", "chronic-migraine", "tmj-disorders", "overactive-bladder",
    "upper-limb-spasticity", "cervical-dystonia", "myofascial-pain", "restless-legs",
}  # fmt: skip
GUIDES = {
    "botulinum-toxin-and-sleep", "botulinum-toxin-for-chronic-pain", "how-it-works",
    "is-it-right-for-me", "your-free-consultation", "safety",
}  # fmt: skip


@pytest.fixture
def loaded():
    for slug in PEOPLE:
        make_practitioner(slug=slug)
    content.load()


def test_every_page_is_live_and_signed_openly_as_a_fiction(loaded):
    live = Edition.objects.live()
    assert {e.slug for e in live.conditions()} == CONDITIONS
    assert {e.slug for e in live.guides()} == GUIDES
    assert {e.signed_as for e in live} == {publishing.STARTER_SIGNATURE}
    assert [gap for edition in live for gap in gaps.gaps(edition.document)] == []


def test_every_condition_page_has_a_gate_and_related_pages(loaded):
    for edition in Edition.objects.live().conditions():
        assert 4 <= len(edition.document["gate"]) <= 8, edition.slug
        assert edition.document["related"], edition.slug
        assert len(edition.document["faqs"]) >= 5, edition.slug
        assert Condition.objects.get(slug=edition.slug).practitioners.exists()


def test_loading_again_changes_nothing(loaded):
    def counts():
        models = [Condition, Edition, Faq, Page, RedFlag, Reference, Section]
        return [model.objects.count() for model in models]

    before = counts()
    out = io.StringIO()
    content.load(stdout=out)
    assert counts() == before
    assert "0 conditions and 0 pages" in out.getvalue()


def test_loading_again_leaves_what_staff_changed(loaded):
    Page.objects.filter(slug="bruxism").update(lead="Ours.")
    Condition.objects.filter(slug="bruxism").update(summary="Ours.")
    Section.objects.filter(page__slug="bruxism", kind="who").delete()
    RedFlag.objects.filter(condition=None).first().delete()
    flags = RedFlag.objects.count()
    content.load()
    assert Page.objects.get(slug="bruxism").lead == "Ours."
    assert Condition.objects.get(slug="bruxism").summary == "Ours."
    assert not Section.objects.filter(page__slug="bruxism", kind="who").exists()
    assert RedFlag.objects.count() == flags


def test_a_withdrawn_page_stays_withdrawn(loaded):
    Edition.objects.filter(slug="bruxism").update(live=False)
    content.load()
    assert not Edition.objects.live().filter(slug="bruxism").exists()


def test_a_missing_practitioner_is_named():
    with pytest.raises(content.StarterContentError, match="sofia-reyes"):
        content.load()
    assert not Practitioner.objects.exists()
    assert not Condition.objects.exists()


def test_every_page_is_reviewed_by_somebody_fit_for_it(loaded):
    """Dentists for teeth and jaws, no further; and everybody within their rights."""
    for page in Page.objects.all():
        assert page.reviewer in page.signers, page.slug
    dentist = Practitioner.objects.get(slug="kerem-aydin")
    assert {right.about for right in dentist.signing_rights.all()} == {"bruxism", "tmj-disorders"}
    assert set(dentist.conditions.values_list("slug", flat=True)) == {"bruxism", "tmj-disorders"}
    neurologist = Practitioner.objects.get(slug="elena-marlow")
    assert {right.about for right in neurologist.signing_rights.all()} == {
        "chronic-migraine", "cervical-dystonia", "restless-legs", "sleep-apnea", "guides"
    }  # fmt: skip


def test_drafts_name_nobody():
    content.load(as_drafts=True)
    assert not Page.objects.exclude(reviewer=None).exists()
    assert not SigningRight.objects.exists()
