"""One kind of mail address at every door, and exactly that in the envelope."""

import re

import pytest
from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.forms import modelform_factory
from django.urls import reverse

from bookings import manage_links, rate_limits
from bookings.admin.bookings import ContactForm
from bookings.forms import CallbackForm, DetailsForm, LostLinkForm
from bookings.messaging import outbox, queue
from bookings.models import Booking, Message
from clinic import mail_addresses
from clinic.models import AccountMail, User
from clinic.staff import roles
from tests.bookings.conftest import FormClient
from tests.factories import make_booking, make_clinic, make_location, make_user
from tests.mail_server import MailServer

PLAIN = [
    "pat@b.example", "Pat.Example@b.example", "pat+tag@b.example", "o'neil@b.example",
    "a!#$%&'*+/?=^_`{|}~-z@b.example", "x=y@b.example", "who?@b.example", "+a@b.example",
    "pat%c.example@b.example", "c.example!pat@b.example", "1@b.example", "_@b.example",
    f"{'l' * 64}@b.example", f"pat@{'d' * 63}.{'d' * 63}.example", "pat@a.b.c.d.example",
    "pat@xn--bcher-kva.example", "pat@b-2.example", "pat@b.xn--p1ai",
]  # fmt: skip
SPELLED = {
    "pat@B.EXAMPLE": "pat@b.example",
    "pat@bücher.example": "pat@xn--bcher-kva.example",
    "pat@BÜCHER.example": "pat@xn--bcher-kva.example",
    "pat@b\u3002example": "pat@b.example",
    "pat@\uff42.example": "pat@b.example",
}
ENCODED = [
    f"=?{charset}?{how}?{text}?=@b.example"
    for charset in ("utf-8", "us-ascii", "UTF-8", "iso-8859-1")
    for how, text in [
        ("q", "vic2"), ("Q", "=76ic2"), ("b", "dmljMg=="), ("q", "=00"), ("q", "=0d=0a"),
        ("q", "=0aBcc:_all"), ("q", "vic2@evil.example_"), ("q", ""),
    ]
]  # fmt: skip
REFUSED = [
    *ENCODED, "a=?b@b.example", "pat.=?utf-8?q?x?=@b.example",
    '"pat"@b.example', '"a b"@b.example', '"pat@evil.example "@b.example', 'a"b@b.example',
    "a\\b@b.example", "pat(x)@b.example", "Pat <pat@b.example>", "<pat@b.example>",
    "pat@b.example,vic@b.example", "pat@b.example;vic@b.example", "pat@b.example vic@b.example",
    "pat@c.example@b.example", "a..b@b.example", ".a@b.example", "a.@b.example", "a b@b.example",
    "jösé@b.example", "pat\u200b@b.example", "p\u0430t@b.example", "\uff50at@b.example",
    "pat\x00@b.example", "pat\n@b.example", "pat@b.exa\nmple", "pat\r\nBcc: x@b.example",
    "pat\x7f@b.example", "pat\t@b.example", "pat\u202e@b.example", "pat@b.exam\x00ple",
    "pat@", "@b.example", "pat", "pat@example", "pat@localhost", "pat@[127.0.0.1]",
    "pat@127.0.0.1", "pat@b..example", "pat@.example", "pat@b.example.", "pat@-b.example",
    "pat@b-.example", "pat@b_c.example", "pat@b.e", "pat@b.ex ample", "pat@b.ex%61mple",
    f"{'l' * 65}@b.example", f"pat@{'d' * 64}.example", f"pat@{'d.' * 126}example",
]  # fmt: skip


@pytest.mark.parametrize("address", PLAIN)
def test_what_is_plain_stays_as_it_is(address):
    assert mail_addresses.normal(address) == address


@pytest.mark.parametrize(("typed", "stored"), SPELLED.items())
def test_the_domain_has_one_spelling(typed, stored):
    assert mail_addresses.normal(typed) == stored
    assert mail_addresses.normal(stored) == stored


@pytest.mark.parametrize("address", REFUSED)
def test_everything_else_is_refused_in_words(address):
    with pytest.raises(ValidationError) as error:
        mail_addresses.normal(address)
    assert error.value.messages[0].startswith(("Enter an e-mail", "Before the @ we can use"))


def details(**more):
    return {
        "name": "Pat", "email": "pat@b.example", "phone": "+13235550111", "language": "English",
        "consent": "on", "call_when": "Mornings", **more,
    }  # fmt: skip


# --- every door -----------------------------------------------------------------------------------


@pytest.mark.django_db
def test_no_form_of_patients_or_the_desk_takes_it():
    desk_form = modelform_factory(Booking, ContactForm, fields=["email"])
    for address in REFUSED:
        for form in (
            DetailsForm(details(email=address), languages=["English"], visit_type="video"),
            CallbackForm(details(email=address), languages=["English"]),
            LostLinkForm({"email": address}),
            desk_form(details(email=address), instance=Booking()),
        ):
            assert form.errors.get("email"), (type(form), address)


@pytest.mark.django_db
@pytest.mark.parametrize(("typed", "stored"), SPELLED.items())
def test_each_form_gives_what_will_be_stored(typed, stored):
    for form in (
        DetailsForm(details(email=typed), languages=["English"], visit_type="video"),
        CallbackForm(details(email=typed), languages=["English"]),
        LostLinkForm({"email": typed}),
    ):
        assert form.is_valid(), form.errors
        assert form.cleaned_data["email"] == stored
    assert rate_limits.mailbox(stored) == stored


@pytest.fixture
def manager(db, client):
    roles.apply_roles()
    make_clinic()
    user = make_user(roles.MANAGER, username="mara", email="mara@example.org", is_superuser=True)
    client.force_login(user)
    session = client.session
    session["account_authentication_methods"] = [{"method": "mfa", "at": 0}]
    session.save()
    return user


BAD = ["=?utf-8?q?vic2?=@b.example", '"a b"@b.example', "jösé@b.example", "desk@localhost"]


@pytest.mark.django_db
@pytest.mark.parametrize("address", BAD)
def test_no_account_gets_it(address):
    with pytest.raises(CommandError, match=r"Before the @|Enter an e-mail"):
        call_command("createsuperuser", interactive=False, username="x", email=address, verbosity=0)
    assert not User.objects.exists()
    user = User(username="x", email=address, password="unusable")  # noqa: S106
    with pytest.raises(ValidationError):
        user.full_clean()


@pytest.mark.django_db
@pytest.mark.parametrize("address", BAD)
@pytest.mark.parametrize("field", ["email", "desk_email"])
def test_no_setting_of_the_clinic_takes_it(field, address):
    location = make_location()
    row = location.clinic if field == "email" else location
    setattr(row, field, address)
    with pytest.raises(ValidationError) as error:
        row.full_clean()
    assert list(error.value.message_dict) == [field]


@pytest.mark.parametrize("address", BAD)
def test_the_admin_and_the_sign_in_pages_refuse_it(manager, client, address, settings):
    settings.DEMO_ACCOUNTS_SKIP_SECOND_FACTOR = True
    from clinic.admin.users import StaffAdmin, User, admin

    form = StaffAdmin(User, admin.site).get_form(_request(manager), obj=make_user())
    assert isinstance(form.base_fields["email"], mail_addresses.MailAddressFormField)
    client.post(reverse("account_reauthenticate"), {"password": "correct horse battery"})
    for page in ("account_email", "account_reset_password"):
        assert client.post(reverse(page), {"email": address}).status_code == 200
    assert not EmailAddress.objects.exclude(email=manager.email).exists()
    assert not AccountMail.objects.exists()


def _request(user):
    from django.test import RequestFactory

    request = RequestFactory().get("/")
    request.user = user
    return request


# --- the envelope ---------------------------------------------------------------------------------


@pytest.fixture
def mail_server(settings):
    with MailServer() as server:
        server.use(settings)
        yield server


@pytest.mark.django_db
def test_the_envelope_holds_what_was_typed_and_nothing_else(mail_server):
    """A real SMTP server: one RCPT for each address that a form took, letter by letter."""
    make_clinic()
    taken = []
    for number, address in enumerate([*PLAIN, *SPELLED, *REFUSED]):
        form = DetailsForm(details(email=address), languages=["English"], visit_type="video")
        if not form.is_valid():
            continue
        taken.append(form.cleaned_data["email"])
        booking = make_booking(email=form.cleaned_data["email"])
        queue.enqueue(booking, Message.Kind.CONFIRMED, occasion=f"t{number}")
    assert taken == [*PLAIN, *SPELLED.values()]
    outbox.drain()
    assert sorted(mail_server.addresses()) == sorted(taken)
    assert len(mail_server.received) == len(taken)
    commands = re.findall(rb"(?im)^rcpt to:<(.*)>\r$", mail_server.clear)
    assert sorted(commands) == sorted(address.encode() for address in taken)
    for message in mail_server.received:
        assert str(message["To"]).replace(" ", "") == message["X-Envelope-To"]
    assert b"\x00" not in mail_server.clear


@pytest.mark.django_db
@pytest.mark.parametrize("address", [*ENCODED[:8], '"vic@evil.example "@b.example', "jösé@b.example"])  # fmt: skip
def test_nothing_is_sent_to_what_was_stored_before(mail_server, address):
    """Rows from before the rule: failed at once, for the desk to see."""
    make_clinic()
    message_key = queue.enqueue(make_booking(email=address), Message.Kind.CONFIRMED)
    outbox.drain()
    message = Message.objects.get(key=message_key)
    assert (message.state, message.error) == ("failed", "Not an e-mail address")
    assert mail_server.received == []
    assert b"rcpt" not in mail_server.clear.lower()


@pytest.mark.django_db
def test_nothing_is_sent_to_such_a_desk(mail_server):
    make_clinic(desk_email="=?utf-8?q?vic2?=@b.example")
    queue.enqueue(make_booking(), Message.Kind.DESK_NEW)
    outbox.drain()
    assert Message.objects.get().state == "failed"
    assert mail_server.received == []


@pytest.mark.django_db
def test_a_domain_that_was_stored_as_typed_is_written_to_as_it_is_spelled(mail_server):
    make_clinic()
    queue.enqueue(make_booking(email="Pat@B.EXAMPLE"), Message.Kind.CONFIRMED)
    outbox.drain()
    assert mail_server.addresses() == ["Pat@b.example"]


@pytest.mark.django_db
def test_a_second_fact_may_be_spelled_as_it_was_typed():
    client = FormClient()

    make_clinic()
    booking = make_booking(email="Pat@xn--bcher-kva.example", phone="")
    client.get(reverse("bookings:open_link", args=[manage_links.issue(booking)]))
    answer = client.post(reverse("bookings:manage"), {"fact": "pat@BÜCHER.example"})
    assert answer.status_code == 302
