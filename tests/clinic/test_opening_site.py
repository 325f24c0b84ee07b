"""A public site is born closed and empty, and opens when its manager has all that it needs."""

import re

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.core.management import call_command
from django.utils import timezone

from clinic.models import AuditEvent, Clinic, Practitioner, User
from clinic.operations import setup
from clinic.staff.adapters import DEMO_GROUP
from conditions.models import Edition, Page
from tests.factories import make_clinic, make_user

pytestmark = pytest.mark.django_db

OPENING = "/admin/clinic/clinic/opening/"


@pytest.fixture
def public(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    settings.ON_LOOPBACK = False
    call_command("load_starter", verbosity=0)


def signed_in(client, role):
    user = make_user(role)
    user.groups.add(Group.objects.get_or_create(name=DEMO_GROUP)[0])  # needs no second factor here
    client.force_login(user)
    return user


def test_a_public_site_is_born_without_anybody_fictitious(public):
    assert Clinic.objects.current().name == "The clinic"
    assert not Practitioner.objects.exists()
    assert not User.objects.exists()
    assert not Edition.objects.exists()
    assert Page.objects.count() == 15
    assert not Page.objects.exclude(last_reviewed=None).exists()


@pytest.mark.parametrize("path", ["/", "/book/", "/conditions/bruxism/", "/contact/", "/nothing/"])
def test_visitors_read_opening_soon(public, client, path):
    for answer in (client.get(path), client.post(path, "", "application/x-www-form-urlencoded")):
        assert answer.status_code == 503
        assert "Opening soon" in answer.text


def test_health_and_sign_in_answer_meanwhile(public, client):
    assert client.get("/health/live").status_code == 200
    assert client.get("/account/login/").status_code == 200


def test_on_loopback_the_demo_is_shown_at_once(settings, tmp_path, client):
    settings.VAR_DIR = tmp_path
    call_command("load_starter", verbosity=0)
    assert client.get("/").status_code == 200
    assert Clinic.objects.current().name == "Linden & Vale Clinic"


def fill(**values):
    own = {
        "name": "Harbor Clinic",
        "phone": "+12135557788",
        "email": "hello@harbor-clinic.com",
        "desk_email": "desk@harbor-clinic.com",
        "zone_confirmed": True,
        "mailbox_tested": "hello@harbor-clinic.com",
    }
    make_clinic(**own | values)
    Practitioner.objects.get_or_create(
        slug="ada-own",
        defaults={
            "name": "Dr. Ada Own",
            "license_number": "A-1",
            "license_checked_on": timezone.localdate(),
        },
    )


@pytest.fixture
def a_signed_page(monkeypatch):
    monkeypatch.setattr(setup, "MORE", [lambda: setup.Step("One medical page", True)])


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({"name": "The clinic"}, "own name"),
        ({"name": "Linden & Vale Clinic"}, "own name"),
        ({"phone": ""}, "phone"),
        ({"phone": "+13235550142"}, "phone"),
        ({"email": "hello@lindenvale.example"}, "mailbox"),
        ({"desk_email": ""}, "mailbox"),
        ({"zone_confirmed": False}, "time zone"),
        ({"mailbox_tested": "other@harbor-clinic.com"}, "test mail"),
    ],
)
def test_what_is_missing_is_named_and_keeps_it_closed(public, a_signed_page, values, missing):
    fill(**values)
    with pytest.raises(setup.NotReady) as refused:
        setup.open_site(by="system")
    assert any(missing in step.words for step in refused.value.steps)
    assert Clinic.objects.current().opened_at is None


@pytest.mark.parametrize("number", ["", "DEMO-20311"])
def test_a_practitioner_of_the_demo_is_none_of_the_clinics(public, a_signed_page, number):
    fill()
    Practitioner.objects.update(license_number=number)
    with pytest.raises(setup.NotReady):
        setup.open_site(by="system")


def test_without_a_signed_page_it_stays_closed(public):
    fill()
    with pytest.raises(setup.NotReady) as refused:
        setup.open_site(by="system")
    assert [step.words for step in refused.value.steps] == [
        "One medical page, signed and published"
    ]


def test_the_manager_sees_what_is_missing_tests_the_mailbox_and_opens(
    public, a_signed_page, client
):
    fill(mailbox_tested="")
    manager = signed_in(client, "Manager")
    assert "opening soon" in client.get("/admin/").text
    page = client.get(OPENING).text
    assert "<strong>Missing:</strong>\n      A test mail" in page
    client.post(OPENING, {"act": "mail"})
    (sent,) = mail.outbox
    assert (sent.to, sent.from_email) == (
        ["hello@harbor-clinic.com"],
        "Harbor Clinic <hello@harbor-clinic.com>",
    )
    code = re.search(r"\d{6}", sent.body)[0]
    client.post(OPENING, {"act": "code", "code": "wrong"})
    client.post(OPENING, {"act": "code", "code": code})
    assert Clinic.objects.current().mailbox_tested == "", "a wrong code spends the mail"
    client.post(OPENING, {"act": "mail"})
    code = re.search(r"\d{6}", mail.outbox[-1].body)[0]
    client.post(OPENING, {"act": "code", "code": code})
    client.post(OPENING, {"act": "open"})
    assert Clinic.objects.current().opened_at
    assert AuditEvent.objects.filter(action="clinic.opened", actor=manager).count() == 1
    client.logout()
    assert client.get("/contact/").status_code == 200


def test_a_mail_server_that_refuses_is_named(public, client, monkeypatch):
    def refuse(self):
        raise ConnectionRefusedError("Connection refused")

    fill()
    monkeypatch.setattr("django.core.mail.EmailMessage.send", refuse)
    signed_in(client, "Manager")
    page = client.post(OPENING, {"act": "mail"}, follow=True).text
    assert "did not take it: Connection refused" in page


def test_only_managers_open(public, client):
    signed_in(client, "Front desk")
    assert client.post(OPENING, {"act": "open"}).status_code == 403
