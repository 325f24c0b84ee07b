"""X-06 and P-07: the file of bookings runs nothing, and leaves only for those who may, recorded."""

import csv
import io
import unicodedata
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group, Permission
from django.core.cache import caches
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import example, given
from hypothesis import strategies as st

from bookings.desk import exports
from bookings.models import Booking
from clinic.models import AuditEvent
from clinic.staff import roles
from clinic.staff.adapters import DEMO_GROUP
from tests.factories import (
    MONDAY,
    here,
    make_booking,
    make_clinic,
    make_condition,
    make_practitioner,
    make_user,
)

ADDRESS = "/admin/bookings/booking/export/"
PASSWORD = "correct horse battery"
JANUARY = {"first_day": date(2027, 1, 1), "last_day": date(2027, 1, 31)}
POSTED = {
    "first_day": "2027-01-01",
    "last_day": "2027-01-31",
    "status": "",
    "practitioner": "",
    "reason": "accounts",
}
BEGINS_FORMULA = set("=+-@＝＋－＠﹦﹢﹣﹫−")
HIDDEN = ["", " ", "\t", "\r", "\n", "\x00", "\ufeff", "\u200b", "\u00a0", "\u2060", '"', "\u3164"]


# --- no cell is a formula -------------------------------------------------------------------


def would_run(text):
    """Written for this test: what is left of a cell's beginning when nothing invisible counts."""
    for character in text:
        seen = character.isprintable() and not character.isspace() and character not in '"\u3164'
        if seen and unicodedata.category(character)[0] != "M":
            return character in BEGINS_FORMULA
    return False


def parsed(cells, separator=","):
    """The cells that a spreadsheet with that separator finds in a file of two such lines."""
    line = ["KX74-MPQR", *(exports.cell(text) for text in cells), "end"]
    text = b"".join(exports.as_csv([line, line])).decode()
    assert text.startswith("\ufeff")
    return list(
        csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=separator)
    )


hostile = st.lists(
    st.one_of(
        st.sampled_from([*HIDDEN, *BEGINS_FORMULA, ";", ",", "'", "\r\n", "1+1", "SUM(A1)"]),
        st.characters(),
    ),
    max_size=8,
).map("".join)


@given(st.lists(hostile, min_size=1, max_size=3))
@example(['a";=1+1'])
@example(['x;"=1+1"', ';"', ";=1"])
@example(["a\n=1+1", "\r=2"])
@example([";\u200b＝1"])
def test_nothing_that_is_written_is_a_formula(cells):
    """With commas, and where the decimal sign is a comma, with semicolons; and tabs."""
    for separator in (",", ";", "\t"):
        for line in parsed(cells, separator):
            assert [text for text in line if would_run(text)] == []


@given(st.lists(hostile, min_size=1, max_size=3))
def test_a_booking_stays_one_line_with_its_own_cells(cells):
    lines = parsed(cells)
    assert len(lines) == 2
    assert {len(line) for line in lines} == {len(cells) + 2}


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("first", sorted(BEGINS_FORMULA))
def test_every_beginning_of_a_formula_gets_an_apostrophe(hidden, first):
    """Full-width and small forms too, behind whatever does not show."""
    found = exports.cell(f"{hidden}{first}1+1")
    assert found.startswith("'")
    assert found.endswith(f"{first}1+1")


@pytest.mark.parametrize("control", ["\t", "\r", "\n", "\x00"])
def test_a_cell_that_begins_with_a_control_gets_one_too(control):
    assert exports.cell(f"{control}Pat") == "' Pat"


ordinary = st.text(
    st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters="=+-@−"), max_size=60
).filter(lambda text: not any(form in "=+-@−" for form in unicodedata.normalize("NFKC", text)))


@given(ordinary)
@example('Zoë O’Brien Łukasz, “Żó"ł”')
@example("'Ndrangheta; x, y\"z")
def test_ordinary_text_comes_back_as_it_was(text):
    assert parsed([text])[0] == ["KX74-MPQR", text, "end"]


@pytest.mark.parametrize(
    "text",
    ["Anne-Marie O'Neil", "pat+clinic@example.org", "", "ill; called", "שרה כהן", "9 - 10 am"],
)
def test_signs_inside_ordinary_text_stay(text):
    assert exports.cell(text) == text


def test_a_phone_number_stays_readable():
    assert exports.cell("+1 323-555-0142") == "'+1 323-555-0142"
    assert exports.cell(None) == ""


# --- the table ------------------------------------------------------------------------------------


def table(**choices):
    choices = JANUARY | {"reason": "accounts", "by": None} | choices
    found = list(exports.export(Booking.objects.all(), here(), **choices))
    return [dict(zip(found[0], line, strict=True)) for line in found[1:]]


@pytest.mark.django_db
def test_each_column_says_what_the_desk_knows():
    make_clinic()
    booking = make_booking(
        status="cancelled", cancelled_by="clinic", cancelled_at=datetime(2026, 12, 3, 1, tzinfo=UTC),
        confirmed_at=datetime(2026, 12, 2, 9, tzinfo=UTC), cancel_reason="The doctor is ill",
        created_at=datetime(2026, 12, 1, 20, tzinfo=UTC), visit_type="video", source="desk",
        condition=make_condition(name="Bruxism"), practitioner=make_practitioner(name="Dr. Lind"),
        name="Pat Example", email="pat@example.org", spoken_language="Spanish",
    )  # fmt: skip
    assert table() == [
        {
            "Reference": str(booking),
            "Status": "Cancelled",
            "Practitioner": "Dr. Lind",
            "When (America/Los_Angeles)": "2027-01-04 09:00",
            "When (UTC)": "2027-01-04T17:00:00Z",
            "Visit type": "Video call",
            "Concern": "Bruxism",
            "Name": "Pat Example",
            "E-mail": "pat@example.org",
            "Phone": "'+1 323-555-0100",
            "Language": "Spanish",
            "Source": "Front desk",
            "Asked (America/Los_Angeles)": "2026-12-01 12:00",
            "Confirmed (America/Los_Angeles)": "2026-12-02 01:00",
            "Cancelled (America/Los_Angeles)": "2026-12-02 17:00",
            "Cancelled by": "Clinic",
            "Reason": "The doctor is ill",
        }
    ]


@pytest.mark.django_db
def test_what_the_patient_wrote_and_staff_noted_is_neither_written_nor_read():
    make_clinic()
    make_booking(message="ZZQmessage", staff_note="ZZQnote", call_when="ZZQcall")
    with CaptureQueriesContext(connection) as queries:
        found = table()
    assert len(found) == 1
    assert "ZZQ" not in str(found)
    read = " ".join(query["sql"] for query in queries)
    assert '"name"' in read
    for column in ("message", "staff_note"):
        assert f'"bookings_booking"."{column}"' not in read


def test_an_hour_that_comes_twice_tells_which():
    zone = ZoneInfo("America/Los_Angeles")
    first = Booking(status="booked", starts_at=datetime(2026, 11, 1, 8, 30, tzinfo=UTC))
    second = Booking(status="booked", starts_at=datetime(2026, 11, 1, 9, 30, tzinfo=UTC))
    lines = list(exports.rows([first, second], zone))[1:]
    assert [line[3:5] for line in lines] == [
        ["2026-11-01 01:30 PDT", "2026-11-01T08:30:00Z"],
        ["2026-11-01 01:30 PST", "2026-11-01T09:30:00Z"],
    ]


@pytest.mark.django_db
def test_days_are_the_clinics_and_a_call_back_has_the_day_it_was_asked_for():
    make_clinic()
    midnight = datetime(2027, 1, 1, 8, tzinfo=UTC)  # in Los Angeles
    inside = [
        make_booking(starts_at=midnight, name="first"),
        make_booking(status="waitlist", created_at=midnight + timedelta(hours=1), name="call"),
        make_booking(starts_at=midnight + timedelta(days=31, minutes=-30), name="last"),
    ]
    make_booking(starts_at=midnight - timedelta(minutes=30))
    make_booking(starts_at=midnight + timedelta(days=31))
    make_booking(status="waitlist", created_at=midnight - timedelta(hours=1))
    make_booking(
        status="proposed", offered_for=inside[1], starts_at=midnight + timedelta(days=3),
        hold_until=midnight,
    )  # fmt: skip
    assert [line["Name"] for line in table()] == ["first", "call", "last"]


@pytest.mark.django_db
def test_status_and_practitioner_narrow_it():
    make_clinic()
    one, other = make_practitioner(), make_practitioner()
    hours = [MONDAY + timedelta(hours=17 + number) for number in range(3)]
    wanted = make_booking(practitioner=one, starts_at=hours[0], status="fulfilled")
    make_booking(practitioner=one, starts_at=hours[1])
    make_booking(practitioner=other, starts_at=hours[0], status="fulfilled")
    assert [line["Reference"] for line in table(status="fulfilled", practitioner=one)] == [
        str(wanted)
    ]
    assert len(table(status="fulfilled")) == 2
    assert len(table(practitioner=one)) == 2


@pytest.mark.django_db
def test_as_many_queries_for_200_rows_as_for_10():
    make_clinic()
    people = [make_practitioner() for _ in range(4)]
    condition = make_condition()

    def count(number):
        for place in range(Booking.objects.count(), number):
            make_booking(
                practitioner=people[place % 4], condition=condition,
                starts_at=MONDAY + timedelta(minutes=30 * (place // 4)),
            )  # fmt: skip
        with CaptureQueriesContext(connection) as queries:
            assert len(table()) == number
        return len(queries)

    assert count(10) == count(200)


@pytest.mark.django_db
def test_a_long_table_is_read_in_parts_and_in_order(monkeypatch):
    make_clinic()
    monkeypatch.setattr(exports, "AT_A_TIME", 3)
    who = make_practitioner()
    for place in (4, 2, 6, 0, 5, 1, 3):
        make_booking(practitioner=who, starts_at=MONDAY + timedelta(hours=place), name=str(place))
    found = exports.export(Booking.objects.all(), here(), **JANUARY, reason="accounts", by=None)
    asked = []
    for _line in range(8):
        with CaptureQueriesContext(connection) as queries:
            next(found)
        asked.append(len(queries))
    assert asked == [0, 1, 0, 0, 1, 0, 0, 1]
    assert [line["Name"] for line in table()] == list("0123456")


# --- the record and the caps ----------------------------------------------------------------------


@pytest.mark.django_db
def test_one_record_with_number_and_choices_before_the_first_row():
    make_clinic()
    who, user = make_practitioner(slug="lind"), make_user(roles.MANAGER)
    make_booking(practitioner=who, name="ZZQName", email="zzq@example.org", message="ZZQ")
    found = exports.export(
        Booking.objects.all(), here(), **JANUARY, status="booked", practitioner=who, reason="inspection",
        by=user,
    )  # fmt: skip
    event = AuditEvent.objects.get()
    assert (event.action, event.actor, event.object_type) == (
        "booking.exported", user, "clinic.clinic",
    )  # fmt: skip
    assert event.details == {
        "rows": 1,
        "first_day": "2027-01-01",
        "last_day": "2027-01-31",
        "status": "booked",
        "practitioner": "lind",
        "reason": "inspection",
    }
    assert "zzq" not in str(vars(event)).lower()
    assert len(list(found)) == 2
    assert AuditEvent.objects.count() == 1


@pytest.mark.django_db
def test_a_booking_made_meanwhile_is_not_in_the_file_that_was_counted():
    make_clinic()
    make_booking()
    found = exports.export(Booking.objects.all(), here(), **JANUARY, reason="accounts", by=None)
    make_booking()
    assert len(list(found)) - 1 == AuditEvent.objects.get().details["rows"] == 1


@pytest.mark.django_db
def test_too_many_rows_are_refused_with_a_way_out(monkeypatch):
    make_clinic()
    monkeypatch.setattr(exports, "MOST_ROWS", 2)
    make_booking()
    make_booking()
    assert len(table()) == 2
    make_booking()
    with pytest.raises(exports.ExportRefused, match="Choose fewer days, one status or one"):
        table()
    assert AuditEvent.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("first", "last", "field", "words"),
    [
        ("2027-01-02", "2027-01-01", "last_day", "Swap them"),
        ("2027-01-01", "2028-01-02", "last_day", "1 Jan 2028 or an earlier day"),
        ("0001-01-01", "2027-01-01", "first_day", "between 2000 and 2200"),
        ("2027-01-01", "9999-12-31", "last_day", "between 2000 and 2200"),
    ],
)
def test_days_that_cannot_be(first, last, field, words):
    make_clinic()
    days = {"first_day": date.fromisoformat(first), "last_day": date.fromisoformat(last)}
    with pytest.raises(exports.ExportRefused, match=words) as refused:
        table(**days)
    assert refused.value.field == field
    assert not AuditEvent.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("choice", [{"reason": ""}, {"reason": "fun"}, {"status": "x"}])
def test_a_reason_or_status_that_is_none(choice):
    make_clinic()
    with pytest.raises(ValueError, match="is not a valid"):
        table(**choice)
    assert not AuditEvent.objects.exists()


# --- P-07: who gets it ----------------------------------------------------------------------------


@pytest.fixture
def site(db):
    roles.apply_roles()
    caches["default"].clear()
    return make_clinic()


def sign_in(client, role):
    """As a demo account on loopback, which needs no second factor; nothing is confirmed yet."""
    user = make_user(role)
    user.groups.add(Group.objects.get_or_create(name=DEMO_GROUP)[0])
    client.force_login(user)
    return user


def confirm(client):
    return client.post(
        f"{reverse('account_reauthenticate')}?next={ADDRESS}", {"password": PASSWORD}
    )


def lines_of(response):
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_only_managers_have_the_permission():
    holders = {role for role, held in roles.ROLES.items() if "bookings.export_booking" in held}
    assert holders == {roles.MANAGER}


@pytest.mark.parametrize(
    "role", [roles.FRONT_DESK, roles.PRACTITIONER, roles.EDITOR, roles.REVIEWER]
)
def test_others_are_refused_and_see_no_link(client, site, role):
    sign_in(client, role)
    make_booking()
    confirm(client)
    assert client.get(ADDRESS).status_code == 403
    assert client.post(ADDRESS, POSTED).status_code == 403
    shown = client.get(reverse("admin:bookings_booking_changelist"))
    assert ADDRESS not in shown.content.decode()
    assert not AuditEvent.objects.filter(action="booking.exported").exists()


def test_a_stranger_is_sent_to_sign_in(client, site):
    response = client.post(ADDRESS, POSTED, follow=True)
    assert response.request["PATH_INFO"] == reverse("account_login")


@pytest.mark.parametrize("role", [roles.MANAGER, "superuser"])
def test_the_file(client, site, role):
    user = sign_in(client, role)
    booking = make_booking(name="Zoë Example")
    assert ADDRESS in client.get(reverse("admin:bookings_booking_changelist")).content.decode()
    assert confirm(client)["Location"] == ADDRESS
    assert client.get(ADDRESS).status_code == 200
    response = client.post(ADDRESS, POSTED)
    assert response.status_code == 200
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == (
        'attachment; filename="bookings-2027-01-01-to-2027-01-31.csv"'
    )
    assert response["Cache-Control"] == "no-store, private"
    event = AuditEvent.objects.get(action="booking.exported")
    assert event.actor == user
    assert event.details["rows"] == 1
    assert [(line["Reference"], line["Name"]) for line in lines_of(response)] == [
        (str(booking), "Zoë Example")
    ]
    assert AuditEvent.objects.filter(action="booking.exported").count() == 1


def test_a_sign_in_that_was_not_confirmed_lately_has_to_be(client, site, settings):
    """What was typed is kept: the file comes once the password was right."""
    sign_in(client, roles.MANAGER)
    make_booking()
    question = f"{reverse('account_reauthenticate')}?next={ADDRESS.replace('/', '%2F')}"
    assert client.get(ADDRESS)["Location"] == question
    confirm(client)
    assert client.get(ADDRESS).status_code == 200
    late = timedelta(seconds=settings.ACCOUNT_REAUTHENTICATION_TIMEOUT + 1)
    with time_machine.travel(datetime.now(UTC) + late):
        assert client.get(ADDRESS)["Location"] == question
        assert client.post(ADDRESS, POSTED)["Location"] == question
        wrong = client.post(question, {"password": "wrong"})
        assert wrong.status_code == 200
        assert not AuditEvent.objects.filter(action="booking.exported").exists()
        response = client.post(question, {"password": PASSWORD})
        assert response["Content-Type"].startswith("text/csv")
        assert response["Cache-Control"] == "no-store, private"
        assert len(lines_of(response)) == 1
    assert AuditEvent.objects.filter(action="booking.exported").count() == 1


def test_a_form_that_waited_too_long_comes_back_whole_with_its_errors(client, site):
    """It is shown at the address of the password page, and still posts to its own."""
    sign_in(client, roles.MANAGER)
    question = client.post(ADDRESS, POSTED | {"reason": ""})["Location"]
    page = client.post(question, {"password": PASSWORD})
    assert page.status_code == 422
    assert f'action="{ADDRESS}"' in page.content.decode()
    assert 'value="2027-01-31"' in page.content.decode()


def test_a_password_alone_does_not_open_it_to_an_account_that_needs_a_second_factor(client, site):
    user = make_user(roles.MANAGER)
    client.force_login(user)
    confirm(client)
    assert client.post(ADDRESS, POSTED)["Location"] == reverse("mfa_index")
    Authenticator.objects.create(user=user, type="totp", data={"secret": "x"})
    assert client.post(ADDRESS, POSTED)["Location"].startswith(reverse("mfa_reauthenticate"))
    assert not AuditEvent.objects.filter(action="booking.exported").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reason": ""}, "Choose why you need the file."),
        ({"reason": "for fun"}, "Select a valid choice"),
        ({"first_day": ""}, "Give the first day."),
        ({"last_day": ""}, "Give the last day."),
        ({"last_day": "31 of January"}, "Write the day like 2026-11-30"),
        ({"last_day": "2026-12-31"}, "The last day is before the first."),
        ({"last_day": "2029-01-01"}, "That is more than 366 days."),
        ({"last_day": "9999-12-31"}, "Give a year between 2000 and 2200."),
        ({"status": "x' OR 1=1"}, "Select a valid choice"),
        ({"practitioner": "nobody"}, "Select a valid choice"),
    ],
)
def test_mistakes_are_told_and_what_was_typed_stays(client, site, change, words):
    sign_in(client, roles.MANAGER)
    make_booking()
    confirm(client)
    response = client.post(ADDRESS, POSTED | {"status": "booked"} | change)
    html = response.content.decode()
    assert response.status_code == 422
    assert words in html
    assert "<title>Error: " in html
    if "first_day" not in change:
        assert 'value="2027-01-01"' in html
    if "status" not in change:
        assert '<option value="booked" selected>' in html
    assert not AuditEvent.objects.filter(action="booking.exported").exists()


def test_all_mistakes_are_told_at_once(client, site):
    sign_in(client, roles.MANAGER)
    confirm(client)
    html = client.post(ADDRESS, POSTED | {"reason": "", "last_day": "2029-01-01"}).content.decode()
    assert "Choose why you need the file." in html
    assert "That is more than 366 days." in html


def test_all_rows_at_once_are_refused(client, site, monkeypatch):
    monkeypatch.setattr(exports, "MOST_ROWS", 1)
    sign_in(client, roles.MANAGER)
    make_booking()
    make_booking()
    confirm(client)
    response = client.post(ADDRESS, POSTED)
    assert response.status_code == 422
    assert "more than 1 bookings. Choose fewer days" in response.content.decode()
    assert not AuditEvent.objects.filter(action="booking.exported").exists()


def test_a_get_gives_no_file_whatever_it_asks(client, site):
    sign_in(client, roles.MANAGER)
    confirm(client)
    response = client.get(ADDRESS, POSTED)
    assert response["Content-Type"].startswith("text/html")
    assert not AuditEvent.objects.filter(action="booking.exported").exists()


def test_a_practitioner_who_is_given_the_permission_gets_their_own_rows(client, site):
    user = sign_in(client, roles.PRACTITIONER)
    user.user_permissions.add(Permission.objects.get(codename="export_booking"))
    mine = make_booking(practitioner=make_practitioner(user=user))
    other = make_booking()
    confirm(client)
    assert other.practitioner.name not in client.get(ADDRESS).content.decode()
    found = lines_of(client.post(ADDRESS, POSTED))
    assert [line["Reference"] for line in found] == [str(mine)]
    refused = client.post(ADDRESS, POSTED | {"practitioner": other.practitioner.slug})
    assert refused.status_code == 422
