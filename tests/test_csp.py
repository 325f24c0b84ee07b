"""The headers of every kind of answer, compared as a whole, so that nobody loosens one in passing."""

import os
import re
import subprocess
import sys

import pytest
from django.test import Client

from tests.factories import make_clinic, make_hours, make_practitioner, make_user

pytestmark = pytest.mark.django_db

POLICY = {
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'",
    "font-src 'self'", "connect-src 'self'", "manifest-src 'self'", "form-action 'self'",
    "base-uri 'none'", "frame-ancestors 'none'", "object-src 'none'",
}  # fmt: skip
PUBLIC = ["/", "/conditions/", "/practitioners/", "/contact/", "/privacy/", "/accessibility/"]
PRIVATE = ["/book/", "/book/urgent/", "/booking/", "/booking/lost/", "/account/login/"]
OTHER = ["/health/live", "/health/ready", "/robots.txt", "/sitemap.xml", "/nothing/", "/book/time/"]


@pytest.fixture(autouse=True)
def clinic():
    make_clinic()
    make_hours()
    make_practitioner()


def policy(response):
    return {part.strip() for part in response["Content-Security-Policy"].split(";") if part.strip()}


@pytest.mark.parametrize("path", PUBLIC + PRIVATE + OTHER)
def test_every_answer_carries_the_headers(client, path):
    response = client.get(path)
    assert policy(response) == POLICY
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response["Cross-Origin-Resource-Policy"] == "same-origin"
    assert response["Permissions-Policy"].startswith("camera=()")
    assert "Access-Control-Allow-Origin" not in response


@pytest.mark.parametrize("status", [400, 405, 413, 415])
def test_what_is_refused_before_any_page_carries_the_headers_too(client, status):
    answer = {
        400: lambda: client.get("/book/?a=%00"),
        405: lambda: client.delete("/book/"),
        413: lambda: client.post("/book/", "a" * 70_000, content_type="text/plain"),
        415: lambda: client.post("/book/", {"a": "b"}),
    }[status]()
    assert answer.status_code == status
    assert policy(answer) == POLICY
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Cache-Control"] == "no-store, private"


@pytest.mark.parametrize("path", ["/book", "/booking", "/admin", "/account/login"])
def test_a_redirect_to_a_private_page_is_stored_nowhere(client, path):
    answer = client.get(path)
    assert answer.status_code in (301, 302)
    assert answer["Cache-Control"] == "no-store, private"
    assert "Cache-Control" not in client.get("/conditions")


def test_cookies_on_a_visitors_browser_go_with_its_session(client):
    """W-05: a shared computer keeps nothing of a visitor for a year."""
    client.get("/booking/lost/")
    assert [cookie["max-age"] for cookie in client.cookies.values()] == [""]


def test_a_message_needs_no_cookie_of_its_own(client):
    user = make_user(username="edwin")
    client.post("/account/login/", {"login": user.username, "password": "correct horse battery"})
    client.post("/account/logout/")
    assert "messages" not in client.cookies


def test_well_known_addresses(client):
    answer = client.get("/.well-known/security.txt")
    assert answer["Content-Type"].startswith("text/plain")
    assert "Contact: mailto:hello@lindenvale.example\nExpires: 20" in answer.content.decode()
    assert client.get("/.well-known/change-password")["Location"] == "/account/password/change/"
    make_clinic(email="")
    assert client.get("/.well-known/security.txt").status_code == 404


@pytest.mark.parametrize("path", PRIVATE)
def test_private_pages_are_stored_nowhere(client, path):
    response = client.get(path)
    assert response["Cache-Control"] == "no-store, private"
    assert "noindex" in response["X-Robots-Tag"]


@pytest.mark.parametrize("path", PUBLIC)
def test_reading_sets_no_cookie(client, path):
    assert not client.get(path).cookies


@pytest.mark.parametrize("method", ["put", "patch", "delete", "trace"])
def test_odd_methods_are_refused(client, method):
    assert getattr(client, method)("/book/").status_code == 405


@pytest.mark.parametrize(
    "path", ["/book/", "/book/signs/", "/book/check/", "/booking/", "/booking/lost/"]
)
def test_a_form_without_its_token_is_refused(path):
    """W-03: and the page says what to do."""
    strict = Client(enforce_csrf_checks=True)
    form = "application/x-www-form-urlencoded"
    response = strict.post(path, "a=1", content_type=form)
    assert response.status_code == 403
    assert "<h1" in response.content.decode()
    foreign = strict.post(path, "a=1", content_type=form, HTTP_ORIGIN="https://evil.example")
    assert foreign.status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "a b", "localhost:x"])
def test_foreign_hosts_are_refused(client, host):
    assert client.get("/", HTTP_HOST=host).status_code == 400


@pytest.mark.parametrize(
    "path",
    ["/admin/", "/admin/bookings/booking/", "/admin/conditions/page/add/", "/admin/clinic/user/"],
)
def test_the_admin_runs_under_the_same_policy(client, path):
    client.force_login(make_user("superuser"))
    session = client.session
    session["account_authentication_methods"] = [{"method": "mfa"}]
    session.save()
    response = client.get(path, follow=True)
    parts = {re.sub(r" 'nonce-[^']+'", "", part) for part in policy(response)}
    assert parts == POLICY
    assert response["Cache-Control"] == "no-store, private"


def test_secure_cookies_and_hsts_with_https():
    """A-07, W-11: the deployment check is part of `make lint`; this reads the settings it leads to."""
    code = (
        "import django; django.setup(); from django.conf import settings as s;"
        "print(s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.SESSION_COOKIE_SECURE,"
        " s.SECURE_HSTS_SECONDS, s.SECURE_SSL_REDIRECT, s.DEMO_ACCOUNTS_SKIP_SECOND_FACTOR,"
        " s.ALLOWED_HOSTS, s.DEBUG)"
    )
    env = os.environ | {
        "SITE_URL": "https://clinic.example",
        "DJANGO_SETTINGS_MODULE": "clinic.settings",
    }
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout.split() == [
        "__Host-session", "__Host-csrf", "True", "63072000", "True", "False",
        "['clinic.example']", "False",
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["/", "/conditions/"])
def test_pages_without_secrets_travel_compressed(client, path):
    response = client.get(path, HTTP_ACCEPT_ENCODING="gzip")
    assert response["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in response["Vary"]


@pytest.mark.parametrize("path", PRIVATE)
def test_pages_with_tokens_do_not(client, path):
    """BREACH: the length of a compressed page can tell a secret in it."""
    assert "Content-Encoding" not in client.get(path, HTTP_ACCEPT_ENCODING="gzip")
