"""Who may do what: the admin against the readable table in permissions.toml, and forged posts."""

import tomllib
from pathlib import Path

import pytest
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.test import RequestFactory
from django.urls import reverse

from clinic.models import AuditEvent, Clinic, Practitioner, User
from clinic.staff import roles
from clinic.staff.adapters import DEMO_GROUP
from tests.factories import make_booking, make_clinic, make_closure, make_practitioner, make_user

TABLE = tomllib.loads((Path(__file__).parent / "permissions.toml").read_text())
VERBS = {"v": "view", "a": "add", "c": "change", "d": "delete"}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _roles():
    roles.apply_roles()
    make_clinic()


def member(role):
    """A staff user with the role who needs no second factor here: demo accounts on loopback."""
    user = make_user(role)
    user.groups.add(Group.objects.get_or_create(name=DEMO_GROUP)[0])
    return user


def sign_in(client, role):
    user = member(role)
    client.force_login(user)
    return user


def prove_it_again(client):
    """Whoever changes accounts gives their password once more."""
    client.post(reverse("account_reauthenticate"), {"password": "correct horse battery"})


def registered():
    return [model._meta.label_lower for model in admin.site._registry]


def allowed(model_admin, user):
    request = RequestFactory().get("/admin/")
    request.user = user
    return "".join(
        letter if getattr(model_admin, f"has_{verb}_permission")(request) else "-"
        for letter, verb in VERBS.items()
    )


# --- P-01: the matrix -----------------------------------------------------------------------------


def test_admin_equals_the_table():
    found = {}
    users = [make_user(role) for role in TABLE["roles"]]
    for model, model_admin in admin.site._registry.items():
        found[model._meta.label_lower] = [allowed(model_admin, user) for user in users]
    assert found == TABLE["models"]


def test_nobody_without_a_role_may_do_anything():
    for user in (AnonymousUser(), make_user(), User(is_staff=True, is_active=False)):
        for model_admin in admin.site._registry.values():
            assert allowed(model_admin, user) == "----"


@pytest.mark.parametrize("role", [*roles.ROLES, "superuser"])
def test_pages_open_as_the_table_says(client, role):
    sign_in(client, role)
    column = TABLE["roles"].index(role)
    for label in registered():
        row = TABLE["models"][label]
        address = "admin:" + label.replace(".", "_")
        status = client.get(reverse(f"{address}_changelist")).status_code
        assert (status in (200, 302)) == ("v" in row[column]), f"{label} list: {status}"
        status = client.get(reverse(f"{address}_add")).status_code
        assert (status in (200, 302)) == ("a" in row[column]), f"{label} add: {status}"


@pytest.mark.parametrize("role", TABLE["roles"])
def test_pages_about_personal_data_open_as_the_table_says(client, role):
    user = sign_in(client, role)
    person = Practitioner.objects.filter(user=user).first() or make_practitioner(user=user)
    booking = make_booking(practitioner=person)
    for name, row in TABLE["pages"].items():
        parts = [] if name.endswith("_export") else [booking.pk]
        response = client.get(reverse(f"admin:{name}", args=parts))
        may = row[TABLE["roles"].index(role)] == "y"
        assert response.status_code == (302 if may else 403), name
        if may:  # the password again
            assert response["Location"].startswith(reverse("account_reauthenticate"))


@pytest.mark.parametrize("role", TABLE["roles"])
def test_pages_about_accounts_open_as_the_table_says(client, role):
    sign_in(client, role)
    prove_it_again(client)
    for name, row in TABLE["account_pages"].items():
        for user in (make_user(roles.EDITOR), make_user("superuser")):
            status = client.get(reverse(f"admin:{name}", args=[user.pk])).status_code
            may = row[TABLE["roles"].index(role)] == "y"
            may = may and (role == "superuser" or not user.is_superuser)
            assert status == (200 if may else 403), name


def test_an_open_session_alone_changes_no_account(client):
    """Who sits down at a manager's open browser makes no account, and gives nobody a password."""
    sign_in(client, roles.MANAGER)
    user = make_user(roles.EDITOR)
    change = reverse("admin:clinic_user_change", args=[user.pk])
    page = reverse("admin:auth_user_password_change", args=[user.pk])
    secret = [reverse("admin:clinic_user_add"), page]
    new = {"password1": "battery staple 123", "password2": "battery staple 123"}
    for address in secret:
        answer = client.post(address, new, follow=True)
        assert answer.redirect_chain[-1][0].startswith(reverse("account_reauthenticate")), address
    assert "battery" not in str(dict(client.session))
    answer = client.post(change, {"email": "evil@evil.test"})
    assert answer["Location"].startswith(reverse("account_reauthenticate"))
    for address in secret:
        assert client.get(address).status_code == 302
    assert client.get(change).status_code == 200
    reset = {"action": "reset_second_factor", "_selected_action": [user.pk]}
    assert client.post(reverse("admin:clinic_user_changelist"), reset).status_code == 302
    assert not AuditEvent.objects.filter(object_type="clinic.user").exists()
    mine = User.objects.get(groups__name=roles.MANAGER)
    own = client.get(reverse("admin:auth_user_password_change", args=[mine.pk]))
    assert own["Location"] == reverse("account_change_password")


def test_every_admin_page_sends_a_stranger_to_the_sign_in_page(client):
    for label in registered():
        address = reverse(f"admin:{label.replace('.', '_')}_changelist")
        response = client.get(address, follow=True)
        assert response.request["PATH_INFO"] == reverse("account_login")


def test_staff_without_second_factor_get_no_further_than_setting_it_up(client):
    client.force_login(make_user(roles.MANAGER))
    response = client.get("/admin/")
    assert response.status_code == 302
    assert response["Location"] == reverse("mfa_index")


def test_apply_roles_sets_exactly_the_table_and_may_run_again():
    extra = Permission.objects.get(codename="delete_user")
    Group.objects.get(name=roles.FRONT_DESK).permissions.add(extra)
    roles.apply_roles()
    for name, wanted in roles.ROLES.items():
        group = Group.objects.get(name=name)
        pairs = group.permissions.values_list("content_type__app_label", "codename")
        assert {f"{app}.{codename}" for app, codename in pairs} == wanted


def test_apply_roles_refuses_a_permission_that_nothing_has(monkeypatch):
    monkeypatch.setitem(roles.ROLES, roles.EDITOR, {"conditions.fly"})
    with pytest.raises(LookupError, match="conditions.fly"):
        roles.apply_roles()


# --- P-04: own rows only --------------------------------------------------------------------------


@pytest.fixture
def two_practitioners(client):
    user = sign_in(client, roles.PRACTITIONER)
    mine, other = make_practitioner(user=user), make_practitioner()
    return mine, other


def test_practitioner_meets_only_their_own_rows(client, two_practitioners):
    mine, other = two_practitioners
    closures = [
        make_closure(practitioner=who, first_day="2027-01-04", last_day="2027-01-04")
        for who in (mine, other, None)
    ]
    listed = client.get(reverse("admin:clinic_closure_changelist")).context["cl"].queryset
    assert list(listed) == closures[:1]
    listed = client.get(reverse("admin:clinic_practitioner_changelist")).context["cl"].queryset
    assert list(listed) == [mine]
    for page, row in (
        ("clinic_practitioner_change", other),
        ("clinic_closure_change", closures[1]),
        ("clinic_closure_delete", closures[1]),
        ("clinic_closure_history", closures[2]),
    ):
        response = client.get(reverse(f"admin:{page}", args=[row.pk]))
        assert response.status_code in (302, 403), page
        assert other.name.encode() not in response.content


@pytest.mark.parametrize("who", ["other", ""])
def test_practitioner_cannot_close_for_others_or_the_whole_clinic(client, two_practitioners, who):
    mine, other = two_practitioners
    chosen = other.pk if who == "other" else ""
    days = {"first_day": "2027-01-04", "last_day": "2027-01-04"}
    address = reverse("admin:clinic_closure_add")
    response = client.post(address, days | {"practitioner": chosen})
    assert response.status_code == 200
    assert "practitioner" in response.context["errors"].as_data() or response.context["errors"]
    assert not other.closures.exists()
    client.post(address, days | {"practitioner": mine.pk})
    assert mine.closures.count() == 1


# --- P-08: nobody climbs --------------------------------------------------------------------------


def post_user(client, user, **values):
    values = {
        "username": user.username,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "email": user.email,
        "is_active": "on",
        "is_staff": "on",
    } | values
    prove_it_again(client)
    return client.post(reverse("admin:clinic_user_change", args=[user.pk]), values)


def test_manager_gives_and_takes_roles(client):
    sign_in(client, roles.MANAGER)
    user = member(roles.EDITOR)
    desk = Group.objects.get(name=roles.FRONT_DESK)
    assert post_user(client, user, groups=[desk.pk]).status_code == 302
    # The membership that the form does not show survives.
    assert roles.names_of(User.objects.get(pk=user.pk)) == {roles.FRONT_DESK, DEMO_GROUP}
    event = AuditEvent.objects.get(action="user.changed")
    assert event.object_key == str(user.pk)
    assert "Groups" in str(event.details["fields"])


def test_forged_posts_make_no_superuser_and_grant_no_single_permission(client):
    me = sign_in(client, roles.MANAGER)
    user = make_user(roles.EDITOR)
    permission = Permission.objects.get(codename="delete_user")
    for target in (me, user):
        post_user(client, target, is_superuser="on", user_permissions=[permission.pk])
        target = User.objects.get(pk=target.pk)
        assert not target.is_superuser
        assert not target.user_permissions.exists()


def test_manager_cannot_touch_their_own_roles(client):
    me = sign_in(client, roles.MANAGER)
    everything = [group.pk for group in Group.objects.all()]
    post_user(client, me, groups=everything)
    assert roles.names_of(User.objects.get(pk=me.pk)) == {roles.MANAGER, DEMO_GROUP}


def test_manager_cannot_hand_out_the_mark_of_demo_accounts(client):
    sign_in(client, roles.MANAGER)
    user = make_user(roles.EDITOR)
    post_user(client, user, groups=[Group.objects.get(name=DEMO_GROUP).pk])
    assert roles.names_of(User.objects.get(pk=user.pk)) == {roles.EDITOR}


def test_manager_cannot_change_a_superuser(client):
    sign_in(client, roles.MANAGER)
    boss = make_user("superuser")
    assert post_user(client, boss, email="mine@example.org").status_code == 403
    password = reverse("admin:auth_user_password_change", args=[boss.pk])
    assert client.get(password).status_code == 403
    data = {"password1": "battery staple 123", "password2": "battery staple 123"}
    assert client.post(password, data | {"usable_password": "true"}).status_code == 403
    client.post(
        reverse("admin:clinic_user_changelist"),
        {"action": "reset_second_factor", "_selected_action": [boss.pk]},
    )
    assert not AuditEvent.objects.filter(action="second_factor.reset").exists()


def test_accounts_and_roles_are_never_deleted_or_rewritten(client):
    sign_in(client, "superuser")
    prove_it_again(client)
    user, group = make_user(roles.EDITOR), Group.objects.get(name=roles.EDITOR)
    assert client.post(reverse("admin:clinic_user_delete", args=[user.pk])).status_code == 403
    assert client.post(reverse("admin:auth_group_change", args=[group.pk]), {}).status_code == 403
    assert User.objects.filter(pk=user.pk).exists()


def test_new_accounts_are_staff_and_have_no_role(client):
    sign_in(client, roles.MANAGER)
    prove_it_again(client)
    client.post(
        reverse("admin:clinic_user_add"),
        {
            "username": "newcomer",
            "first_name": "New",
            "last_name": "Comer",
            "email": "new@example.org",
            "password1": "battery staple 123",
            "password2": "battery staple 123",
            "is_superuser": "on",
        },
    )
    user = User.objects.get(username="newcomer")
    assert user.is_staff
    assert not user.is_superuser
    assert not user.groups.exists()


# --- P-02: forged posts on what may only be read --------------------------------------------------


def test_the_audit_record_takes_no_writes_from_anybody(client):
    user = sign_in(client, "superuser")
    event = AuditEvent.objects.create(
        at="2026-11-22T00:00Z", action="x", object_type="y", object_key="z", actor_label="system"
    )
    for page in ("change", "delete"):
        address = reverse(f"admin:clinic_auditevent_{page}", args=[event.pk])
        assert client.post(address, {"action": "other", "post": "yes"}).status_code == 403
    forged = {"action": "delete_selected", "_selected_action": [event.pk], "post": "yes"}
    client.post(reverse("admin:clinic_auditevent_changelist"), forged)
    event.refresh_from_db()
    assert event.action == "x"
    assert user.is_superuser


def test_front_desk_cannot_change_policy_or_practitioners(client):
    sign_in(client, roles.FRONT_DESK)
    practitioner = make_practitioner()
    address = reverse("admin:clinic_practitioner_change", args=[practitioner.pk])
    assert client.post(address, {"name": "Dr. Other"}).status_code == 403
    address = reverse("admin:clinic_clinic_change", args=[1])
    assert client.post(address, {"name": "Other"}).status_code == 403
    client.post(
        reverse("admin:clinic_practitioner_changelist"),
        {"action": "archive", "_selected_action": [practitioner.pk]},
    )
    assert Clinic.objects.current().name != "Other"
    assert Practitioner.objects.active().get() == practitioner
