"""Public pages: only what is live, in two queries, with honest caching; and preview links."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.cache import caches
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from clinic import page_cache
from conditions import publishing, views
from conditions.models import Edition, Faq, Page, Section
from tests.conditions.pages import make_editor, make_guide, make_page, make_reviewer, put_live
from tests.factories import make_clinic, make_condition

pytestmark = pytest.mark.django_db


@pytest.fixture
def page():
    make_clinic()
    return make_page(condition=make_condition(slug="sore-jaw", name="Sore jaw"))


@pytest.fixture
def live(page):
    return put_live(page)


def get(client, slug="sore-jaw", **headers):
    return client.get(reverse("conditions:condition", args=[slug]), headers=headers)


# --- what the public sees ---
def test_a_live_page_shows_its_edition(client, live):
    text = get(client).content.decode()
    assert "Sore jaw" in text
    assert '<a href="#ref-1" aria-label="Reference 1">[1]</a>' in text
    assert 'id="ref-1"' in text
    assert "The effect can spread." in text


def test_a_draft_never_leaks(client, live, page):
    page.lead = page.title = page.description = "SECRET DRAFT"
    page.save()
    Section.objects.create(page=page, kind="text", heading="SECRET", body="<p>SECRET DRAFT</p>")
    Faq.objects.filter(page=page).update(question="SECRET DRAFT?")
    type(page.condition).objects.update(summary="SECRET", name="SECRET")
    editor = make_editor()
    edition = publishing.submit(page, by=editor)
    addresses = [reverse("conditions:index"), reverse("conditions:condition", args=["sore-jaw"])]
    for sending in (lambda: None, lambda: publishing.sign(edition, by=make_reviewer())):
        sending()
        caches["memory"].clear()
        for address in [*addresses, "/sitemap.xml"]:
            assert b"SECRET" not in client.get(address).content, address
    publishing.publish(edition, by=editor)
    assert b"SECRET DRAFT" in client.get(addresses[1]).content


@pytest.mark.parametrize("prepare", [None, "draft", "submitted", "signed", "withdrawn"])
def test_what_is_not_live_is_not_found(client, page, prepare):
    editor, reviewer = make_editor(), make_reviewer()
    if prepare in {"submitted", "signed"}:
        edition = publishing.submit(page, by=editor)
        if prepare == "signed":
            publishing.sign(edition, by=reviewer)
    if prepare == "withdrawn":
        publishing.withdraw(put_live(page, editor=editor, reviewer=reviewer), by=editor)
    assert get(client).status_code == 404
    assert client.get(reverse("conditions:guide", args=["sore-jaw"])).status_code == 404
    assert b"sore-jaw" not in client.get(reverse("conditions:index")).content


def test_a_withdrawn_page_leaves_the_pages_related_to_it(client, live, page):
    other = make_page(condition=make_condition(slug="other", name="Other thing"))
    page.condition.related.add(other.condition)
    editor, reviewer = make_editor(), make_reviewer(name="Dr. Two")
    other_live = put_live(other, editor=editor, reviewer=reviewer)
    put_live(page, editor=editor, reviewer=reviewer)
    assert b"Other thing" in get(client).content
    publishing.withdraw(other_live, by=editor)
    assert b"Other thing" not in get(client).content


def test_the_index_lists_conditions_and_guides(client, live):
    put_live(make_guide())
    text = client.get(reverse("conditions:index")).content.decode()
    assert reverse("conditions:condition", args=["sore-jaw"]) in text
    assert reverse("conditions:guide", args=["a-guide"]) in text


def test_a_guide_has_its_own_address(client):
    make_clinic()
    put_live(make_guide())
    assert client.get(reverse("conditions:guide", args=["a-guide"])).status_code == 200
    assert client.get(reverse("conditions:condition", args=["a-guide"])).status_code == 404


def test_only_reading_is_allowed(client, live):
    assert client.post(reverse("conditions:guide", args=["x"])).status_code == 405
    assert client.head(reverse("conditions:condition", args=["sore-jaw"])).status_code == 200


def test_a_table_scrolls_in_one_box_with_one_tab_stop(client, page):
    table = "<table><tbody><tr><th>Dose</th><td>50</td></tr></tbody></table>"
    section = page.sections.first()
    section.body += table
    section.save()
    put_live(page)
    html = get(client).content.decode()
    assert html.count("<table>") == html.count('tabindex="0" role="region"') > 0
    assert html.count('tabindex="0"') == html.count("<table>")


# --- cost and caching ---
@pytest.mark.parametrize("name", ["condition", "guide", "index"])
def test_a_page_takes_two_queries(live, name):
    put_live(make_guide())
    for number in range(5):
        put_live(make_page(condition=make_condition(slug=f"more-{number}")))
    show = {
        "condition": lambda request: views.condition(request, "sore-jaw"),
        "guide": lambda request: views.guide(request, "a-guide"),
        "index": views.index,
    }[name]
    with CaptureQueriesContext(connection) as queries:
        response = show(RequestFactory().get("/"))
    assert response.status_code == 200
    assert len(queries) <= 2, [query["sql"][:80] for query in queries]


def test_the_same_page_again_is_304(client, live):
    first = get(client)
    assert first["Cache-Control"] == "public, max-age=60"
    assert first["ETag"].startswith('W/"')
    again = get(client, if_none_match=first["ETag"])
    assert again.status_code == 304
    assert again.content == b""
    assert again["ETag"] == first["ETag"]
    assert again["Cache-Control"] == first["Cache-Control"]


def change_edition(page):
    page.lead = "Other words, but not a promise."
    page.save()
    put_live(page, reviewer=make_reviewer(name="Dr. Two"))


def change_clinic(page):
    make_clinic(phone="+13235550199")


def change_release(page):
    page_cache.release.cache_clear()
    page_cache.release = lambda: "another release"


@pytest.mark.parametrize("change", [change_edition, change_clinic, change_release])
def test_any_change_gives_a_new_etag(client, live, page, monkeypatch, change):
    monkeypatch.setattr(page_cache, "release", page_cache.release)
    etag = get(client)["ETag"]
    change(page)
    response = get(client, if_none_match=etag)
    assert response.status_code == 200
    assert response["ETag"] != etag


def test_a_new_day_gives_a_new_etag(client, live):
    etag = get(client)["ETag"]
    with time_machine.travel(timezone.now() + timedelta(days=1)):
        assert get(client, if_none_match=etag).status_code == 200


def test_more_context_from_above_is_part_of_the_page_and_its_etag(live):
    def page_with(label):
        request = RequestFactory().get("/conditions/sore-jaw/")
        extra = {"next_free": {"starts_at": timezone.now(), "label": label}}
        return views.condition(request, "sore-jaw", more=lambda slug: extra)

    early, late = page_with("Tue at 9"), page_with("Wed at 10")
    assert b"Tue at 9" in early.content
    assert b"Wed at 10" in late.content
    assert early["ETag"] != late["ETag"]


def test_a_page_for_somebody_with_a_session_is_theirs_alone(client, live):
    client.force_login(make_editor())
    response = get(client)
    assert response["Cache-Control"] == "private, no-cache"
    assert "ETag" not in response


def test_the_public_page_sets_no_cookie(client, live):
    assert not get(client).cookies


def test_a_page_past_its_date_says_so(client, live):
    with time_machine.travel("2027-12-01T20:00:00Z"):
        assert get(client).context["review_overdue"] is True
    caches["memory"].clear()
    with time_machine.travel("2026-12-01T20:00:00Z"):
        assert get(client).context["review_overdue"] is False


# --- hostile text ---
def test_hostile_html_in_the_database_does_not_reach_the_page(client, live):
    """As if somebody had written a live edition past every verb and field."""
    document = live.document
    hostile = '<script>alert(1)</script><p onclick="x">text</p><a href="//evil.example">e</a>'
    document["sections"][0]["body"] = hostile
    document["references"][0]["url"] = "javascript:alert(1)"
    document["lead"] = "<script>alert(2)</script>"
    document["faqs"][0]["question"] = "</script><script>alert(3)</script>"
    live.pk = None
    live.number, live.document = 2, document
    Edition.objects.update(live=False)
    live.save(force_insert=True)
    text = get(client).content.decode()
    assert "<script>alert" not in text
    assert "onclick" not in text
    assert "//evil" not in text
    assert "javascript:" not in text


# --- whose name stands on the page ---
def words_of(response):
    """What a reader sees in the line on the review, without tags and line breaks."""
    line = re.search(r'<p class="reviewed">(.*?)</p>', response.content.decode(), re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", line[1]).split()).replace(" .", ".").replace(" ;", ";")


def test_the_page_names_who_signed_this_text_and_apart_who_reviewed_it_whole(client, page):
    # Late in the evening of November 23 in Los Angeles, where it is the 24th in UTC.
    with time_machine.travel(datetime(2026, 11, 24, 6, 30, tzinfo=UTC)):
        put_live(page)
        response = get(client)
    assert words_of(response) == (
        "This text was checked by Dr. Sam Signer, MD on Nov. 23, 2026. "
        "Last reviewed as a whole by Dr. Rena Reviewer, MD on Oct. 1, 2026; "
        "next review due Oct. 1, 2027."
    )
    assert "A 1234" not in response.content.decode(), "license numbers are for the record"


def test_the_names_stay_what_they_were_on_the_day(client, page):
    reviewer = make_reviewer()
    put_live(page, reviewer=reviewer)
    type(page.reviewer).objects.update(name="Dr. Somebody Else", credentials="DDS")
    assert "checked by Dr. Sam Signer, MD on" in words_of(get(client))
    assert "Somebody Else" not in words_of(get(client))


def test_a_page_signed_again_names_the_new_signer_though_not_a_word_has_changed(client, page):
    editor = make_editor()
    first = put_live(page, editor=editor)
    assert "Sam Signer" in words_of(get(client))
    publishing.withdraw(first, by=editor)
    put_live(page, editor=editor, reviewer=make_reviewer(name="Dr. Second"))
    assert "checked by Dr. Second" in words_of(get(client))


def test_a_preview_says_that_nobody_has_signed(client, page):
    edition = publishing.submit(page, by=make_editor())
    for subject in (page, edition):
        assert "Nobody has signed this text yet." in words_of(
            client.get(views.preview_path(subject))
        )
    publishing.sign(edition, by=make_reviewer())
    assert "checked by Dr. Sam Signer" in words_of(client.get(views.preview_path(edition)))


def test_demo_texts_say_that_their_people_are_fictitious(client, page):
    publishing.publish_starter(page)
    words = words_of(get(client))
    assert "checked by Dr. Rena Reviewer, MD on" in words
    assert words.endswith("the people named here are fictitious.")


# --- preview ---
def test_a_preview_link_shows_the_draft_for_seven_days_without_signing_in(client, page):
    address = views.preview_path(page)
    page.lead = "Draft words."
    page.save()
    response = client.get(address)
    assert b"Draft words." in response.content
    assert response.context["preview"] is True
    assert response["Cache-Control"] == "no-store, private"
    assert "noindex" in response["X-Robots-Tag"]
    with time_machine.travel(timezone.now() + timedelta(days=6, hours=23)):
        assert client.get(address).status_code == 200
    with time_machine.travel(timezone.now() + timedelta(days=8)):
        ended = client.get(address)
    assert ended.status_code == 410
    assert b"Draft words" not in ended.content
    assert ended["Cache-Control"] == "no-store, private"


def test_a_preview_of_an_edition_stays_as_it_was_sent(client, page):
    edition = publishing.submit(page, by=make_editor())
    Page.objects.update(lead="Changed later.")
    assert b"Changed later." not in client.get(views.preview_path(edition)).content


@pytest.mark.parametrize("signed", ["x", "WyJwYWdlIiwxXQ:1abc:forged"])
def test_a_forged_preview_link_is_not_found(client, signed):
    make_clinic()
    response = client.get(reverse("conditions:preview", args=[signed]))
    assert response.status_code == 404


def test_a_preview_of_what_is_gone_is_not_found(client, page):
    address = views.preview_path(page)
    Page.objects.all().delete()
    assert client.get(address).status_code == 404


# --- structured data ---
def data_of(response):
    found = re.search(r'<script type="application/ld\+json">(.*?)</script>', response, re.DOTALL)
    return json.loads(found[1])


def test_structured_data_agrees_with_the_page(client, live):
    data = data_of(get(client).context["structured_data"])
    web_page, questions = data["@graph"]
    assert web_page["@type"] == "MedicalWebPage"
    assert web_page["lastReviewed"] == live.document["last_reviewed"]
    assert web_page["reviewedBy"] == [
        {"@type": "Person", "name": "Dr. Rena Reviewer", "honorificSuffix": "MD"},
        {"@type": "Person", "name": "Dr. Sam Signer", "honorificSuffix": "MD"},
    ]
    assert web_page["about"] == {
        "@type": "MedicalCondition", "name": "Sore jaw", "alternateName": []
    }  # fmt: skip
    assert web_page["url"].endswith(reverse("conditions:condition", args=["sore-jaw"]))
    assert questions["mainEntity"][0]["acceptedAnswer"]["text"] == "A little."
    text = get(client).content.decode()
    assert all(question["name"] in text for question in questions["mainEntity"])
