"""The clinic's own pages, its robots file and its error pages."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import make_clinic, make_hours, make_practitioner

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("name", ["practitioners", "contact", "privacy", "accessibility"])
def test_pages_open_even_in_an_empty_database(client, name):
    response = client.get(reverse(f"clinic:{name}"))
    assert response.status_code == 200
    assert "style=" not in response.content.decode()
    assert not response.cookies
    assert client.post(reverse(f"clinic:{name}")).status_code == 405


def test_practitioners_shows_who_works_here(client, django_assert_max_num_queries):
    make_clinic()
    make_practitioner(name="Dr. Here")
    make_practitioner(name="Dr. Gone", archived=True)
    with django_assert_max_num_queries(2):
        html = client.get("/practitioners/").content.decode()
    assert "Dr. Here" in html
    assert "Dr. Gone" not in html


def test_contact_shows_the_clinic_as_it_is_in_the_database(client, django_assert_max_num_queries):
    make_clinic(street="7 Other Street")
    make_hours(weekday=1, opens="08:00", closes="18:00")
    with django_assert_max_num_queries(4):
        html = client.get("/contact/").content.decode()
    assert "7 Other Street" in html
    assert "08:00 to 18:00" in html
    assert "Los Angeles time. It is now" in html


def test_privacy_names_the_retention_that_the_manager_set(client):
    make_clinic(retention_days_after_visit=123)
    assert "123 days" in client.get("/privacy/").content.decode()


def test_privacy_says_what_stays_and_that_periods_never_grow_for_old_bookings(client):
    """The periods themselves are those of tests/bookings/lifecycle/test_erasure.py."""
    make_clinic(retention_days_after_cancelled=45)
    html = client.get("/privacy/").content.decode()
    assert html.count("45 days") == 3
    assert "a longer one only for bookings made after the change" in html
    assert "reference with its concern, language, day and time" in html
    assert "without anything that points to you" not in html


def test_robots_keeps_crawlers_out_of_what_is_private(client):
    response = client.get("/robots.txt")
    assert response["Content-Type"].startswith("text/plain")
    text = response.content.decode()
    for path in ("/book/", "/booking/", "/admin/", "/account/"):
        assert f"Disallow: {path}\n" in text
    assert "Sitemap: http://127.0.0.1:8000/sitemap.xml" in text


def test_sitemap_opens(client):
    response = client.get("/sitemap.xml")
    assert response.status_code == 200
    assert b"/contact/" in response.content


def test_a_missing_page_says_so(client):
    response = client.get("/no-such-page/")
    assert response.status_code == 404
    assert "We cannot find that page" in response.content.decode()


def test_an_error_of_ours_shows_no_trace(client, monkeypatch):
    def fail(**_kwargs):
        raise RuntimeError("what a patient wrote")

    monkeypatch.setattr("clinic.views.opening_status.read", fail)
    client.raise_request_exception = False
    response = client.get("/contact/")
    assert response.status_code == 500
    html = response.content.decode()
    assert "Something went wrong on our side" in html
    assert "patient wrote" not in html


def test_a_stale_form_is_explained():
    response = Client(enforce_csrf_checks=True).post("/account/login/", {"login": "x"})
    assert response.status_code == 403
    assert "This form was open for too long" in response.content.decode()


def test_a_hostile_host_is_a_bad_request(client):
    response = client.get("/contact/", headers={"host": "evil.example"})
    assert response.status_code == 400
    assert "evil.example" not in response.content.decode()


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("/tr/", "/"),
        ("/es/conditions/bruxism/", "/conditions/bruxism/"),
        ("/tr/book/?condition=bruxism", "/book/?condition=bruxism"),
        ("/tr//evil.example/", "/evil.example/"),
        ("/es/%5Cevil.example/", "/evil.example/"),
    ],
)
def test_other_languages_lead_to_the_english_page_for_now(client, asked, answer):
    response = client.get(asked)
    assert response.status_code == 302
    assert response.url == answer
