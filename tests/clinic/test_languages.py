"""Whatever language an address is in, what is private stays private."""

import re

import pytest

from clinic import languages

pytestmark = pytest.mark.django_db

PRIVATE = ["/booking/lost/", "/book/details/", "/booking/reschedule", "/admin/", "/account/login/"]


@pytest.fixture(params=["de", "pt-br"])
def other(request, settings):
    """A language that stands nowhere in the code."""
    settings.LANGUAGES = [("en", "English"), (request.param, "Another")]
    return request.param


def test_the_code_names_no_language(other):
    assert languages.without_prefix(f"/{other}/book/") == "/book/"
    assert languages.without_prefix(f"/{other.upper()}/book/") == "/book/"
    assert languages.without_prefix(f"/{other}") == f"/{other}"
    assert languages.without_prefix("/xx/book/") == "/xx/book/"
    assert languages.without_prefix("/book/") == "/book/"


@pytest.mark.parametrize("path", ["/", "/contact/", "/health/live", "/conditions/x/", "//", ""])
def test_other_addresses_stay_as_they_are(other, path):
    assert languages.without_prefix(path) == path


@pytest.mark.parametrize("path", PRIVATE)
def test_private_pages_are_never_stored_or_listed(client, other, path):
    response = client.get(f"/{other}{path}")
    assert response.headers["Cache-Control"] == "no-store, private"
    assert response.headers["X-Robots-Tag"] == "noindex, nofollow"


@pytest.mark.parametrize("path", ["/booking/lost/", "/book/details/"])
def test_patients_pages_answer_and_take_no_files(client, other, path):
    assert client.get(f"/{other}{path}").status_code in {200, 302}
    assert client.post(f"/{other}{path}", {"file": "x"}).status_code == 415
    big = {"data": "x" * 70_000, "content_type": "application/x-www-form-urlencoded"}
    assert client.post(f"/{other}{path}", **big).status_code == 413


def test_a_public_page_is_no_private_one(client, other):
    response = client.get(f"/{other}/contact/")
    assert response.status_code == 200
    assert f'<html lang="{other}">' in response.content.decode()
    assert "X-Robots-Tag" not in response.headers


def test_robots_keeps_crawlers_out_in_every_language(client, other):
    text = client.get("/robots.txt").content.decode()
    assert f"Disallow: /{other}/booking/" in text


@pytest.mark.parametrize("code", ["tr", "es"])
def test_an_address_that_waits_for_its_texts_is_private_too(client, code):
    response = client.get(f"/{code}/book/details/")
    assert response.headers["Cache-Control"] == "no-store, private"
    assert client.post(f"/{code}/book/details/", {"file": "x"}).status_code == 415


def test_a_language_that_is_spoken_is_reserved_no_more(settings):
    settings.LANGUAGES = [("en", "English"), ("tr", "Türkçe")]
    assert languages.reserved() == ["es"]
    assert languages.spoken("tr") == "tr"
    assert languages.spoken("es") == "en"


def test_the_default_language_may_be_another(settings):
    settings.LANGUAGES = [("de", "Deutsch"), ("en", "English")]
    settings.LANGUAGE_CODE = "de"
    assert languages.default() == "de"
    assert languages.others() == ["en"]


# --- the menu of languages ------------------------------------------------------------------------
def menu_of(client, path):
    page = client.get(path).content.decode()
    return re.findall(r'<a\s+href="([^"]+)"\s+lang="([^"]+)"\s+hreflang="\2"', page)


def test_the_menu_leads_to_the_same_page_in_each_language(client, other):
    both = [("/contact/", "en"), (f"/{other}/contact/", other)]
    assert menu_of(client, "/contact/")[:2] == both
    assert menu_of(client, f"/{other}/contact/")[:2] == both
    assert f"/{other}/booking/lost/" in dict(menu_of(client, "/booking/lost/"))


def test_there_is_no_menu_without_a_choice(client, other, settings):
    assert menu_of(client, "/account/login/") == []
    settings.LANGUAGES = [("en", "English")]
    assert menu_of(client, "/contact/") == []
