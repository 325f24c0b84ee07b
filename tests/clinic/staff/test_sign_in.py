"""Signing in: strangers lock nobody out, the first time is one sitting, the record tells it."""

from datetime import timedelta

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.cache import caches
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from bookings.messaging import outbox
from clinic.models import AuditEvent
from clinic.staff import devices, record, roles
from clinic.staff.adapters import DEMO_GROUP
from tests.clinic.staff.software_key import SoftwareKey
from tests.factories import make_clinic, make_user

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
TOO_MANY = "Too many failed login attempts"
# The library tells of a new second factor once its transaction is through.
AS_IT_IS = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _clean():
    caches["default"].clear()


@pytest.fixture
def user():
    roles.apply_roles()
    make_clinic()
    return make_user(roles.EDITOR, username="edwin", email="edwin@clinic.example")


def sign_in(client, login="edwin", password=PASSWORD):
    return client.post(reverse("account_login"), {"login": login, "password": password})


def code_for(secret):
    [counter] = totp.yield_hotp_counters_from_time()
    return totp.format_hotp_value(totp.hotp_value(secret, counter))


def set_up_app(client):
    """Set the authenticator app up in a session that is signed in; returns its secret."""
    secret = client.get(reverse("mfa_activate_totp")).context["form"].secret
    client.post(reverse("mfa_activate_totp"), {"code": code_for(secret)})
    return secret


def events(*actions):
    found = AuditEvent.objects.filter(action__in=actions) if actions else AuditEvent.objects
    return [(event.action, event.details) for event in found.order_by("pk")]


# --- strangers --------------------------------------------------------------------------------


@pytest.fixture
def locked(user):
    """Strangers have used up the tries of edwin's name and of his address."""

    def lock():
        for login in ("edwin", "edwin@clinic.example"):
            for _ in range(7):
                sign_in(Client(), login, "a guess")
        assert TOO_MANY in sign_in(Client()).content.decode()

    return lock


@pytest.mark.parametrize("login", ["edwin", "EDWIN@clinic.example"])
def test_strangers_lock_out_no_known_browser(user, locked, login):
    known = Client()
    sign_in(known)
    known.post(reverse("account_logout"))
    locked()
    assert sign_in(known, login).status_code == 302


def test_tries_in_a_known_browser_are_counted_too(user):
    known = Client()
    sign_in(known)
    known.post(reverse("account_logout"))
    for login in ("edwin", "edwin@clinic.example", "edwin", "edwin", "edwin"):
        sign_in(known, login, "a guess")
    assert TOO_MANY in sign_in(known).content.decode()
    # Its tries are not those of strangers either.
    assert sign_in(Client()).status_code == 302


def test_a_browser_is_known_to_those_who_signed_in_there_and_cannot_be_forged(user, locked):
    make_user(username="mallory")
    mallory = Client()
    sign_in(mallory, "mallory")
    mallory.post(reverse("account_logout"))
    locked()
    assert TOO_MANY in sign_in(mallory).content.decode()
    cookie = mallory.cookies[devices.COOKIE].value
    for forged in (cookie[:-1] + "x", "", "x:y:z"):
        mallory.cookies[devices.COOKIE] = forged
        assert TOO_MANY in sign_in(mallory).content.decode()


def test_the_cookie_of_a_known_browser(user):
    """Only after the whole sign-in; it says nothing, opens nothing, and scripts cannot read it."""
    client = Client()
    sign_in(client)
    set_up_app(client)
    fresh = Client()
    assert sign_in(fresh)["Location"] == reverse("mfa_authenticate")
    assert devices.COOKIE not in fresh.cookies
    cookie = client.cookies[devices.COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["max-age"] == 365 * 24 * 3600
    assert "edwin" not in cookie.value
    alone = Client()
    alone.cookies[devices.COOKIE] = cookie.value
    assert alone.get("/admin/").status_code == 302


def test_two_people_of_one_browser_are_both_known(user, locked):
    make_user(username="other")
    shared = Client()
    for login in ("edwin", "other"):
        sign_in(shared, login)
        shared.post(reverse("account_logout"))
    locked()
    assert sign_in(shared).status_code == 302


def test_one_visitor_of_a_network_does_not_lock_the_others(user):
    for number in range(40):
        sign_in(Client(), f"name{number}", "a guess")
    known = Client()
    caches["default"].clear()
    sign_in(known)
    known.post(reverse("account_logout"))
    for number in range(40):
        sign_in(Client(), f"name{number}", "a guess")
    assert sign_in(known).status_code == 302


# --- one sitting ------------------------------------------------------------------------------


@AS_IT_IS
def test_the_first_sign_in_is_one_sitting(user):
    """One password, one code, the recovery codes, the desk."""
    client = Client()
    assert sign_in(client)["Location"] == "/admin/"
    page = client.get("/admin/", follow=True)
    assert page.redirect_chain == [(reverse("mfa_index"), 302)]
    assert "The desk opens after you set up a second factor" in page.content.decode()
    page = client.get(reverse("mfa_activate_totp"))
    assert page.status_code == 200
    code = code_for(page.context["form"].secret)
    page = client.post(reverse("mfa_activate_totp"), {"code": code}, follow=True)
    assert page.redirect_chain[-1][0] == reverse("mfa_view_recovery_codes")
    [first, *_] = Authenticator.objects.get(type="recovery_codes").wrap().generate_codes()
    assert first in page.content.decode()
    assert client.get("/admin/").status_code == 200
    assert b"The desk opens after" not in client.get(reverse("mfa_index")).content


def test_a_password_from_hours_ago_sets_up_no_second_factor(user):
    client = Client()
    sign_in(client)
    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        for page in ("mfa_activate_totp", "mfa_add_webauthn"):
            answer = client.get(reverse(page))
            assert answer["Location"].startswith(reverse("account_reauthenticate")), page


@AS_IT_IS
def test_second_factors_change_after_the_second_factor_not_after_the_password_alone(user):
    client = Client()
    sign_in(client)
    secret = set_up_app(client)
    later = timezone.now() + timedelta(minutes=16)
    pages = ["mfa_deactivate_totp", "mfa_view_recovery_codes", "mfa_generate_recovery_codes"]
    with time_machine.travel(later, tick=False):
        client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
        for page in pages:
            answer = client.get(reverse(page))
            assert answer["Location"].startswith(reverse("mfa_reauthenticate")), page
        assert client.post(reverse("mfa_deactivate_totp")).status_code == 302
        assert Authenticator.objects.filter(type="totp").exists()
        client.post(reverse("mfa_reauthenticate"), {"code": code_for(secret)})
        for page in pages:
            assert client.get(reverse(page)).status_code == 200, page


@AS_IT_IS
def test_right_after_signing_in_with_a_code_nothing_is_asked_again(user):
    client = Client()
    sign_in(client)
    secret = set_up_app(client)
    caches["default"].clear()
    fresh = Client()
    sign_in(fresh)
    fresh.post(reverse("mfa_authenticate"), {"code": code_for(secret)})
    assert fresh.get(reverse("mfa_view_recovery_codes")).status_code == 200


# --- the record -------------------------------------------------------------------------------


@AS_IT_IS
def test_the_record_tells_who_came_in_and_who_was_refused(user):
    client = Client()
    sign_in(client, password="a guess")
    sign_in(client)
    secret = set_up_app(client)
    caches["default"].clear()
    fresh = Client()
    sign_in(fresh)
    fresh.post(reverse("mfa_authenticate"), {"code": "000000"})
    fresh.post(reverse("mfa_authenticate"), {"code": code_for(secret)})
    new = {"password1": "battery staple 99", "password2": "battery staple 99"}
    fresh.post(reverse("account_change_password"), new | {"oldpassword": PASSWORD})
    fresh.post(reverse("mfa_generate_recovery_codes"))
    fresh.post(reverse("mfa_deactivate_totp"))
    assert events() == [
        ("staff.refused", {"why": "wrong password"}),
        ("staff.signed_in", {"proofs": ["password"]}),
        ("second_factor.added", {"kind": "totp"}),
        ("second_factor.added", {"kind": "recovery_codes"}),
        ("staff.refused", {"why": "wrong code"}),
        ("staff.signed_in", {"proofs": ["password", "totp"]}),
        ("staff.password_changed", {}),
        ("staff.signed_out", {"sessions": 1}),
        ("second_factor.renewed", {"kind": "recovery_codes"}),
        ("second_factor.removed", {"kind": "totp"}),
        ("second_factor.removed", {"kind": "recovery_codes"}),
    ]
    by = AuditEvent.objects.filter(action="staff.refused").values_list("actor_label", flat=True)
    assert set(by) == {"somebody"}
    whole = str(list(AuditEvent.objects.values()))
    for secret_text in (PASSWORD, "battery", secret, "a guess", "@"):
        assert secret_text not in whole


def test_a_reset_password_is_recorded_and_ends_all_sessions(user, mailoutbox):
    inside, client = Client(), Client()
    sign_in(inside)
    client.post(reverse("account_reset_password"), {"email": user.email})
    outbox.drain()
    [path] = [line for line in mailoutbox[0].body.split() if "/reset/key/" in line]
    page = client.get(path, follow=True).redirect_chain[-1][0]
    client.post(page, {"password1": "battery staple 99", "password2": "battery staple 99"})
    assert not user.staff_sessions.exists()
    kinds = [action for action, _ in events()]
    assert kinds[-3:] == ["staff.reset_asked", "staff.password_reset", "staff.signed_out"]
    assert sign_in(client, password="battery staple 99").status_code == 302


def test_an_inactive_account_that_is_tried_is_recorded(user):
    user.is_active = False
    user.save()
    sign_in(Client())
    assert events("staff.refused") == [("staff.refused", {"why": "inactive account"})]


def test_a_flood_of_guesses_fills_no_table(user):
    for _ in range(30):
        sign_in(Client(), password="a guess")
        sign_in(Client(), "nobody", "a guess")
    found = events("staff.refused")
    assert len(found) == record.MOST_AN_HOUR
    assert found[-1][1]["more"] == "not recorded for up to an hour"
    assert {details["why"] for _, details in found} == {"wrong password", "too many tries"}
    with time_machine.travel(timezone.now() + timedelta(minutes=61)):
        sign_in(Client(), password="a guess")
    assert len(events("staff.refused")) == record.MOST_AN_HOUR + 1


def test_a_refused_admin_page_is_recorded_with_who_but_no_row(client, user):
    user.groups.add(Group.objects.get_or_create(name=DEMO_GROUP)[0])
    client.force_login(user)
    for _ in range(30):
        client.get(reverse("admin:clinic_auditevent_change", args=[4711]))
    found = AuditEvent.objects.filter(action="page.refused")
    assert found.count() == record.MOST_AN_HOUR
    assert found.last().details == {"page": "admin:clinic_auditevent_change"}
    assert found.last().actor == user
    assert "4711" not in str(list(AuditEvent.objects.values()))


# --- passkeys ---------------------------------------------------------------------------------


@pytest.fixture
def enrolled(user):
    def enrol(key):
        client = Client()
        sign_in(client)
        assert key.enrol(client).status_code == 302
        assert client.get("/admin/").status_code == 200  # one sitting with a key, too
        return key

    return enrol


def test_a_key_signs_in_again_and_again(enrolled):
    key = enrolled(SoftwareKey())
    for _ in range(3):
        client = Client()
        key.sign_in(client)
        assert client.get("/admin/").status_code == 200
    assert events("staff.signed_in")[-1][1] == {"proofs": ["webauthn"]}


def test_a_key_that_does_not_count_signs_in(enrolled):
    key = enrolled(SoftwareKey(counts=False))
    for _ in range(2):
        client = Client()
        key.sign_in(client)
        assert client.get("/admin/").status_code == 200


@pytest.mark.parametrize("back", [0, 1, 2])
def test_a_copied_key_is_refused_and_recorded(enrolled, back):
    key = enrolled(SoftwareKey())
    for _ in range(2):
        key.sign_in(Client())
    key.counter -= 1 + back  # the copy knows an earlier number, or repeats the last
    client = Client()
    page = key.sign_in(client)
    assert "it answered as a copy of it would" in page.content.decode()
    assert client.get("/admin/").status_code == 302
    [(_, details)] = events("passkey.copied")
    assert details == {"key": Authenticator.objects.get(type="webauthn").pk}


def test_strangers_lock_out_no_passkey(enrolled, locked):
    key = enrolled(SoftwareKey())
    locked()
    client = Client()
    key.sign_in(client)
    assert client.get("/admin/").status_code == 200


def test_settings_name_forms_that_exist():
    """A mistyped name would be found only when somebody holds a key to their browser."""
    from django.utils.module_loading import import_string

    for name in (*settings.MFA_FORMS.values(), *settings.ACCOUNT_FORMS.values()):
        assert import_string(name)
