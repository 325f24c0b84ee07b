"""P-07: a manager hands over what is stored about a person, or erases it; nobody else, and recorded."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Group
from django.core.cache import caches
from django.urls import reverse

from bookings import manage_links
from bookings.desk import exports, personal_export
from bookings.models import Booking
from clinic import personal_data
from clinic.models import AuditEvent
from clinic.staff import roles
from clinic.staff.adapters import DEMO_GROUP
from tests.bookings.conftest import FILLED
from tests.factories import make_booking, make_clinic, make_condition, make_user, queue_message

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
AGO = datetime.now(UTC) - timedelta(days=3)


@pytest.fixture(autouse=True)
def clinic(db, settings, tmp_path):
    settings.VAR_DIR = tmp_path
    roles.apply_roles()
    caches["default"].clear()
    return make_clinic()


@pytest.fixture
def manager(client):
    user = make_user(roles.MANAGER, first_name="Mina", last_name="Manager")
    user.groups.add(Group.objects.get_or_create(name=DEMO_GROUP)[0])
    client.force_login(user)
    client.post(f"{reverse('account_reauthenticate')}?next=/admin/", {"password": PASSWORD})
    return user


def address(page, booking):
    return reverse(f"admin:bookings_booking_{page}", args=[booking.pk])


def past(**values):
    return make_booking(**{"starts_at": AGO, "status": "fulfilled", **values})


# --- the page of a booking ------------------------------------------------------------------------


def test_a_manager_sees_the_day_and_both_buttons(client, manager):
    booking = past(starts_at=datetime(2026, 3, 1, 20, tzinfo=UTC))
    html = client.get(address("change", booking)).content.decode()
    assert "Erased by itself from Mon 1 Mar 2027" in html
    for page in ("person", "erase"):
        assert f'href="{address(page, booking)}"' in html


def test_others_see_none_of_it(client):
    user = make_user(roles.FRONT_DESK)
    user.groups.add(Group.objects.get_or_create(name=DEMO_GROUP)[0])
    client.force_login(user)
    booking = past()
    html = client.get(address("change", booking)).content.decode()
    assert "Personal details" not in html
    for page in ("person", "erase"):
        assert client.post(address(page, booking), {"reason": "asked"}).status_code == 403
    booking.refresh_from_db()
    assert booking.name
    assert not AuditEvent.objects.filter(action__startswith="booking.").exists()


@pytest.mark.parametrize("page", ["person", "erase"])
def test_the_password_is_asked_for_again(client, manager, page):
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": 0}]
    session.save()
    response = client.post(address(page, past()), {"reason": "asked"})
    assert response["Location"].startswith(reverse("account_reauthenticate"))
    assert not AuditEvent.objects.filter(action__startswith="booking.").exists()


# --- erasing --------------------------------------------------------------------------------------


def test_erasing_with_a_reason(client, manager):
    booking = past(staff_note="ZZQ")
    queue_message(booking, "follow_up")
    page = client.get(address("erase", booking)).content.decode()
    assert "1 message still waiting will not be sent" in page
    assert client.post(address("erase", booking), {"reason": ""}).status_code == 422
    response = client.post(address("erase", booking), {"reason": "asked"}, follow=True)
    html = response.content.decode()
    assert "the personal details are erased" in html
    assert "Erased on" in html
    assert "Personal details erased" in html  # the timeline
    booking.refresh_from_db()
    assert personal_data.values(booking) == {}
    event = AuditEvent.objects.get(action="booking.erased")
    assert (event.actor, event.details) == (manager, {"reason": "asked"})
    for page, status in (("erase", 302), ("person", 404)):
        assert client.get(address(page, booking)).status_code == status


def test_what_is_ahead_is_refused_with_words(client, manager):
    booking = make_booking(starts_at=datetime.now(UTC) + timedelta(days=3))
    assert "Cancel it first" in client.get(address("erase", booking)).content.decode()
    response = client.post(address("erase", booking), {"reason": "asked"})
    assert response.status_code == 422
    assert "Cancel it first" in response.content.decode()
    booking.refresh_from_db()
    assert booking.erased_at is None


@pytest.mark.parametrize("reason", ["period", "restored", "Pat Example"])
def test_a_reason_that_is_not_offered_erases_nothing(client, manager, reason):
    booking = past()
    assert client.post(address("erase", booking), {"reason": reason}).status_code == 422
    booking.refresh_from_db()
    assert booking.erased_at is None


def test_a_disk_that_takes_no_writes_is_told(client, manager, tmp_path):
    (tmp_path / "erasures").mkdir()
    booking = past()
    response = client.post(address("erase", booking), {"reason": "asked"})
    assert response.status_code == 422
    assert "nothing was erased" in response.content.decode()
    booking.refresh_from_db()
    assert booking.name


# --- handing over ---------------------------------------------------------------------------------


def ask(client, booking, *chosen, **values):
    uids = [str(row.uid) for row in chosen or (booking,)]
    values = {"bookings": uids, "reason": "asked", "form_of_file": "json"} | values
    return client.post(address("person", booking), values)


def test_the_file_holds_every_personal_column(client, manager):
    booking = past(**FILLED, condition=make_condition(name="Bruxism"))
    manage_links.issue(booking)
    queue_message(booking, "follow_up")
    response = ask(client, booking)
    assert response["Content-Disposition"] == 'attachment; filename="personal-data.json"'
    assert response["Cache-Control"] == "no-store, private"
    [entry] = json.loads(response.content)["bookings"]
    expected = personal_data.values(booking)
    assert expected.keys() == set(personal_data.columns(Booking)) - {"idempotency_key"}
    assert {name: entry[name] for name in expected} == expected
    assert entry["concern"] == "Bruxism"
    assert entry["starts_at"].startswith(f"{AGO:%Y-%m-%d}")
    assert [message["what"] for message in entry["messages"]] == ["After a missed visit"]
    assert len(entry["manage links"]) == 1


def test_the_page_reads_the_same(client, manager):
    booking = past(**FILLED)
    html = ask(client, booking, form_of_file="page").content.decode()
    for value in personal_data.values(booking).values():
        assert isinstance(value, dict) or value in html
    assert "patient: zone: ZZQ" in html


def test_text_of_patients_is_inert_on_it(client, manager):
    booking = past(name="<script>x</script>", message="{{ 7 }}\n<b>")
    for response in (
        client.get(address("person", booking)),
        ask(client, booking, form_of_file="page"),
    ):
        assert "<script>x" not in response.content.decode()
        assert "&lt;script&gt;x" in response.content.decode()


def test_only_bookings_that_were_chosen_among_the_same_address_or_number(client, manager):
    booking = past(name="Ann", email="family@example.org", phone="+13235550101")
    by_mail = past(name="ann", email="FAMILY@example.org", phone="")
    by_phone = past(name="Ben", email="", phone="+13235550101")
    stranger = past(name="Zoe", email="zoe@example.org", phone="+13235550102")
    gone = past(email="family@example.org", erased_at=AGO)
    page = client.get(address("person", booking))
    offered = {value for value, _label in page.context["form"].fields["bookings"].choices}
    assert offered == {str(row.uid) for row in (booking, by_mail, by_phone)}
    # Those of somebody with another name are left out unless somebody ticks them.
    assert set(page.context["form"].initial["bookings"]) == {str(booking.uid), str(by_mail.uid)}
    [entry] = json.loads(ask(client, booking, by_phone).content)["bookings"]
    assert entry["name"] == "Ben"
    for other in (stranger, gone):
        assert ask(client, booking, other).status_code == 422


def test_each_booking_that_leaves_is_recorded_without_the_person(client, manager):
    booking, other = (past(email="a@example.org", name="Ann") for _ in range(2))
    assert not AuditEvent.objects.filter(action="booking.person_exported").exists()
    ask(client, booking, booking, other)
    events = AuditEvent.objects.filter(action="booking.person_exported")
    assert {event.object_key for event in events} == {booking.reference, other.reference}
    for event in events:
        assert event.actor == manager
        assert event.details == {"reason": "asked", "bookings": 2}
    html = client.get(address("change", booking)).content.decode()
    assert "Personal details exported" in html


def test_history_names_no_staff(client, manager):
    booking = past()
    ask(client, booking)
    answer = ask(client, booking)
    [event] = json.loads(answer.content)["bookings"][0]["history"]
    assert (event["what"], event["who"]) == ("Personal details exported", "staff")
    assert "Mina" not in answer.content.decode()


@pytest.mark.parametrize("wrong", [{"bookings": []}, {"reason": ""}, {"form_of_file": "pdf"}])
def test_what_is_missing_is_told_and_nothing_leaves(client, manager, wrong):
    booking = past()
    response = ask(client, booking, **wrong)
    assert response.status_code == 422
    assert not AuditEvent.objects.filter(action="booking.person_exported").exists()


def test_nothing_to_export_is_refused():
    with pytest.raises(exports.ExportRefused):
        personal_export.export_person([], reason="asked", by=None)
