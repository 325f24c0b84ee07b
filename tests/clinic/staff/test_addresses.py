"""One mail address per staff account, and nobody takes an account through it."""

import re
from datetime import timedelta

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group
from django.core import mail
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from bookings.messaging import outbox
from clinic.models import AuditEvent, User
from clinic.staff import addresses, roles
from clinic.staff.adapters import DEMO_GROUP
from tests.factories import make_clinic, make_user

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"


@pytest.fixture
def user():
    roles.apply_roles()
    make_clinic()
    return make_user(roles.EDITOR, username="edwin", email="edwin@clinic.example")


def sign_in(client, login="edwin"):
    client.post(reverse("account_login"), {"login": login, "password": PASSWORD})


def prove_it_again(client):
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})


def ask(client, address="new@clinic.example"):
    return client.post(reverse("account_email"), {"email": address})


def sent():
    """The mails that have gone out, those too that still waited."""
    outbox.drain()
    return mail.outbox


def link():
    """The path of the link in the newest mail."""
    return re.search(r"https?://[^/]+(/account/\S+)", sent()[-1].body)[1]


def reset(client, address):
    """Ask for a new password; returns who was mailed, and what the page said."""
    sent().clear()
    answer = client.post(reverse("account_reset_password"), {"email": address}, follow=True)
    return [message.to for message in sent()], answer.content


def rows():
    return list(EmailAddress.objects.values_list("user__username", "email", "primary", "verified"))


# --- by the person ----------------------------------------------------------------------------


def test_an_open_session_alone_changes_no_address(client, user):
    sign_in(client)
    for action in ("action_add", "action_primary", "action_remove", "action_send"):
        for address in ("evil@evil.test", user.email):
            answer = client.post(reverse("account_email"), {action: "", "email": address})
            assert answer["Location"].startswith(reverse("account_reauthenticate"))
    assert sent() == []
    user.refresh_from_db()
    assert user.email == "edwin@clinic.example"
    assert not EmailAddress.objects.exclude(email=user.email).exists()
    assert reset(client, "evil@evil.test")[0] == []


def test_a_new_address_counts_once_it_is_verified_and_the_old_one_is_told(client, user):
    sign_in(client)
    prove_it_again(client)
    ask(client)
    [message] = sent()
    assert message.to == ["new@clinic.example"]
    path = link()
    assert reset(client, "new@clinic.example")[0] == []
    client.get(path)  # opening changes nothing
    assert User.objects.get().email == "edwin@clinic.example"
    sent().clear()
    client.post(path)
    assert User.objects.get().email == "new@clinic.example"
    assert rows() == [("edwin", "new@clinic.example", True, True)]
    [message] = sent()
    assert message.to == ["edwin@clinic.example"]
    assert "new@clinic.example" in message.body
    assert reset(client, "edwin@clinic.example")[0] == []
    assert reset(client, "new@clinic.example")[0] == [["new@clinic.example"]]
    actions = AuditEvent.objects.filter(action__startswith="staff.address").order_by("pk")
    assert [event.action for event in actions] == ["staff.address_asked", "staff.address_changed"]
    assert not any("@" in str(event.details) for event in actions)


def test_the_link_is_for_one_person_one_hour_one_change(client, user):
    sign_in(client)
    prove_it_again(client)
    ask(client)
    path = link()
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        assert addresses.asked(path.split("/")[-2], user) is None
    assert addresses.asked(path.split("/")[-2], make_user()) is None
    assert client.get(path[:-2] + "x/").status_code == 410
    user.set_password("another battery staple")
    assert addresses.asked(path.split("/")[-2], user) is None
    client.logout()
    assert client.post(path)["Location"].startswith(reverse("account_login"))
    sign_in(client)
    client.post(path)
    assert User.objects.get(username="edwin").email == "new@clinic.example"
    assert client.post(path).status_code == 410


@pytest.mark.parametrize("address", ["Other@clinic.example", "EDWIN@clinic.example", "x", ""])
def test_an_address_of_somebody_else_is_refused(client, user, address):
    make_user(email="other@clinic.example")
    sign_in(client)
    prove_it_again(client)
    assert ask(client, address).status_code == 200
    assert sent() == []


def test_an_address_taken_meanwhile_is_refused(client, user):
    sign_in(client)
    prove_it_again(client)
    ask(client)
    make_user(email="new@clinic.example")
    html = client.post(link(), follow=True).content.decode()
    assert "Another account has this address" in html
    user.refresh_from_db()
    assert user.email == "edwin@clinic.example"


def test_the_librarys_own_ways_to_verify_an_address_are_gone():
    with pytest.raises(NoReverseMatch):
        reverse("account_confirm_email", args=["x"])


# --- by a manager -----------------------------------------------------------------------------


@pytest.fixture
def manager(client):
    roles.apply_roles()
    make_clinic()
    manager = make_user(roles.MANAGER, username="mara")
    manager.groups.add(Group.objects.get_or_create(name=DEMO_GROUP)[0])
    client.force_login(manager)
    prove_it_again(client)
    return manager


def save(client, user, **values):
    address = reverse("admin:clinic_user_change", args=[user.pk])
    form = {"username": user.username, "email": user.email, "is_active": "on", "is_staff": "on"}
    return client.post(address, form | values)


def test_a_managers_correction_takes_the_account_back(client, user, manager):
    EmailAddress.objects.create(user=user, email="evil@evil.test", primary=True, verified=True)
    assert addresses.disagreements() == ["edwin"]
    assert save(client, user, email="right@clinic.example").status_code == 302
    assert rows() == [("edwin", "right@clinic.example", True, True)]
    assert addresses.disagreements() == []
    assert [message.to for message in sent()] == [["edwin@clinic.example"]]
    assert reset(client, "evil@evil.test")[0] == []
    assert reset(client, "right@clinic.example")[0] == [["right@clinic.example"]]
    event = AuditEvent.objects.get(action="staff.address_changed")
    assert (event.actor, event.object_key) == (manager, str(user.pk))


def test_no_two_accounts_have_one_address(client, user, manager):
    other = make_user(email="other@clinic.example")
    page = save(client, user, email="Other@Clinic.example")
    assert "Another account has this address" in page.content.decode()
    new = {"username": "nina", "email": other.email, "usable_password": "true"}
    new |= {"password1": "battery staple 123", "password2": "battery staple 123"}
    assert client.post(reverse("admin:clinic_user_add"), new).status_code == 200
    client.post(reverse("admin:clinic_user_add"), new | {"email": "Nina@clinic.example"})
    assert rows() == [("nina", "nina@clinic.example", True, True)]


def test_nobody_changes_their_own_address_in_the_admin(client, manager):
    """That door asks for no proof and verifies nothing; a superuser's open session neither."""
    for me in (manager, make_user("superuser", username="root")):
        me.groups.add(Group.objects.get_or_create(name=DEMO_GROUP)[0])
        client.force_login(me)
        prove_it_again(client)
        before = me.email
        groups = [group.pk for group in me.groups.all()]
        save(client, me, email="evil@evil.test", is_superuser="on", groups=groups)
        me.refresh_from_db()
        assert me.email == before
        page = client.get(reverse("admin:clinic_user_change", args=[me.pk])).content.decode()
        assert f'href="{reverse("account_email")}"' in page


# --- the reset form ---------------------------------------------------------------------------


def test_the_reset_form_mails_no_stranger_and_says_the_same(client, user):
    mailed, known = reset(client, user.email)
    assert mailed == [[user.email]]
    mailed, unknown = reset(client, "stranger@elsewhere.test")
    assert mailed == []
    assert unknown.replace(b"stranger@elsewhere.test", b"") == known


def test_a_reset_goes_to_the_accounts_address_alone(client, user):
    """Whatever the library's rows say, verified or not."""
    EmailAddress.objects.create(user=user, email="evil@evil.test", verified=True)
    assert reset(client, "evil@evil.test")[0] == []
    assert reset(client, "EDWIN@clinic.example")[0] == [["edwin@clinic.example"]]
    user.is_active = False
    user.save()
    assert reset(client, user.email)[0] == []


def test_shared_and_foreign_addresses_are_found(user):
    make_user(username="twin", email="Edwin@clinic.example")
    assert addresses.disagreements() == ["edwin", "twin"]
    assert addresses.mirror(user) is False
