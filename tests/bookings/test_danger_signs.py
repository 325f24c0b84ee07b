"""No door books without the emergency signs that a clinician signed, and each booking keeps them."""

import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.cache import caches
from django.urls import reverse

from bookings import invariants
from bookings.lifecycle import answers, errors, offers, requests
from bookings.models import Booking
from bookings.views import manage
from clinic.staff import roles
from clinic.staff.adapters import DEMO_GROUP
from conditions import editions
from conditions.editions import EmergencySigns
from conditions.models import Condition, Edition
from tests.bookings.conftest import FormClient
from tests.bookings.guest import NINE, PERSON, answer, key_of
from tests.factories import (
    asked_of,
    make_clinic,
    make_concern,
    make_condition,
    make_gate,
    make_hours,
    make_practitioner,
    make_request,
    make_user,
)

pytestmark = pytest.mark.django_db

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)
AT_NINE = datetime(2027, 1, 4, 17, tzinfo=UTC)
CALL = PERSON | {"call_when": "Mornings"}


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def concern():
    make_clinic(phone="+13235550142")
    make_hours()
    condition = make_concern(slug="jaw-pain", name="Jaw pain", signs=["No air", "A stroke"])
    condition.practitioners.add(make_practitioner(slug="doctor"))
    return condition


@pytest.fixture
def general():
    return make_gate(signs=["Chest pain"])


@pytest.fixture
def desk():
    client = FormClient()
    client.user = make_user(roles.FRONT_DESK)
    roles.apply_roles()
    client.user.groups.add(*client.user.groups.model.objects.get_or_create(name=DEMO_GROUP)[:1])
    client.force_login(client.user)
    return client


def withdraw(condition=None):
    Edition.objects.about(condition).update(live=False, withdrawn_at=NOW)
    caches["memory"].clear()


def ask(condition=None, asked=None, **values):
    values = {
        "start": AT_NINE, "visit_type": "in_person", "name": "Pat", "email": "pat@example.org",
        "phone": "+13235550119", "consent_version": "1",
    } | values  # fmt: skip
    asked = editions.emergency_signs(condition) if asked is None else asked
    return make_request(condition=condition, asked=asked, **values)


def call_me(condition=None, asked=None, **values):
    asked = editions.emergency_signs(condition) if asked is None else asked
    return make_request(
        condition=condition, asked=asked, visit_type="phone", name="Pat", phone="+13235550119",
        consent_version="1", **values,
    )  # fmt: skip


# --- every public door ----------------------------------------------------------------------------


def test_the_signs_that_were_signed_are_asked_and_kept(client, concern):
    client.post("/book/", {"condition": "jaw-pain", "visit_type": "in_person"})
    page = client.get("/book/signs/").content.decode()
    assert re.findall(r"<li>(No air|A stroke)</li>", page) == ["No air", "A stroke"]
    client.post("/book/check/", {"key": key_of(answer(client))})
    booking = Booking.objects.get()
    assert booking.asked_red_flags == ["No air", "A stroke"]
    assert booking.asked_edition.page.condition == concern


def test_a_call_back_keeps_them_too(client, concern, general):
    answer(client, until="time", condition="other")
    client.post("/book/call/", CALL)
    booking = Booking.objects.get()
    assert (booking.asked_edition, booking.asked_red_flags) == (general, ["Chest pain"])


def test_a_concern_without_signs_is_not_offered(client, concern):
    make_condition(slug="facial-spasm", name="Facial spasm")
    page = client.get("/book/?condition=facial-spasm").content.decode()
    assert "Facial spasm" not in page
    assert 'value="other"' not in page, "nobody signed general signs"
    assert "so it cannot be booked here" in page
    assert "+1 323-555-0142" in page
    for chosen in ("facial-spasm", "other"):
        answer = client.post("/book/", {"condition": chosen, "visit_type": "phone"})
        assert answer.status_code == 422


def test_a_renamed_page_asks_the_same_signs(client):
    """Page and concern have addresses of their own; the page's button leads to its concern."""
    make_clinic()
    make_hours()
    condition = make_condition(slug="cervical-dystonia")
    condition.practitioners.add(make_practitioner())
    make_gate(condition, ["No air"], slug="twisted-neck")
    page = client.get("/conditions/twisted-neck/").content.decode()
    assert "?condition=twisted-neck" in page
    assert "Next free time" in page
    start = client.get("/book/?condition=twisted-neck").content.decode()
    assert re.search(r'value="cervical-dystonia"[^>]*checked', start)
    client.post("/book/", {"condition": "cervical-dystonia", "visit_type": "video"})
    assert "<li>No air</li>" in client.get("/book/signs/").content.decode()


def test_a_page_of_a_concern_that_takes_no_bookings_says_so(client, concern):
    Condition.objects.update(accepts_bookings=False)
    page = client.get("/conditions/jaw-pain/").content.decode()
    assert "We take no bookings for this concern" in page
    assert "btn-point" not in page
    assert "Next free time" not in page


def test_nothing_signed_books_nothing(client, concern):
    withdraw(concern)
    for address in ("/book/", "/book/?condition=jaw-pain"):
        response = client.get(address)
        assert response.status_code == 200
        assert "nothing can be booked here" in response.content.decode()
        assert "<form" not in response.content.decode()
    assert client.post("/book/", {"condition": "jaw-pain"}).status_code == 409
    home = client.get("/").content.decode()
    assert "Next free time" not in home
    assert "nothing can be booked here" in home


@pytest.mark.parametrize("condition", ["jaw-pain", "other"])
@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("step", ["signs", "time", "details", "check", "call"])
def test_no_step_goes_on_once_the_signs_are_gone(client, concern, step, method, condition, general):
    key = key_of(answer(client, condition=condition))
    withdraw(concern if condition == "jaw-pain" else None)
    data = CALL | {"signs": "none", "start": NINE, "key": key}
    response = getattr(client, method)(f"/book/{step}/", data)
    page = response.content.decode()
    assert response.status_code == 409
    assert "cannot be booked here" in page or "nothing can be booked here" in page
    assert not Booking.objects.exists()


def test_a_concern_that_stops_taking_bookings_is_not_booked_as_no_concern(client, concern, general):
    key = key_of(answer(client))
    Condition.objects.update(accepts_bookings=False)
    response = client.post("/book/check/", {"key": key})
    assert response.status_code == 409
    assert "We take no bookings for this concern" in response.content.decode()
    assert not Booking.objects.exists()


def sign_anew(condition, signs):
    Edition.objects.about(condition).update(live=False)
    page = Edition.objects.about(condition).first().page
    condition.red_flags.all().delete()
    return make_gate(condition, signs, page=page, number=2, slug="jaw-pain")


def test_signs_that_changed_meanwhile_are_asked_again(client, concern):
    key = key_of(answer(client))
    sign_anew(concern, ["No air", "A stroke", "A new one"])
    assert client.post("/book/check/", {"key": key}).url == "/book/signs/"
    assert "A new one" in client.get("/book/signs/").content.decode()
    assert client.post("/book/signs/", {"signs": "none"}).url == "/book/check/"
    client.post("/book/check/", {"key": key})
    assert Booking.objects.get().asked_red_flags == ["No air", "A stroke", "A new one"]


def test_none_of_these_holds_for_the_signs_that_were_shown(client, concern):
    client.post("/book/", {"condition": "jaw-pain", "visit_type": "in_person"})
    shown = editions.emergency_signs(concern).edition.pk
    sign_anew(concern, ["A new one"])
    response = client.post("/book/signs/", {"signs": "none", "edition": shown})
    assert response.status_code == 422
    assert "have just changed" in response.content.decode()
    assert client.get("/book/time/").url == "/book/signs/"


def test_a_new_edition_with_the_same_signs_asks_nothing_again(client, concern):
    key = key_of(answer(client))
    sign_anew(concern, ["No air", "A stroke"])
    assert client.post("/book/check/", {"key": key}).url == "/book/done/"


def test_a_pressed_button_pressed_again_finds_its_booking(client, concern):
    key = key_of(answer(client))
    client.post("/book/check/", {"key": key})
    withdraw(concern)
    assert client.post("/book/check/", {"key": key}).url == "/book/done/"


# --- the verbs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [ask, call_me])
def test_the_verbs_refuse_what_cannot_be_asked(concern, verb):
    other = asked_of(make_concern(signs=["Not yours"]))
    asked = editions.emergency_signs(concern)
    for wrong in (EmergencySigns(), other, EmergencySigns(asked.edition, ("Made up",))):
        with pytest.raises(errors.RedFlagsChanged):
            verb(concern, wrong)
    withdraw(concern)
    with pytest.raises(errors.NotAllowed, match="cannot be booked here"):
        verb(concern, asked)
    with pytest.raises(errors.NotAllowed, match="without a concern"):
        verb(None, EmergencySigns())
    assert not Booking.objects.exists()


def test_the_general_signs_are_for_the_desk_where_a_concern_has_none(concern, general):
    floor = EmergencySigns(general, ("Chest pain",))
    with pytest.raises(errors.RedFlagsChanged):
        ask(concern, floor, source="desk")
    withdraw(concern)
    with pytest.raises(errors.NotAllowed):
        ask(concern, floor)
    booking = ask(concern, floor, source="desk")
    assert (booking.asked_edition, booking.condition) == (general, concern)


def test_what_is_booked_goes_on_when_the_signs_are_gone(concern, general):
    hour = timedelta(hours=1)
    waiting, unverified = ask(concern), ask(concern, start=AT_NINE + hour, verify_within=hour)
    offered, call = ask(concern, start=AT_NINE + 2 * hour), call_me(concern)
    withdraw(concern)
    withdraw()
    requests.verify_email(unverified)
    answers.confirm(waiting, by="system")
    answers.reschedule(waiting, start=AT_NINE + 3 * hour, by="patient")
    answers.reschedule(call, start=AT_NINE + 4 * hour, by="system")
    doctor = concern.practitioners.get()
    offers.offer(offered, times=[(AT_NINE + 5 * hour, doctor)], by="system")
    offers.choose(offered, offered=offered.offers.get())
    answers.cancel(waiting, by="patient")
    offered.refresh_from_db()
    assert offered.status == "booked"
    assert offered.asked_red_flags == ["No air", "A stroke"]


# --- what patients read ---------------------------------------------------------------------------


def test_a_concern_is_named_as_it_was_signed(client, concern, general):
    Condition.objects.update(name="Jaw pain, cured", summary="Gone for good")
    pages = [client.get("/book/")]
    key = key_of(answer(client))
    pages += [client.get(f"/book/{step}/") for step in ("signs", "time", "details", "check")]
    client.post("/book/check/", {"key": key})
    pages += [client.get("/book/done/"), client.get("/booking/")]
    texts = [response.content.decode() for response in pages]
    assert "Jaw pain" in texts[0]
    assert "<dd>Jaw pain</dd>" in texts[-1]
    assert not [text for text in texts if "cured" in text or "Gone for good" in text]


def test_a_withdrawn_concern_keeps_the_name_that_was_signed(concern, general):
    booking = ask(concern)
    withdraw(concern)
    Condition.objects.update(name="Jaw pain, cured")
    assert manage._concern(Booking.objects.get(pk=booking.pk)) == "Jaw pain"
    booking.asked_edition = general
    assert manage._concern(booking) == "As you told us"


# --- the desk -------------------------------------------------------------------------------------

ADD = reverse("admin:bookings_booking_add")
CALLER = {
    "visit_type": "in_person", "practitioner": "", "start": "2027-01-04T17:00:00Z",
    "name": "Ana", "email": "", "phone": "(323) 555-0177", "language": "English", "consent": "on",
    "call_when": "Mornings",
}  # fmt: skip


def phone(desk, step, condition="jaw-pain", **changes):
    data = CALLER | {"condition": condition, "key": str(uuid.uuid4()), "step": step} | changes
    return desk.post(ADD, data)


def told(desk):
    booking = Booking.objects.get()
    return desk.get(reverse("admin:bookings_booking_change", args=[booking.pk])).content.decode()


@pytest.mark.parametrize(("step", "save"), [("details", "book"), ("call", "book_call")])
def test_the_phone_script_reads_what_is_signed(desk, concern, step, save):
    concern.red_flags.create(level="emergency", text="UNSIGNED WORDS", asked_before_booking=True)
    script = phone(desk, step).content.decode()
    assert re.findall(r"<li>(No air|A stroke)</li>", script) == ["No air", "A stroke"]
    assert "UNSIGNED" not in script
    edition = re.search(r'name="edition"\s+value="(\d+)"', script).group(1)
    unread = phone(desk, save, edition=edition)
    assert unread.status_code == 422
    assert "Say whether you read the danger signs out" in unread.content.decode()
    assert phone(desk, save, edition=edition, signs="none").status_code == 302
    page = told(desk)
    assert "<br>• No air" in page
    assert "edition 1" in page


def test_somebody_who_is_not_sure_is_asked_the_general_signs(desk, concern, general):
    script = phone(desk, "details", condition="").content.decode()
    assert "<li>Chest pain</li>" in script
    assert phone(desk, "book", condition="", edition=general.pk, signs="none").status_code == 302
    assert Booking.objects.get().asked_edition == general


def test_a_withdrawn_concern_is_booked_under_the_general_signs(desk, concern, general):
    withdraw(concern)
    script = phone(desk, "details").content.decode()
    assert "<li>Chest pain</li>" in script
    assert "These are the general ones" in script
    assert phone(desk, "book", edition=general.pk, signs="none").status_code == 302
    assert Booking.objects.get().condition == concern
    assert "so these are the general ones" in told(desk)


def test_what_was_agreed_elsewhere_is_entered_before_anything_is_signed(desk, concern):
    withdraw(concern)
    script = phone(desk, "details").content.decode()
    assert "No danger signs can be asked" in script
    assert phone(desk, "book", signs="none").status_code == 422
    assert phone(desk, "book", signs="elsewhere").status_code == 302
    booking = Booking.objects.get()
    assert (booking.asked_edition, booking.asked_red_flags) == (None, [])
    assert "Danger signs not asked here" in told(desk)


def test_the_desk_reads_signs_again_that_changed_meanwhile(desk, concern):
    edition = editions.emergency_signs(concern).edition.pk
    sign_anew(concern, ["A new one"])
    response = phone(desk, "book", edition=edition, signs="none")
    assert response.status_code == 422
    assert "have changed" in response.content.decode()
    assert "<li>A new one</li>" in response.content.decode()
    assert not Booking.objects.exists()


# --- what must be true ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        {"asked_edition": None, "asked_red_flags": []},
        {"asked_red_flags": ["No air"]},
        {"condition": None},
    ],
    ids=["asked nothing", "asked less", "asked about another concern"],
)
def test_the_invariants_find_what_was_not_asked(concern, values):
    booking = ask(concern)
    ask(concern, EmergencySigns(), source="desk", start=AT_NINE + timedelta(hours=1))
    assert list(invariants.unasked()) == []
    Booking.objects.filter(pk=booking.pk).update(**values)
    assert list(invariants.unasked()) == [booking.reference]
    Booking.objects.filter(pk=booking.pk).update(asked_edition=None, asked_red_flags=None)
    assert list(invariants.unasked()) == [], "older than the record"
