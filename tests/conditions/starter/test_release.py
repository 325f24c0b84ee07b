"""A corrected text of a later release reaches the editors of an existing site, and nobody else."""

import copy

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command

from clinic.staff.adapters import DEMO_GROUP
from conditions import publishing
from conditions.models import Condition, Edition, Faq, Page, RedFlag, Section, SharedBlock
from conditions.starter import content as starter_content
from conditions.starter import release as starter_release
from tests.factories import make_user

pytestmark = pytest.mark.django_db

SIGN = "a sign that the next release corrects"


@pytest.fixture
def site(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    call_command("load_starter", verbosity=0)


@pytest.fixture
def editor(site):
    return make_user("Editor")


@pytest.fixture
def release(site, monkeypatch):
    """Change the starter's files as a later release would."""
    contents = copy.deepcopy(starter_content.read())

    def change(act):
        act(*contents)
        monkeypatch.setattr(starter_content, "read", lambda *_: copy.deepcopy(contents))

    return change


def a_sign(shared, conditions, guides):
    conditions[0]["red_flags"][0]["text"] = SIGN


def a_source(shared, conditions, guides):
    key = conditions[0]["references"][0]["key"]
    for content in conditions + guides:
        for entry in content.get("references", []):
            if entry["key"] == key:
                entry["status"] = "retired"


def keys():
    return [correction.text.key for correction in starter_release.corrections()]


def test_the_site_that_loaded_it_has_nothing_to_decide(site):
    assert keys() == []


def test_what_editors_changed_since_is_theirs(site):
    RedFlag.objects.exclude(condition=None).first().delete()
    Page.objects.update(lead="Our own words")
    assert keys() == []


@pytest.mark.parametrize(
    ("act", "key"),
    [
        (a_sign, "signs:"),
        (lambda s, c, g: c[0]["red_flags"].pop(), "signs:"),
        (lambda s, c, g: s["asked_before_booking"].append({"text": SIGN}), "signs"),
        (lambda s, c, g: s["after_treatment"][0].update(level="urgent", text=SIGN), "signs"),
        (lambda s, c, g: s["blocks"][0].update(body="<p>Changed</p>"), "block:boxed-warning"),
        (lambda s, c, g: s["faqs"].pop(), "faqs"),
        (lambda s, c, g: c[0].update(evidence_note="Weaker than was thought"), "record:"),
        (lambda s, c, g: c[0]["page"].update(lead="Changed"), "page:condition:"),
        (lambda s, c, g: c[0]["page"]["sections"][0].update(body="<p>x</p>"), "page:condition:"),
        (lambda s, c, g: g[0]["page"]["sections"].pop(), "page:guide:"),
        (a_source, "reference:"),
    ],
)
def test_each_kind_of_text_is_seen_and_can_be_taken(release, editor, act, key):
    live = list(Edition.objects.order_by("pk").values("pk", "digest", "live"))
    release(act)
    found = keys()
    assert found
    assert found[0].startswith(key)
    lines = starter_release.corrections()[0].lines
    assert lines
    for one in found:
        starter_release.take(one, by=editor)
    assert keys() == []
    assert list(Edition.objects.order_by("pk").values("pk", "digest", "live")) == live


def test_the_taken_sign_is_a_draft_that_somebody_else_signs(release, editor):
    release(a_sign)
    condition = Condition.objects.get(slug=starter_content.read()[1][0]["slug"])
    starter_release.take(keys()[0], by=editor)
    assert condition.red_flags.first().text == SIGN
    edition = publishing.submit(condition.pages.get(), by=editor)
    assert SIGN in str(edition.document)
    assert SIGN not in str(Edition.objects.live().get(page=edition.page).document)
    editor.groups.add(make_user("Clinical reviewer").groups.get())
    with pytest.raises(publishing.PublishingError):
        publishing.sign(edition, by=type(editor).objects.get(pk=editor.pk))


def test_danger_signs_come_first(release):
    def all_of_them(shared, conditions, guides):
        guides[0]["page"]["lead"] = "Changed"
        conditions[0]["name"] = "Changed"
        conditions[-1]["red_flags"][0]["text"] = SIGN

    release(all_of_them)
    assert keys()[0].startswith("signs:")
    assert len(keys()) == 3


def test_a_correction_is_asked_about_once_and_the_next_one_again(release, editor):
    release(a_sign)
    starter_release.keep(keys()[0], by=editor)
    assert keys() == []
    release(lambda s, c, g: c[0]["red_flags"][0].update(text="another"))
    assert len(keys()) == 1


def test_a_text_that_the_site_no_longer_has_is_not_asked_about(release):
    slug = starter_content.read()[1][0]["slug"]
    Condition.objects.filter(slug=slug).update(slug="renamed")
    SharedBlock.objects.exclude(key="boxed-warning").delete()
    release(a_sign)
    assert keys() == []


def test_load_starter_changes_nothing_and_says_so(release, capsys):
    release(a_sign)
    before = [list(model.objects.values()) for model in (RedFlag, Section, Faq, Page)]
    call_command("load_starter")
    assert "1 texts of this release are not what this site says" in capsys.readouterr().out
    assert [list(model.objects.values()) for model in (RedFlag, Section, Faq, Page)] == before


def test_others_cannot_decide(release):
    release(a_sign)
    for role in ("Manager", "Front desk", "Clinical reviewer"):
        for verb in (starter_release.take, starter_release.keep):
            with pytest.raises(publishing.PublishingError):
                verb(keys()[0], by=make_user(role))


def test_the_page_shows_both_texts_and_takes_the_decision(release, editor, client, settings):
    editor.groups.add(Group.objects.get_or_create(name=DEMO_GROUP)[0])  # no second factor here
    client.force_login(editor)
    release(a_sign)
    url = "/admin/conditions/page/release/"
    page = client.get(url).text
    assert SIGN in page
    assert "The release corrects a danger sign" in page
    client.post(url, {"key": keys()[0], "act": "take"})
    assert keys() == []
    assert RedFlag.objects.filter(text=SIGN).exists()
    assert "Nothing: your texts" in client.get(url).text
