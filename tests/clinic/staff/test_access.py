"""Who left reads no patients: archiving ends the sign-in, by whatever door it was done."""

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from clinic.models import AuditEvent, Practitioner, User
from clinic.staff import access, roles
from clinic.staff.adapters import DEMO_GROUP
from tests.factories import make_booking, make_clinic, make_practitioner, make_user

pytestmark = pytest.mark.django_db


def member(role, **values):
    user = make_user(role, **values)
    user.groups.add(Group.objects.get_or_create(name=DEMO_GROUP)[0])
    return user


@pytest.fixture
def doctor():
    roles.apply_roles()
    make_clinic()
    return make_practitioner(name="Dr. Leaver", user=member(roles.PRACTITIONER, username="leaver"))


@pytest.fixture
def session(doctor):
    client = Client()
    client.force_login(doctor.user)
    assert client.get("/admin/").status_code == 200
    return client


@pytest.fixture
def manager(client):
    manager = member(roles.MANAGER, username="mara")
    client.force_login(manager)
    return manager


def choose(client, action, *practitioners):
    form = {"action": action, "_selected_action": [one.pk for one in practitioners]}
    answer = client.post(reverse("admin:clinic_practitioner_changelist"), form, follow=True)
    return answer.content.decode()


def edit(client, doctor, **values):
    formsets = {
        f"{name}-{key}_FORMS": 0
        for name in ("opening_hours", "closures", "signing_rights")
        for key in ("TOTAL", "INITIAL")
    }
    form = {"name": doctor.name, "slug": doctor.slug, "languages": "English", "position": 0}
    form |= {"user": doctor.user_id or "", "visit_types": ["in_person"]}
    address = reverse("admin:clinic_practitioner_change", args=[doctor.pk])
    answer = client.post(address, form | formsets | values, follow=True)
    assert answer.redirect_chain, answer.context["errors"]
    return answer.content.decode()


@pytest.mark.parametrize("door", ["action", "form"])
def test_archiving_ends_the_sign_in_and_says_so(client, doctor, session, manager, door):
    if door == "action":
        html = choose(client, "archive", doctor)
    else:
        html = edit(client, doctor, archived="on")
    assert "The account leaver can no longer sign in and was signed out everywhere" in html
    doctor.refresh_from_db()
    assert doctor.archived
    assert not User.objects.get(username="leaver").is_active
    assert session.get("/admin/").status_code == 302
    assert {event.actor for event in AuditEvent.objects.filter(action="staff.deactivated")} == {
        manager
    }
    assert AuditEvent.objects.filter(action="practitioner.changed").exists()


@pytest.mark.parametrize("door", ["action", "form"])
def test_bringing_back_gives_no_sign_in_back(client, doctor, session, manager, door):
    choose(client, "archive", doctor)
    html = choose(client, "bring_back", doctor) if door == "action" else edit(client, doctor)
    assert "The account leaver stays inactive" in html
    assert not Practitioner.objects.get().archived
    assert not User.objects.get(username="leaver").is_active
    assert session.get("/admin/").status_code == 302


def test_archived_by_any_door_reads_no_patients(doctor, session):
    booking = make_booking(practitioner=doctor)
    pages = [
        reverse("admin:bookings_booking_change", args=[booking.pk]),
        reverse("admin:bookings_booking_changelist"),
        reverse("admin:bookings_message_changelist"),
        reverse("admin:desk"),
        reverse("admin:clinic_closure_changelist"),
    ]
    assert session.get(pages[0]).status_code == 200
    Practitioner.objects.update(archived=True)
    for page in pages:
        answer = session.get(page)
        assert answer.status_code in (302, 403), page
        assert booking.name not in answer.content.decode()


def test_other_roles_of_who_no_longer_practises_stay(doctor, session):
    doctor.user.groups.add(Group.objects.get(name=roles.EDITOR))
    Practitioner.objects.update(archived=True)
    assert session.get(reverse("admin:conditions_page_changelist")).status_code == 200
    assert session.get(reverse("admin:bookings_booking_changelist")).status_code == 403


def test_nobody_ends_their_own_sign_in_or_a_superusers_by_archiving(client, manager):
    make_clinic()
    roles.apply_roles()
    me = make_practitioner(user=manager)
    boss = make_practitioner(user=make_user("superuser", username="boss"))
    html = choose(client, "archive", me, boss)
    assert "The account mara can still sign in, but reads no patients as a practitioner" in html
    assert "The account boss can still sign in" in html
    assert User.objects.filter(is_active=True).count() == 2
    assert client.get("/admin/").status_code == 200


def test_one_without_a_sign_in_is_archived_without_a_word(client, doctor, manager):
    Practitioner.objects.update(user=None)
    doctor.refresh_from_db()
    assert access.archive(doctor, by=manager) is None
    assert "The account" not in choose(client, "bring_back", doctor)


def test_who_may_only_read_a_practitioner_reads_words(doctor, session):
    address = reverse("admin:clinic_practitioner_change", args=[doctor.pk])
    shown = session.get(address).content.decode()
    assert "At the clinic, Video, Phone" in shown
    assert "in_person" not in shown
