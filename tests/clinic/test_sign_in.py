"""Staff sign-in: our own pages, no sign-up, the second factor, throttling."""

import re

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.core.cache import caches
from django.test import Client
from django.urls import reverse

from clinic.staff import roles
from tests.factories import make_clinic, make_user

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"


@pytest.fixture
def user():
    roles.apply_roles()
    make_clinic()
    return make_user(roles.EDITOR, username="edwin", email="edwin@example.org")


def sign_in(client, login="edwin", password=PASSWORD):
    return client.post(reverse("account_login"), {"login": login, "password": password})


@pytest.mark.parametrize("login", ["edwin", "edwin@example.org"])
def test_username_or_email_and_password(client, user, login):
    response = sign_in(client, login)
    assert response.status_code == 302
    assert response["Location"] == "/admin/"


def test_a_wrong_password_is_told_in_words(client, user):
    html = sign_in(client, password="wrong").content.decode()
    assert "<title>Error: Staff sign-in | Linden &amp; Vale Clinic</title>" in html
    assert "not correct" in html


def test_nobody_signs_up(client, user):
    response = client.post(
        reverse("account_signup"),
        {"username": "x", "email": "x@example.org", "password1": PASSWORD, "password2": PASSWORD},
    )
    assert b"clos" in response.content.lower()
    assert type(user).objects.count() == 1


def test_guessing_is_throttled_before_the_right_password(client, user):
    for _ in range(5):
        sign_in(client, password="wrong")
    assert sign_in(client).status_code == 200
    assert "_auth_user_id" not in client.session
    caches["default"].clear()
    assert sign_in(client).status_code == 302


def test_signing_in_changes_the_session_key(client, user):
    client.get(reverse("account_login"))
    session = client.session
    session["planted"] = True
    session.save()
    before = session.session_key
    sign_in(client)
    assert client.session.session_key != before


def prove_it_again(client):
    """Pages that change how somebody signs in ask for the password once more."""
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})


def code_for(secret):
    counter = next(iter(totp.yield_hotp_counters_from_time()))
    return totp.format_hotp_value(totp.hotp_value(secret, counter))


def test_second_factor_setup_shows_the_code_without_a_data_image(client, user):
    sign_in(client)
    prove_it_again(client)
    html = client.get(reverse("mfa_activate_totp")).content.decode()
    assert "<svg" in html
    assert 'src="data:' not in html


def test_second_factor_secret_is_encrypted_and_opens_the_desk(client, user):
    sign_in(client)
    prove_it_again(client)
    page = client.get(reverse("mfa_activate_totp"))
    secret = page.context["form"].secret
    client.post(reverse("mfa_activate_totp"), {"code": code_for(secret)})
    stored = Authenticator.objects.get(user=user, type="totp").data["secret"]
    assert secret not in stored
    fresh = Client()
    response = sign_in(fresh)
    assert response["Location"] == reverse("mfa_authenticate")
    assert fresh.get("/admin/").status_code == 302
    caches["default"].clear()  # a code works once; the clock has not moved on
    response = fresh.post(reverse("mfa_authenticate"), {"code": code_for(secret)})
    assert response.status_code == 302
    assert fresh.get("/admin/").status_code == 200


def test_every_page_of_an_account_is_ours_and_clean(client, user):
    pages = [
        reverse("account_login"),
        reverse("account_reset_password"),
        reverse("account_reset_password_done"),
        reverse("account_signup"),
    ]
    mine = [
        reverse(name)
        for name in (
            "mfa_index",
            "mfa_activate_totp",
            "mfa_list_webauthn",
            "mfa_add_webauthn",
            "account_change_password",
            "account_logout",
            "account_email",
            "account_reauthenticate",
        )
    ]
    for page in pages:
        check(client.get(page), page)
    sign_in(client)
    prove_it_again(client)
    for page in mine:
        check(client.get(page), page)


def check(response, page):
    html = response.content.decode()
    assert response.status_code == 200, page
    assert "Linden &amp; Vale" in html, page
    assert "style=" not in html, page
    assert not re.search(r"\son\w+=", html), page
    assert html.count("<h1") == 1, page
    assert response["Cache-Control"] == "no-store, private", page
