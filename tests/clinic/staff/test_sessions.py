"""Where staff are signed in: listed, and ended for good."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clinic.models import AuditEvent, StaffSession
from clinic.staff import roles, sessions
from clinic.staff.adapters import DEMO_GROUP
from tests.factories import make_clinic, make_user

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1"
OFFICE = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


def member(role, **values):
    user = make_user(role, **values)
    user.groups.add(Group.objects.get_or_create(name=DEMO_GROUP)[0])
    return user


@pytest.fixture
def edwin():
    roles.apply_roles()
    make_clinic()
    return member(roles.EDITOR, username="edwin")


def browser(login, agent=OFFICE):
    client = Client(headers={"user-agent": agent})
    client.post(reverse("account_login"), {"login": login, "password": PASSWORD})
    return client


def inside(client):
    return client.get("/admin/").status_code == 200


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (PHONE, "Safari on iPhone"),
        (OFFICE, "Firefox on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Linux"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("<script>", "A browser on an unknown system"),
        ("", "A browser on an unknown system"),
    ],
)
def test_a_device_has_a_coarse_name(agent, name):
    assert sessions.device(agent) == name


def test_each_sign_in_is_listed_on_the_persons_own_page(edwin):
    office, phone = browser("edwin"), browser("edwin", PHONE)
    member(roles.EDITOR, username="other")
    browser("other")
    html = office.get(reverse("staff_sessions")).content.decode()
    assert "Firefox on Windows <strong>(this one)</strong>" in html
    assert re.search(r"Safari on iPhone\s*</td>", html)
    assert html.count('name="end"') == 3
    assert phone.session.session_key not in html
    fields = {field.name for field in StaffSession._meta.fields}
    assert not fields & {"ip", "ip_address", "user_agent"}


def test_one_is_ended_or_all_but_this_one(edwin):
    office, phone, third = browser("edwin"), browser("edwin", PHONE), browser("edwin", PHONE)
    row = StaffSession.objects.get(session_id=phone.session.session_key)
    office.post(reverse("staff_sessions"), {"end": row.pk})
    assert (inside(office), inside(phone), inside(third)) == (True, False, True)
    office.post(reverse("staff_sessions"), {"end": "all"})
    assert (inside(office), inside(third)) == (True, False)
    events = AuditEvent.objects.filter(action="staff.signed_out")
    assert {event.actor for event in events} == {edwin}
    assert events.count() == 2


@pytest.mark.parametrize("end", ["", "x", "-1", "9" * 400, "²"])
def test_a_made_up_number_ends_nothing(edwin, end):
    client = browser("edwin")
    assert client.post(reverse("staff_sessions"), {"end": end}).status_code == 302
    assert inside(client)


def test_nobody_ends_somebody_elses_from_their_own_page(edwin):
    member(roles.EDITOR, username="other")
    mine, other = browser("edwin"), browser("other")
    row = StaffSession.objects.get(user__username="other")
    mine.post(reverse("staff_sessions"), {"end": row.pk})
    assert inside(other)


def test_rows_follow_their_sessions(edwin):
    client = browser("edwin")
    client.post(reverse("account_logout"))
    assert not StaffSession.objects.exists()
    client = browser("edwin")
    form = {
        "oldpassword": PASSWORD,
        "password1": "battery staple 99",
        "password2": "battery staple 99",
    }
    client.post(reverse("account_change_password"), form)
    assert [row.session_id for row in StaffSession.objects.all()] == [client.session.session_key]
    Session.objects.all().delete()
    assert not StaffSession.objects.exists()


def test_use_is_noted_every_five_minutes_and_no_more(edwin, django_assert_num_queries):
    client = browser("edwin")
    start = StaffSession.objects.get().seen_at
    client.get(reverse("staff_sessions"))
    assert StaffSession.objects.get().seen_at == start
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        client.get(reverse("staff_sessions"))
    assert StaffSession.objects.get().seen_at > start


# --- by a manager -----------------------------------------------------------------------------


@pytest.fixture
def manager(client, edwin):
    manager = member(roles.MANAGER, username="mara")
    client.force_login(manager)
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    return manager


def save(client, user, **values):
    form = {"username": user.username, "email": user.email, "is_staff": "on"} | values
    form["groups"] = [group.pk for group in user.groups.filter(name__in=roles.ROLES)]
    return client.post(reverse("admin:clinic_user_change", args=[user.pk]), form)


def test_a_manager_sees_and_ends_them(client, edwin, manager):
    office, phone = browser("edwin"), browser("edwin", PHONE)
    html = client.get(reverse("admin:clinic_user_change", args=[edwin.pk])).content.decode()
    page = reverse("admin:clinic_user_sessions", args=[edwin.pk])
    assert f'2 now. <a href="{page}">' in html
    html = client.get(page).content.decode()
    assert "Safari on iPhone" in html
    assert phone.session.session_key not in html
    row = StaffSession.objects.get(session_id=phone.session.session_key)
    client.post(page, {"end": row.pk})
    assert (inside(office), inside(phone)) == (True, False)
    client.post(page, {"end": "all"})
    assert not inside(office)


def test_deactivating_ends_sessions_for_good(client, edwin, manager):
    office = browser("edwin")
    assert save(client, edwin).status_code == 302
    edwin.refresh_from_db()
    assert not edwin.is_active
    assert not inside(office)
    save(client, edwin, is_active="on")
    assert not inside(office)
    assert inside(browser("edwin"))


def test_giving_a_sign_in_back_opens_no_session_from_before(client, edwin, manager):
    """Also when it was taken away by a door that ends none."""
    office = browser("edwin")
    edwin.is_active = False
    edwin.save()
    save(client, edwin, is_active="on")
    assert not inside(office)


def test_a_password_from_a_manager_ends_sessions(client, edwin, manager):
    office = browser("edwin")
    new = {"password1": "battery staple 99", "password2": "battery staple 99"}
    page = reverse("admin:auth_user_password_change", args=[edwin.pk])
    client.post(page, new | {"usable_password": "true"})
    assert not inside(office)
    assert not sessions.of(edwin)
