"""From desk to public: whole editions, signatures bound to text, four eyes."""

from datetime import date, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from clinic.models import AuditEvent, Practitioner, User
from conditions import publishing, snapshot
from conditions.models import (
    Condition,
    Edition,
    Faq,
    RedFlag,
    Reference,
    Section,
    SharedBlock,
    SigningRight,
)
from conditions.publishing import PublishingError
from tests.conditions.pages import (
    let_sign,
    make_editor,
    make_guide,
    make_page,
    make_reviewer,
    put_live,
)
from tests.factories import make_clinic, make_practitioner, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def page():
    make_clinic()
    return make_page()


@pytest.fixture
def editor():
    return make_editor()


@pytest.fixture
def reviewer():
    return make_reviewer()


def actions():
    return list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))


# --- the whole way ---
def test_a_page_goes_from_the_desk_to_the_public(page, editor, reviewer):
    edition = publishing.submit(page, by=editor)
    assert (edition.state, edition.number, edition.created_by) == ("to review", 1, editor)
    edition = publishing.sign(edition, by=reviewer)
    assert edition.signed_as == "Dr. Sam Signer, MD, license A 1234"
    assert edition.signed_digest == edition.digest
    edition = publishing.publish(edition, by=editor)
    assert Edition.objects.live().get() == edition
    assert edition.card["title"] == page.title
    assert actions() == ["edition.submitted", "edition.signed", "edition.published"]


def test_a_new_edition_replaces_the_live_one(page, editor, reviewer):
    first = put_live(page, editor=editor, reviewer=reviewer)
    page.lead = "It may ease pain, for some people."
    page.save()
    second = put_live(page, editor=editor, reviewer=reviewer)
    first.refresh_from_db()
    assert second.number == 2
    assert first.state == "replaced"
    assert Edition.objects.live().get() == second


def test_an_edition_is_whole(page, editor, reviewer):
    """Whatever happens to the page and the shared texts, a published document stays as it was."""
    edition = put_live(page, editor=editor, reviewer=reviewer)
    before = snapshot.digest(Edition.objects.get(pk=edition.pk).document)
    Faq.objects.all().delete()
    page.citations.all().delete()
    Reference.objects.all().delete()
    SharedBlock.objects.all().delete()
    RedFlag.objects.all().delete()
    assert snapshot.digest(Edition.objects.get(pk=edition.pk).document) == before == edition.digest


# --- submit ---
def test_gaps_stop_a_page(page, editor):
    page.reviewer = None
    page.save()
    with pytest.raises(PublishingError) as error:
        publishing.submit(page, by=editor)
    assert [gap.field for gap in error.value.gaps] == ["reviewer"]
    assert not Edition.objects.exists()


def test_the_same_text_is_not_sent_twice(page, editor, reviewer):
    edition = publishing.submit(page, by=editor)
    with pytest.raises(PublishingError, match="waiting"):
        publishing.submit(page, by=editor)
    publishing.publish(publishing.sign(edition, by=reviewer), by=editor)
    with pytest.raises(PublishingError, match="on the site already"):
        publishing.submit(page, by=editor)


def test_a_newer_edition_closes_the_one_that_waits(page, editor, reviewer):
    first = publishing.sign(publishing.submit(page, by=editor), by=reviewer)
    page.lead = "Other words."
    page.save()
    publishing.submit(page, by=editor)
    first.refresh_from_db()
    assert first.state == "sent back"
    assert first.sent_back_note == "Replaced by edition 2."
    assert first.signed_at is None


# --- the signature ---
def change_page(page):
    page.lead += " More."
    page.save()


def change_section(page):
    Section.objects.filter(page=page).update(heading="Changed")


def change_boxed_warning(page):
    SharedBlock.objects.filter(key="boxed-warning").update(body="<p>The effect can spreaD.</p>")


def change_red_flag(page):
    RedFlag.objects.create(condition=page.condition, level="emergency", text="a new sign")


def change_reference(page):
    Reference.objects.update(status="retired")


def change_record(page):
    type(page.condition).objects.update(approval_text="Approved for some.")


CHANGES = [
    change_page, change_section, change_boxed_warning, change_red_flag, change_reference,
    change_record,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_after_sending_stops_the_signature(page, editor, reviewer, change):
    edition = publishing.submit(page, by=editor)
    change(page)
    with pytest.raises(PublishingError, match="changed since"):
        publishing.sign(edition, by=reviewer)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_after_signing_stops_publishing(page, editor, reviewer, change):
    edition = publishing.sign(publishing.submit(page, by=editor), by=reviewer)
    change(page)
    with pytest.raises(PublishingError, match="changed since"):
        publishing.publish(edition, by=editor)
    assert not Edition.objects.live().exists()


def test_a_signature_holds_for_one_text_only(page, editor, reviewer):
    edition = publishing.sign(publishing.submit(page, by=editor), by=reviewer)
    forged = edition.document | {"lead": "Forged."}
    Edition.objects.filter(pk=edition.pk).update(document=forged)
    with pytest.raises(PublishingError, match="another text"):
        publishing.publish(edition, by=editor)


def test_an_unsigned_edition_is_not_published(page, editor):
    edition = publishing.submit(page, by=editor)
    with pytest.raises(PublishingError, match="to review"):
        publishing.publish(edition, by=editor)


def test_a_signed_edition_is_not_signed_again(page, editor, reviewer):
    edition = publishing.sign(publishing.submit(page, by=editor), by=reviewer)
    with pytest.raises(PublishingError, match="it is signed"):
        publishing.sign(edition, by=make_reviewer(name="Dr. Two"))


# --- who may sign ---
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"license_checked_on": None}, "two years"),
        ({"license_checked_on": date(2020, 1, 1)}, "two years"),
        ({"credentials": ""}, "credentials"),
        ({"archived": True}, "Only a practitioner"),
    ],
)
def test_only_a_qualified_practitioner_signs(page, editor, reviewer, values, words):
    Practitioner.objects.filter(user=reviewer).update(**values)
    edition = publishing.submit(page, by=editor)
    with pytest.raises(PublishingError, match=words):
        publishing.sign(edition, by=reviewer)


def test_a_license_checked_24_months_ago_still_counts_and_25_not(page, editor, reviewer):
    edition = publishing.submit(page, by=editor)
    checked = timezone.localdate() - timedelta(days=760)
    Practitioner.objects.filter(user=reviewer).update(license_checked_on=checked)
    with pytest.raises(PublishingError, match="two years"):
        publishing.sign(edition, by=reviewer)
    checked = timezone.localdate() - timedelta(days=728)
    Practitioner.objects.filter(user=reviewer).update(license_checked_on=checked)
    assert publishing.sign(edition, by=reviewer).signed_at


@pytest.mark.parametrize("verb", ["sign", "mark_reviewed"])
def test_who_may_not_sign_this_page_is_told_who_may(page, editor, reviewer, verb):
    let_sign(make_practitioner(name="Dr. Jaw"), page.condition)
    SigningRight.objects.filter(
        practitioner=reviewer.practitioner, condition=page.condition
    ).delete()
    edition = publishing.submit(page, by=editor)
    calls = {
        "sign": lambda: publishing.sign(edition, by=reviewer),
        "mark_reviewed": lambda: publishing.mark_reviewed(
            page, by=reviewer, on=date(2026, 11, 2), next_due=date(2027, 11, 2)
        ),
    }
    with pytest.raises(
        PublishingError, match="not sign pages about Sore jaw: at present Dr. Jaw may"
    ):
        calls[verb]()
    let_sign(reviewer.practitioner, page.condition)
    assert calls[verb]()


def test_guides_need_a_right_of_their_own_whatever_they_are_related_to(page, editor, reviewer):
    """An editor could otherwise empty the list of related conditions, and choose who signs."""
    guide = make_guide()
    guide.related.add(page.condition)
    SigningRight.objects.filter(condition=None).delete()
    edition = publishing.submit(guide, by=editor)
    with pytest.raises(PublishingError, match="not sign guides: at present nobody may"):
        publishing.sign(edition, by=reviewer)
    let_sign(reviewer.practitioner, None)
    assert publishing.sign(edition, by=reviewer).signed_at


def test_a_right_taken_back_after_signing_stops_publishing(page, editor, reviewer):
    edition = publishing.sign(publishing.submit(page, by=editor), by=reviewer)
    SigningRight.objects.all().delete()
    with pytest.raises(PublishingError, match="Dr. Sam Signer may no longer sign"):
        publishing.publish(edition, by=editor)
    assert not Edition.objects.live().exists()


def test_a_right_taken_back_leaves_what_is_on_the_site(page, editor, reviewer):
    edition = put_live(page, editor=editor, reviewer=reviewer)
    SigningRight.objects.all().delete()
    edition.refresh_from_db()
    assert edition.live


def test_who_wrote_the_page_cannot_mark_it_as_reviewed(page):
    owner = qualified_superuser()
    publishing.record_change(page, by=owner, fields=["lead"])
    with pytest.raises(PublishingError, match="somebody else"):
        publishing.mark_reviewed(page, by=owner, on=date(2026, 11, 2), next_due=date(2027, 11, 2))


def test_a_practitioner_has_a_right_once(page, reviewer):
    for condition in (page.condition, None):
        with pytest.raises(IntegrityError), transaction.atomic():
            SigningRight.objects.create(practitioner=reviewer.practitioner, condition=condition)


@pytest.mark.parametrize("verb", ["submit", "sign", "send_back", "publish", "withdraw", "review"])
def test_every_verb_needs_its_permission(page, editor, reviewer, verb):
    live = put_live(page, editor=editor, reviewer=reviewer)
    nobody = make_user()
    make_practitioner(user=nobody, license_checked_on=timezone.localdate())
    day = date(2026, 10, 1)
    calls = {
        "submit": lambda: publishing.submit(page, by=nobody),
        "sign": lambda: publishing.sign(live, by=nobody),
        "send_back": lambda: publishing.send_back(live, by=nobody, note="x"),
        "publish": lambda: publishing.publish(live, by=nobody),
        "withdraw": lambda: publishing.withdraw(live, by=nobody),
        "review": lambda: publishing.mark_reviewed(
            page, by=nobody, on=day, next_due=day + timedelta(days=30)
        ),
    }
    with pytest.raises(PublishingError, match="You do not have the right"):
        calls[verb]()


def qualified_superuser():
    user = make_user("superuser")
    practitioner = make_practitioner(user=user, license_checked_on=timezone.localdate())
    let_sign(practitioner, *Condition.objects.all())
    return user


def test_who_sent_the_page_cannot_sign_it_superuser_or_not(page):
    owner = qualified_superuser()
    edition = publishing.submit(page, by=owner)
    with pytest.raises(PublishingError, match="somebody else"):
        publishing.sign(edition, by=owner)


def test_who_changed_it_last_cannot_sign_it(page, editor):
    owner = qualified_superuser()
    publishing.record_change(page, by=owner, fields=["lead"])
    edition = publishing.submit(page, by=editor)
    with pytest.raises(PublishingError, match="somebody else"):
        publishing.sign(edition, by=owner)


def test_a_writes_b_fixes_a_comma_a_cannot_sign_and_c_can(page, reviewer):
    writer, fixer = qualified_superuser(), make_editor()
    publishing.record_change(page, by=writer, fields=["lead"])
    publishing.record_change(page, by=fixer, fields=["lead"])
    edition = publishing.submit(page, by=fixer)
    with pytest.raises(PublishingError, match="somebody else"):
        publishing.sign(edition, by=writer)
    assert publishing.sign(edition, by=reviewer).signed_by.user == reviewer


@pytest.mark.parametrize("shared", ["boxed", "flag", "reference", "record"])
def test_who_changed_a_shared_text_cannot_sign_the_pages_that_show_it(page, editor, shared):
    owner = qualified_superuser()
    subject = {
        "boxed": SharedBlock.objects.get(key="boxed-warning"),
        "flag": RedFlag.objects.filter(condition=None).first(),
        "reference": Reference.objects.first(),
        "record": page.condition,
    }[shared]
    publishing.record_change(subject, by=owner, fields=["body"])
    edition = publishing.submit(page, by=editor)
    with pytest.raises(PublishingError, match="somebody else"):
        publishing.sign(edition, by=owner)


def test_changes_before_the_last_signature_no_longer_bind(page, editor, reviewer):
    owner = qualified_superuser()
    publishing.record_change(page, by=owner, fields=["lead"])
    put_live(page, editor=editor, reviewer=reviewer)
    page.lead = "New words."
    page.save()
    publishing.record_change(page, by=editor, fields=["lead"])
    edition = publishing.submit(page, by=editor)
    assert publishing.sign(edition, by=owner).state == "signed"


def test_a_one_person_clinic_may_switch_the_rule_off(page):
    make_clinic(two_person_signoff=False)
    owner = qualified_superuser()
    edition = publishing.sign(publishing.submit(page, by=owner), by=owner)
    assert publishing.publish(edition, by=owner).live


# --- sending back, withdrawing, reviewing ---
def test_sending_back_needs_a_reason_and_voids_a_signature(page, editor, reviewer):
    edition = publishing.sign(publishing.submit(page, by=editor), by=reviewer)
    with pytest.raises(PublishingError, match="Say what"):
        publishing.send_back(edition, by=reviewer, note=" ")
    edition = publishing.send_back(edition, by=reviewer, note="The number is wrong.")
    assert (edition.state, edition.signed_as) == ("sent back", "")
    with pytest.raises(PublishingError):
        publishing.publish(edition, by=editor)
    assert "number" not in str(AuditEvent.objects.latest("pk").details)


def test_a_withdrawn_page_comes_back_only_as_a_new_edition(page, editor, reviewer):
    edition = publishing.withdraw(put_live(page, editor=editor, reviewer=reviewer), by=editor)
    assert edition.state == "withdrawn"
    assert not Edition.objects.live().exists()
    with pytest.raises(PublishingError):
        publishing.publish(edition, by=editor)
    with pytest.raises(PublishingError):
        publishing.withdraw(edition, by=editor)
    assert put_live(page, editor=editor, reviewer=reviewer).number == 2


def test_another_page_at_the_address_is_not_pushed_away(page, editor, reviewer):
    guide = make_guide(slug="first")
    put_live(guide, editor=editor, reviewer=reviewer)
    type(guide).objects.filter(pk=guide.pk).update(slug="moved")
    newcomer = make_guide(slug="first")
    edition = publishing.sign(publishing.submit(newcomer, by=editor), by=reviewer)
    with pytest.raises(PublishingError, match="Another page"):
        publishing.publish(edition, by=editor)


def test_only_a_whole_review_moves_the_dates(page, editor, reviewer):
    put_live(page, editor=editor, reviewer=reviewer)
    page.lead = "A typo less."
    page.save()
    live = put_live(page, editor=editor, reviewer=reviewer)
    assert live.document["last_reviewed"] == "2026-10-01"
    on = date(2026, 11, 2)
    page = publishing.mark_reviewed(page, by=reviewer, on=on, next_due=date(2027, 11, 2))
    assert (page.last_reviewed, page.reviewer.user) == (on, reviewer)
    assert publishing.sign(publishing.submit(page, by=editor), by=reviewer)


@pytest.mark.parametrize(
    ("on", "next_due"),
    [
        (date(2026, 10, 1), date(2029, 10, 2)),
        (date(2026, 10, 1), date(2026, 10, 1)),
        (date(2999, 1, 1), date(2999, 2, 1)),
    ],
)
def test_impossible_reviews_are_refused(page, reviewer, on, next_due):
    with pytest.raises(PublishingError):
        publishing.mark_reviewed(page, by=reviewer, on=on, next_due=next_due)


# --- the database guards ---
FROZEN = [
    ("document", "'{}'"), ("card", "'{}'"), ("digest", "'x'"), ("slug", "'x'"), ("number", "9"),
    ("signed_as", "'x'"), ("signed_digest", "'x'"),
]  # fmt: skip


@pytest.mark.parametrize(("column", "value"), FROZEN)
def test_raw_sql_cannot_change_a_published_edition(page, editor, reviewer, column, value):
    edition = put_live(page, editor=editor, reviewer=reviewer)
    sql = f"UPDATE conditions_edition SET {column} = {value} WHERE id = %s"
    with (
        pytest.raises(IntegrityError),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql, [edition.pk])


def test_no_python_can_change_a_published_edition(page, editor, reviewer):
    edition = put_live(page, editor=editor, reviewer=reviewer)
    with pytest.raises(IntegrityError), transaction.atomic():
        Edition.objects.filter(pk=edition.pk).update(document={"lead": "Forged."})
    edition.published_at = None
    with pytest.raises(IntegrityError), transaction.atomic():
        edition.save()


def test_two_live_editions_at_one_address_are_impossible(page, editor, reviewer):
    edition = put_live(page, editor=editor, reviewer=reviewer)
    edition.pk, edition.number = None, 2
    with pytest.raises(IntegrityError), transaction.atomic():
        edition.save(force_insert=True)


def test_a_person_who_signed_cannot_vanish(page, editor, reviewer):
    put_live(page, editor=editor, reviewer=reviewer)
    with pytest.raises(IntegrityError):
        User.objects.get(pk=editor.pk).delete()
