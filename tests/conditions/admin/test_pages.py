"""The desk of editors and reviewers: the whole way by clicks, lost updates, lists, permissions."""

import re
from html import unescape

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from clinic import starter_clinic
from clinic.models import AuditEvent
from clinic.staff.adapters import DEMO_GROUP
from conditions import body_map, publishing
from conditions.models import (
    Condition,
    Edition,
    Faq,
    Page,
    RedFlag,
    Reference,
    Section,
    SharedBlock,
    SigningRight,
)
from conditions.starter import content
from tests.conditions.pages import (
    make_editor,
    make_guide,
    make_page,
    make_reviewer,
    make_staff,
    put_live,
)
from tests.factories import make_clinic, make_condition, make_practitioner, make_user

pytestmark = pytest.mark.django_db

MODELS = ["condition", "page", "edition", "reference", "sharedblock", "faq", "redflag"]


@pytest.fixture
def page():
    make_clinic()
    return make_page(condition=make_condition(slug="sore-jaw", name="Sore jaw"))


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def editor():
    return signed_in(make_editor(first_name="Ed", last_name="Itor"))


@pytest.fixture
def reviewer():
    return signed_in(make_reviewer())


def change_url(row):
    return reverse(f"admin:conditions_{row._meta.model_name}_change", args=[row.pk])


def values_of(response):
    """What a browser would send back: every field of the admin's form as it stands."""
    context = response.context
    forms = [context["adminform"].form]
    for inline in context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    values = {}
    for form in forms:
        for field in form:
            value = field.value()
            if value is not None and value is not False:
                values[field.html_name] = value
    return values


def save(client, page, button="_save", **changes):
    opened = client.get(change_url(page))
    return client.post(change_url(page), values_of(opened) | changes | {button: "1"})


def act(client, row, verb, **values):
    name = f"admin:conditions_{row._meta.model_name}_act"
    return client.post(reverse(name, args=[row.pk, verb]), values, follow=True)


def public_text(client, slug="sore-jaw"):
    from django.core.cache import caches

    caches["memory"].clear()
    return Client().get(reverse("conditions:condition", args=[slug])).content.decode()


# --- the whole way ---
def test_edit_send_sign_publish_and_the_page_changes(page, editor, reviewer):
    put_live(page)
    response = save(
        editor, page, lead="New words, but no promise.", **{"sections-0-heading": "Short"}
    )
    assert response.status_code == 302
    assert "New words" not in public_text(editor)

    response = act(editor, page, "submit")
    edition = Edition.objects.get(number=2)
    assert "waits for a reviewer" in response.content.decode()

    compared = reviewer.get(reverse("admin:conditions_edition_compare", args=[edition.pk]))
    text = compared.content.decode()
    assert "<strong>Added</strong>" in text
    assert "<strong>Removed</strong>" in text
    assert "New words, but no promise." in text

    assert "Tick that you have read" in act(reviewer, edition, "sign").content.decode()
    assert "Signed." in act(reviewer, edition, "sign", read="on").content.decode()
    assert "New words" not in public_text(editor)

    assert "is on the site" in act(editor, edition, "publish").content.decode()
    assert "New words, but no promise." in public_text(editor)
    changed = AuditEvent.objects.get(action="page.changed")
    assert changed.details == {"fields": ["Lead", "section: Heading"]}
    assert changed.actor.first_name == "Ed"


def test_an_editor_cannot_sign_and_a_reviewer_cannot_publish(page, editor, reviewer):
    act(editor, page, "submit")
    edition = Edition.objects.get()
    assert "You do not have the right" in act(editor, edition, "sign", read="on").content.decode()
    act(reviewer, edition, "sign", read="on")
    assert "You do not have the right" in act(reviewer, edition, "publish").content.decode()
    assert not Edition.objects.live().exists()


def test_the_reviewer_sends_back_with_a_reason_that_the_editor_sees(page, editor, reviewer):
    act(editor, page, "submit")
    edition = Edition.objects.get()
    assert "Say what" in act(reviewer, edition, "send-back", note="").content.decode()
    act(reviewer, edition, "send-back", note="Name the placebo group.")
    assert "Name the placebo group." in editor.get(change_url(page)).content.decode()


def test_withdrawing_asks_first(page, editor):
    edition = put_live(page)
    address = reverse("admin:conditions_edition_withdraw", args=[edition.pk])
    assert "disappears" in editor.get(address).content.decode()
    assert Edition.objects.live().exists()
    editor.post(address)
    assert not Edition.objects.live().exists()


def test_marking_as_reviewed(page, reviewer):
    act(reviewer, page, "reviewed", on="2026-11-01", next_due="2027-11-01")
    page.refresh_from_db()
    assert str(page.next_review_due) == "2027-11-01"
    text = act(reviewer, page, "reviewed", on="2026-11-01", next_due="x").content.decode()
    assert "Enter both dates." in text
    text = act(reviewer, page, "reviewed", on="2026-11-01", next_due="2031-11-01").content.decode()
    assert "within 36 months" in text


def test_nobody_chooses_the_reviewer(page, editor):
    """The record says who read the page; a forged post changes neither the name nor the dates."""
    other = make_practitioner(name="Dr. Other")
    forged = {"reviewer": other.pk, "last_reviewed": "2026-11-20", "next_review_due": "2028-11-20"}
    save(editor, page, title="A new title", **forged)
    saved = Page.objects.get()
    assert saved.title == "A new title"
    assert (saved.reviewer, saved.last_reviewed) == (page.reviewer, page.last_reviewed)
    assert saved.next_review_due == page.next_review_due
    add = reverse("admin:conditions_page_add")
    assert 'name="reviewer"' not in editor.get(add).content.decode()


def test_the_desk_shows_who_may_sign(page, editor, reviewer):
    act(editor, page, "submit")
    edition = Edition.objects.get()
    shown = reverse("admin:conditions_edition_change", args=[edition.pk])
    assert "Who may sign this page: Dr. Sam Signer." in editor.get(shown).content.decode()
    assert 'value="Sign"' in reviewer.get(shown).content.decode()
    SigningRight.objects.all().delete()
    text = reviewer.get(shown).content.decode()
    assert "Nobody may sign this page yet." in text
    assert 'value="Sign"' not in text
    assert "You may not sign pages" in act(reviewer, edition, "sign", read="on").content.decode()
    assert 'value="Mark as reviewed"' not in reviewer.get(change_url(page)).content.decode()


# --- who may sign ---
def rights_on(client, practitioner, *, add=(), delete=()):
    """Post the practitioner's page with rights added (keys of conditions) and ticked for deletion."""
    address = reverse("admin:clinic_practitioner_change", args=[practitioner.pk])
    opened = client.get(address)
    values = values_of(opened) if opened.status_code == 200 else {}
    first = values.setdefault("signing_rights-INITIAL_FORMS", 0)
    for number, condition in enumerate(add, start=first):
        values[f"signing_rights-{number}-condition"] = condition
        values[f"signing_rights-{number}-practitioner"] = practitioner.pk
    values["signing_rights-TOTAL_FORMS"] = first + len(add)
    for number in delete:
        values[f"signing_rights-{number}-DELETE"] = "on"
    return client.post(address, values)


def test_managers_say_who_may_sign_what_and_it_is_recorded(page):
    manager, practitioner = signed_in(make_staff("Manager")), make_practitioner()
    assert (
        rights_on(manager, practitioner, add=[page.condition.pk, "guides", "guides"]).status_code
        == 302
    )
    assert {right.about for right in practitioner.signing_rights.all()} == {"sore-jaw", "guides"}
    given = AuditEvent.objects.filter(action="signing_right.given", object_key=practitioner.pk)
    assert sorted(event.details["about"] for event in given) == ["guides", "sore-jaw"]
    assert rights_on(manager, practitioner, add=[page.condition.pk]).status_code == 200, "twice"
    assert rights_on(manager, practitioner, delete=[0]).status_code == 302
    assert practitioner.signing_rights.count() == 1
    assert AuditEvent.objects.filter(action="signing_right.taken").count() == 1


@pytest.mark.parametrize("role", ["Editor", "Clinical reviewer", "Practitioner", "Front desk"])
def test_nobody_else_says_who_may_sign(page, role):
    user = make_staff(role)
    practitioner = make_practitioner(user=user)
    rights_on(signed_in(user), practitioner, add=[page.condition.pk])
    assert not practitioner.signing_rights.exists()
    with pytest.raises(publishing.PublishingError, match="do not have the right"):
        publishing.let_sign(practitioner, page.condition, by=user)


# --- the panel ---
def test_gaps_are_listed_with_links_to_the_field(page, editor):
    Page.objects.update(reviewer=None, lead="It cures pain.")
    SharedBlock.objects.filter(key="boxed-warning").delete()
    text = editor.get(change_url(page)).content.decode()
    assert '<a href="#reviewed">No reviewer is named.</a>' in text
    assert '<a href="#id_lead">Says more than the evidence' in text
    assert reverse("admin:conditions_sharedblock_changelist") in text
    response = act(editor, page, "submit")
    told = [str(message) for message in response.context["messages"]]
    assert told[0] == "The page is not complete."
    assert len(told) > 1, "the reasons, too"
    assert not Edition.objects.exists()


def test_acting_needs_post(page, editor):
    address = reverse("admin:conditions_page_act", args=[page.pk, "submit"])
    assert editor.get(address).status_code == 405


def test_acting_needs_the_token(page, editor):
    user = make_editor()
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user)
    address = reverse("admin:conditions_page_act", args=[page.pk, "submit"])
    assert strict.post(address).status_code == 403
    assert not Edition.objects.exists()


# --- previews ---
def test_a_preview_shows_unsaved_words_and_saves_nothing(page, editor):
    before = (Page.objects.get().updated_at, Faq.objects.count(), AuditEvent.objects.count())
    response = save(
        editor, page, button="_preview", lead="Only a thought.",
        **{
            "faqs-TOTAL_FORMS": "2", "faqs-1-question": "Brand new?",
            "faqs-1-answer": "<p>Yes.</p>", "faqs-1-position": "0", "faqs-1-page": str(page.pk),
        },
    )  # fmt: skip
    text = response.content.decode()
    assert "Only a thought." in text
    assert "Brand new?" in text
    assert 'name="robots" content="noindex"' in text
    assert "no-store" in response["Cache-Control"]
    after = (Page.objects.get().updated_at, Faq.objects.count(), AuditEvent.objects.count())
    assert after == before


def test_a_preview_of_a_wrong_form_shows_the_form(page, editor):
    response = save(editor, page, button="_preview", title="")
    assert "Please correct the error" in response.content.decode()


# --- no lost updates ---
def test_saving_over_a_newer_save_is_refused_and_both_texts_stay(page, editor):
    opened = values_of(editor.get(change_url(page)))
    other = signed_in(make_editor())
    save(other, page, lead="Theirs.")
    response = editor.post(change_url(page), opened | {"lead": "Mine.", "_save": "1"})
    text = response.content.decode()
    assert response.status_code == 200
    assert "saved this page after you opened it" in text
    assert "Mine." in text
    assert "Theirs." in text
    assert Page.objects.get().lead == "Theirs."
    # Saving again, now that the newer text was shown, is a decision.
    response = editor.post(
        change_url(page), values_of(response) | {"lead": "Mine after all.", "_save": "1"}
    )
    assert response.status_code == 302
    assert Page.objects.get().lead == "Mine after all."


def test_a_change_of_an_inline_row_alone_counts_as_newer(page, editor):
    opened = values_of(editor.get(change_url(page)))
    other = signed_in(make_editor())
    save(other, page, **{"sections-0-heading": "Theirs"})
    response = editor.post(change_url(page), opened | {"lead": "Mine.", "_save": "1"})
    assert "saved this page after you opened it" in response.content.decode()


def test_saving_without_a_change_changes_nothing(page, editor):
    before = Page.objects.get()
    assert save(editor, page).status_code == 302
    after = Page.objects.get()
    assert (after.updated_at, after.updated_by) == (before.updated_at, before.updated_by)
    assert not AuditEvent.objects.filter(action="page.changed").exists()


def test_a_new_row_goes_to_the_end(page, editor):
    save(
        editor, page,
        **{
            "faqs-TOTAL_FORMS": "2", "faqs-1-question": "New?", "faqs-1-answer": "<p>Yes.</p>",
            "faqs-1-position": "0", "faqs-1-page": str(page.pk),
        },
    )  # fmt: skip
    assert [faq.question for faq in page.faqs.all()] == ["Does it hurt?", "New?"]


def test_hostile_html_typed_in_the_admin_is_cleaned(page, editor):
    save(editor, page, **{"sections-0-body": "<p onclick=x>ok</p><script>alert(1)</script>"})
    assert page.sections.first().body == "<p>ok</p>"


# --- shared texts ---
@pytest.mark.parametrize(
    ("make", "field", "value"),
    [
        (lambda: SharedBlock.objects.get(key="boxed-warning"), "body", "<p>Changed.</p>"),
        (lambda: RedFlag.objects.filter(condition=None).first(), "text", "you feel weak"),
        (lambda: Reference.objects.first(), "status", "retired"),
        (lambda: Condition.objects.first(), "evidence_note", "One trial."),
    ],
)
def test_a_shared_change_is_noted_on_the_page_and_its_reach_is_shown(
    page, editor, make, field, value
):
    row = make()
    opened = values_of(editor.get(change_url(row)))
    response = editor.post(change_url(row), opened | {field: value, "_save": "1"}, follow=True)
    assert "part of 1 page." in response.content.decode()
    assert AuditEvent.objects.filter(action="page.changed", object_key=str(page.pk)).exists()


def test_only_shared_rows_are_listed(page, editor):
    Faq.objects.create(page=None, question="A shared one?", answer="<p>Yes.</p>")
    text = editor.get(reverse("admin:conditions_faq_changelist")).content.decode()
    assert "A shared one?" in text
    assert "Does it hurt?" not in text
    text = editor.get(reverse("admin:conditions_redflag_changelist")).content.decode()
    assert "chest pain" not in text


# --- what nobody may do ---
@pytest.fixture
def owner():
    user = make_user("superuser")
    user.groups.add(Group.objects.get_or_create(name=DEMO_GROUP)[0])
    return signed_in(user)


def test_no_edition_is_added_changed_or_deleted_by_hand(page, owner):
    edition = put_live(page)
    assert owner.get(reverse("admin:conditions_edition_add")).status_code == 403
    delete = reverse("admin:conditions_edition_delete", args=[edition.pk])
    assert owner.post(delete, {"post": "yes"}).status_code == 403
    assert owner.post(change_url(edition), {"slug": "x"}).status_code == 403


def test_a_page_with_editions_is_not_deleted(page, owner):
    put_live(page)
    delete = reverse("admin:conditions_page_delete", args=[page.pk])
    assert owner.post(delete, {"post": "yes"}).status_code == 403
    draft = make_guide()
    delete = reverse("admin:conditions_page_delete", args=[draft.pk])
    assert owner.post(delete, {"post": "yes"}).status_code == 302


def test_the_boxed_warning_is_not_deleted(page, owner):
    block = SharedBlock.objects.get(key="boxed-warning")
    delete = reverse("admin:conditions_sharedblock_delete", args=[block.pk])
    assert owner.post(delete, {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("model", MODELS)
def test_the_desk_is_closed_to_other_roles(page, model):
    edition = put_live(page)
    user = make_user("Front desk")
    user.groups.add(Group.objects.get_or_create(name=DEMO_GROUP)[0])
    client = signed_in(user)
    assert client.get(reverse(f"admin:conditions_{model}_changelist")).status_code == 403
    for verb in ("sign", "publish", "send-back"):
        address = reverse("admin:conditions_edition_act", args=[edition.pk, verb])
        assert client.post(address).status_code == 403
    address = reverse("admin:conditions_page_act", args=[page.pk, "submit"])
    assert client.post(address).status_code == 403


# --- lists ---
@pytest.mark.parametrize("model", MODELS)
def test_lists_take_the_same_queries_at_any_size(page, owner, model):
    put_live(page)
    Faq.objects.create(page=None, question="Shared?", answer="<p>Yes.</p>")
    address = reverse(f"admin:conditions_{model}_changelist")
    owner.get(address)
    with CaptureQueriesContext(connection) as few:
        owner.get(address)
    editor, reviewer = make_editor(), make_reviewer(name="Dr. Many")
    for number in range(6):
        condition = make_condition(slug=f"many-{number}")
        edition = put_live(make_page(condition=condition), editor=editor, reviewer=reviewer)
        Reference.objects.create(key=f"r-{number}", citation="x", year=2020, kind="trial")
        Faq.objects.create(page=None, question=f"Shared {number}?", answer="<p>Yes.</p>")
        RedFlag.objects.create(level="urgent", text=f"sign {number}")
        assert edition.live
    with CaptureQueriesContext(connection) as many:
        owner.get(address)
    assert len(many) == len(few)


@pytest.mark.parametrize(
    ("query", "found"),
    [("state=live", 1), ("state=off", 1), ("state=review", 0), ("state=changed", 0),
     ("review=overdue", 0),
     ("review=none", 1), ("q=jaw", 1), ("kind__exact=guide", 1)],
)  # fmt: skip
def test_filters_and_search_of_pages(page, editor, query, found):
    put_live(page)
    make_guide(title="Plain", next_review_due=None)
    response = editor.get(f"{reverse('admin:conditions_page_changelist')}?{query}")
    assert response.context["cl"].result_count == found


def test_a_changed_safety_text_shows_on_every_page_that_has_it(page, editor):
    """Also where the page itself was not touched, and where a text waits for its reviewer."""
    put_live(page)
    publishing.submit(make_guide(title="Waiting"), by=make_editor())
    listed, differs = reverse("admin:conditions_page_changelist"), "the page says something else"
    assert differs not in editor.get(listed).content.decode()
    block = SharedBlock.objects.get(key="boxed-warning")
    values = {"title": block.title, "body": "<p>Less.</p>", "position": 0}
    changed = editor.post(change_url(block), values, follow=True).content.decode()
    assert f"{listed}?state=changed" in changed
    assert editor.get(listed).content.decode().count(differs) == 3
    shown = editor.get(listed, {"state": "changed"}).context["cl"].result_list
    assert [page.title for page in shown] == [page.title]
    panel = editor.get(change_url(page)).content.decode()
    assert "Danger signs and safety: 1" in panel
    compared = editor.get(reverse("admin:conditions_page_compare", args=[page.pk]))
    text = compared.content.decode()
    assert "<del>The effect can spread.</del>" in text
    assert "<ins>Less.</ins>" in text


def test_the_reviewer_sees_how_many_dangerous_changes_there_are_beside_the_signature(
    page, editor, reviewer
):
    put_live(page)
    RedFlag.objects.filter(text="a locked jaw").update(level="see_doctor")
    edition = publishing.submit(page, by=make_editor())
    text = reviewer.get(change_url(edition)).content.decode()
    assert "Danger signs and safety: 1." in text
    compared = reviewer.get(reverse("admin:conditions_edition_compare", args=[edition.pk]))
    text = compared.content.decode()
    assert "<del>The same day: a locked jaw</del>" in text
    assert "<ins>See a doctor: a locked jaw</ins>" in text
    assert "Nothing differs" not in text


def _demote():
    sign = RedFlag.objects.get(condition__slug="overactive-bladder", text__startswith="heavy ble")
    sign.level, sign.asked_before_booking = "urgent", False
    sign.save()


def _in_text(old, new):
    def change():
        section = Section.objects.filter(
            page__slug="overactive-bladder", body__contains=old
        ).first()
        section.body = section.body.replace(old, new, 1)
        section.save()

    return change


def _condition(**values):
    return lambda: Condition.objects.filter(slug="overactive-bladder").update(**values)


def _sections(**values):
    charts = Section.objects.filter(page__slug="overactive-bladder").exclude(chart_title="")
    return lambda: charts.update(**values)


@pytest.fixture
def starter_pages():
    """An editor signed in on a site with the starter's texts."""
    starter_clinic.load()
    content.load()
    return signed_in(make_editor())


@pytest.mark.parametrize(
    ("change", "risk", "lines"),
    [
        (_demote, "Danger signs and safety",
         ["<del>Emergency: heavy bleeding", "<ins>The same day: heavy bleeding"]),
        (_in_text("<strong>Infection:</strong>", "Infection:"), "Other words",
         ["<del>• **Infection:** about 18", "<ins>• Infection: about 18"]),
        (_in_text("<td>18</td><td>6</td>", "<td>6</td><td>18</td>"),
         "Approval, evidence and numbers", ["<del>Urine infection | 18 | 6<", "| 6 | 18<"]),
        (_condition(synonyms="bladder cramps"), "Other words", ["<ins>Also called: bladder cramps"]),
        (_condition(duration_source="clinical experience"), "Approval, evidence and numbers",
         ["<del>Source: product label [botox-label]", "<ins>Source: clinical experience"]),
        (_sections(chart_rest_label="had more leaks"), "Approval, evidence and numbers",
         ["<ins>Chart, the others: had more leaks"]),
        (lambda: Page.objects.filter(slug="overactive-bladder").update(slug="leaks"),
         "Other words", ["<del>Address: overactive-bladder", "<ins>Address: leaks"]),
        (lambda: Reference.objects.filter(key="nitti-2013").update(url="https://example.org/"),
         "Other words", ["<del>Link: https://pubmed", "<ins>Link: https://example.org/"]),
    ],
)  # fmt: skip
def test_changes_that_were_invisible_are_on_the_screen(starter_pages, change, risk, lines):
    """Each change alone, of a page as it came with the starter, in the list under its risk."""
    change()
    page = Page.objects.get(condition__slug="overactive-bladder")
    compared = starter_pages.get(reverse("admin:conditions_page_compare", args=[page.pk]))
    text = unescape(compared.content.decode())
    assert "Nothing differs" not in text
    headings = re.findall(r"<h2>([^<]*) <span>", text)
    assert headings[0] == risk, headings
    assert [line for line in lines if line not in text] == []


@pytest.mark.parametrize(
    ("state", "found"),
    [("live", 1), ("replaced", 1), ("to review", 1), ("signed", 0), ("withdrawn", 0),
     ("sent back", 0)],
)  # fmt: skip
def test_filter_of_editions_agrees_with_their_state(page, editor, state, found):
    put_live(page)
    Page.objects.update(lead="Second, but no promise.")
    page.refresh_from_db()
    put_live(page, reviewer=make_reviewer(name="Dr. Two"))
    publishing.submit(make_guide(), by=make_editor())
    response = editor.get(reverse("admin:conditions_edition_changelist"), {"state": state})
    listed = response.context["cl"].result_list
    assert [edition.state for edition in listed] == [state] * found


# --- the security policy ---
def test_admin_pages_hold_nothing_that_the_policy_refuses(page, owner):
    edition = put_live(page)
    addresses = [
        change_url(page), change_url(edition), change_url(page.condition),
        change_url(SharedBlock.objects.first()), reverse("admin:conditions_page_add"),
        reverse("admin:conditions_edition_compare", args=[edition.pk]),
        reverse("admin:conditions_edition_withdraw", args=[edition.pk]),
        *(reverse(f"admin:conditions_{model}_changelist") for model in MODELS),
    ]  # fmt: skip
    for address in addresses:
        response = owner.get(address)
        text = response.content.decode()
        assert response.status_code == 200, address
        assert not re.search(r"<[^>]+ style=|<style", text), address
        assert not re.search(r"<[^>]+ on[a-z]+=", text), address
        nonce = re.search(r"'nonce-([^']+)'", response["Content-Security-Policy"])
        for script in re.findall(r"<script(?![^>]*\bsrc=)([^>]*)>", text):
            is_data = "application/json" in script or "text/plain" in script
            assert is_data or f'nonce="{nonce[1]}"' in script, (address, script)


# --- the body map ---
def test_an_editor_puts_a_condition_on_the_body_map(page, editor):
    """Whatever its slug: no place is written in the code."""
    put_live(page)
    place = {"map_x": "180", "map_y": "86", "map_side": "left", "map_label_y": "108"}
    assert save(editor, page.condition, **place).status_code == 302
    (found,) = body_map.places(Edition.objects.all())
    assert (found.card["slug"], found.line) == (page.slug, "M98 108h24L180 86")
    assert '<path d="M98 108h24L180 86"/>' in Client().get("/").content.decode()


@pytest.mark.parametrize("wrong", [{"map_label_y": ""}, {"map_side": ""}, {"map_x": "361"}])
def test_half_a_place_on_the_body_map_is_refused(page, editor, wrong):
    place = {"map_x": "180", "map_y": "86", "map_side": "left", "map_label_y": "108"} | wrong
    response = save(editor, page.condition, **place)
    assert "A place on the body map needs its mark" in response.content.decode()
