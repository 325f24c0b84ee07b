"""The day board's queries: what is shown where, what counts as late, what is free."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.cache import caches
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings import times
from bookings.desk import booking as desk_booking
from bookings.desk import callers, day_board
from bookings.desk import conflicts as desk_conflicts
from bookings.lifecycle import answers, contact, errors, offers, transitions, visits
from bookings.models import Booking, Message
from clinic import audit
from clinic.models import Practitioner
from tests.factories import (
    make_booking,
    make_closure,
    make_condition,
    make_hours,
    make_location,
    make_practitioner,
    make_user,
    queue_message,
)

pytestmark = pytest.mark.django_db

ANGELES = ZoneInfo("America/Los_Angeles")
DAY = date(2027, 1, 5)  # a Tuesday
MIDNIGHT = datetime(2027, 1, 5, 8, tzinfo=UTC)  # in Los Angeles
NOW = MIDNIGHT + timedelta(hours=12, minutes=10)
HALF = timedelta(minutes=30)


@pytest.fixture
def location():
    caches["memory"].clear()
    make_hours()  # 09:00 to 17:00
    return make_location()


@pytest.fixture
def doctor(location):
    return make_practitioner(name="Dr. One")


def at(hours, minutes=0):
    return MIDNIGHT + timedelta(hours=hours, minutes=minutes)


def show(location, day=DAY, now=NOW, bookings=None, practitioners=None):
    return day_board.board(
        Booking.objects.all() if bookings is None else bookings,
        Practitioner.objects.all() if practitioners is None else practitioners,
        day=day,
        location=location,
        now=now,
    )


def blocks(shown, number=0):
    return [
        (block.row, block.span, [entry.booking for entry in block.entries] or block.closed)
        for block in shown["columns"][number].blocks
    ]


# --- the grid -------------------------------------------------------------------------------------


def test_board_runs_from_the_first_open_hour_to_the_last(location, doctor):
    shown = show(location)
    assert shown["hours"] == [f"{hour:02}:00" for hour in range(9, 17)]
    assert blocks(shown) == []
    assert (shown["now_row"], shown["now_part"]) == (7, 2)  # 12:10


def test_a_booking_takes_its_rows(location, doctor):
    first = make_booking(practitioner=doctor, starts_at=at(9))
    long = make_booking(practitioner=doctor, starts_at=at(10), minutes=60)
    assert blocks(show(location)) == [(1, 1, [first]), (3, 2, [long])]


def test_a_booking_outside_opening_hours_widens_the_board(location, doctor):
    early = make_booking(practitioner=doctor, starts_at=at(7, 30))
    shown = show(location)
    assert shown["hours"][0] == "07:00"
    assert (2, 1, [early]) in blocks(shown)
    assert (1, 1, "Not working") in blocks(shown)


def test_bookings_that_share_a_row_share_a_block(location, doctor):
    """Of 20 minutes each: none may cover another."""
    made = [
        make_booking(practitioner=doctor, starts_at=at(9, 20 * number), minutes=20)
        for number in range(3)
    ]
    (block,) = [block for block in show(location)["columns"][0].blocks if block.entries]
    assert (block.row, block.span) == (1, 2)
    assert [entry.booking for entry in block.entries] == made
    assert [entry.on_the_row for entry in block.entries] == [True, False, False]
    assert [entry.clock for entry in block.entries] == ["09:00", "09:20", "09:40"]


def test_closures_and_hours_off_are_hatched_with_their_reason(location, doctor):
    make_hours(doctor, weekday=2, opens="09:00", closes="15:00")
    make_closure(
        doctor, first_day=DAY, last_day=DAY, from_time=time(12), until_time=time(13), reason="Lunch"
    )
    other = make_practitioner()
    shown = show(location)
    assert blocks(shown) == [(7, 2, "Lunch"), (13, 4, "Not working")]
    assert blocks(shown, 1) == []
    assert shown["columns"][1].practitioner == other


def test_a_closure_never_covers_a_booking(location, doctor):
    booking = make_booking(practitioner=doctor, starts_at=at(12))
    make_closure(first_day=DAY, last_day=DAY, reason="Holiday")
    rows = blocks(show(location))
    assert [what for _row, _span, what in rows if isinstance(what, list)] == [[booking]]
    covered = {row + n for row, span, _what in rows for n in range(span)}
    assert len(covered) == sum(span for _row, span, _what in rows)


def test_a_day_without_hours_still_has_a_board():
    location = make_location()
    make_practitioner()
    closed = date(2027, 1, 10)
    make_hours(weekday=1)
    shown = show(location, day=closed)
    assert shown["hours"][0] == "09:00"
    assert blocks(shown) == [(1, 16, "Not working")]
    assert shown["now_row"] is None


@pytest.mark.parametrize("day", [date(2026, 11, 1), date(2027, 3, 14)])
def test_days_on_which_the_clock_changes(doctor, day):
    """All night open: 25 and 23 hours; each booking stands in a row of its own."""
    location = make_location()
    make_hours(opens="00:00", closes="00:00")
    midnight = datetime(day.year, day.month, day.day, tzinfo=ANGELES).astimezone(UTC)
    made = [make_booking(practitioner=doctor, starts_at=midnight + n * HALF) for n in range(8)]
    shown = show(location, day=day, now=midnight - timedelta(days=1))
    assert len(shown["hours"]) == (25 if day.month == 11 else 23)
    assert blocks(shown) == [(n + 1, 1, [booking]) for n, booking in enumerate(made)]
    clocks = [block.entries[0].clock for block in shown["columns"][0].blocks]
    assert len(set(clocks)) == 8  # doubled hours are labelled apart


def test_a_booking_over_midnight_is_on_both_days(doctor):
    location = make_location()
    make_hours(opens="00:00", closes="00:00")
    late = make_booking(practitioner=doctor, starts_at=at(23, 30), minutes=60)
    assert blocks(show(location)) == [(48, 1, [late])]
    assert blocks(show(location, day=DAY + timedelta(days=1))) == [(1, 1, [late])]


def test_looks_of_bookings(location, doctor):
    states = {
        "fulfilled": "done",
        "noshow": "noshow",
        "booked": "booked",
        "pending": "wait",
        "arrived": "now",
        "proposed": "offer",
    }
    for number, status in enumerate(states):
        make_booking(practitioner=doctor, status=status, starts_at=at(9 + number))
    make_booking(
        practitioner=doctor,
        status="cancelled",
        cancelled_by="patient",
        cancelled_at=NOW,
        starts_at=at(16),
    )
    looks = [entry.look for block in show(location)["columns"][0].blocks for entry in block.entries]
    assert looks == list(states.values())
    make_booking(practitioner=doctor, starts_at=at(15))
    during = show(location, now=at(15, 10))["columns"][0].blocks[-1].entries
    assert [entry.look for entry in during] == ["now"]


def test_who_left_the_clinic_keeps_a_column_while_bookings_name_them(location):
    gone = make_practitioner(archived=True)
    assert show(location)["columns"] == []
    make_booking(practitioner=gone, starts_at=at(9))
    assert [column.practitioner for column in show(location)["columns"]] == [gone]
    assert show(location)["free"] == 0


# --- numbers --------------------------------------------------------------------------------------


def test_free_places_are_those_that_fit_together(location, doctor):
    assert show(location, now=at(6))["free"] == 16
    assert show(location, now=at(12, 10))["free"] == 9  # from 12:30 on
    make_booking(practitioner=doctor, starts_at=at(13))
    assert show(location, now=at(12, 10))["free"] == 8
    location.clinic.slot_step, location.clinic.consultation_minutes = 15, 60
    assert show(location, now=at(6))["free"] == 7
    doctor.accepts_bookings = False
    doctor.save()
    assert show(location, now=at(6))["free"] == 0


def test_a_hold_that_ran_out_is_free_again(location, doctor):
    make_booking(practitioner=doctor, status="pending", starts_at=at(16), hold_until=NOW - HALF)
    assert show(location)["free"] == 9
    assert show(location)["waiting"] == []


def test_booked_and_missed_are_counted(location, doctor):
    for number, status in enumerate(["booked", "arrived", "fulfilled", "noshow", "pending"]):
        make_booking(practitioner=doctor, status=status, starts_at=at(9 + number))
    shown = show(location)
    assert (shown["booked"], shown["missed"], len(shown["waiting"])) == (3, 1, 1)


def test_waiting_is_oldest_first_with_its_age(location):
    ages = {"1 d 6 h": 30, "7 h": 7, "4 h": 4, "50 min": 5 / 6}
    for hours in reversed(ages.values()):
        make_booking(status="waitlist", created_at=NOW - timedelta(hours=hours))
    shown = show(location)
    assert [item.age for item in shown["waiting"]] == list(ages)
    assert [item.late for item in shown["waiting"]] == [True, False, False, False]
    assert [item.soon for item in shown["waiting"]] == [False, True, True, False]
    assert shown["late"] == 1


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(0, "0 min"), (59, "59 min"), (60, "1 h"), (1439, "23 h"), (1440, "1 d"), (2940, "2 d 1 h")],
)
def test_age_in_words(minutes, words):
    assert times.age_words(timedelta(minutes=minutes)) == words


def test_the_patients_clock_is_named_only_where_it_differs(location):
    booking = make_booking(status="waitlist", time_zone="Europe/Istanbul")
    assert times.there_now(booking, ANGELES, NOW) == "23:10 there now"
    booking.time_zone = "America/Vancouver"
    now = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert times.there_now(booking, ANGELES, now) == ""
    booking.time_zone = "Nowhere/Else"
    assert times.there_now(booking, ANGELES, now) == ""


def test_what_lacks_an_outcome_and_who_did_not_come(location, doctor):
    over = make_booking(practitioner=doctor, starts_at=at(9))
    make_booking(practitioner=doctor, starts_at=at(12))  # still going on
    arrived = make_booking(practitioner=doctor, status="arrived", starts_at=at(-24))
    missed = make_booking(practitioner=doctor, status="noshow", starts_at=at(-48))
    make_booking(practitioner=doctor, status="noshow", starts_at=at(-24 * 8))
    forgotten = make_booking(practitioner=doctor, starts_at=at(-24 * 31))
    shown = show(location)
    assert shown["missing"] == [over, arrived, forgotten]
    assert shown["no_shows"] == [missed]


def test_requests_per_condition(location):
    many, few = make_condition(name="Many"), make_condition(name="Few")
    for condition in (many, many, few, None):
        make_booking(status="waitlist", condition=condition, created_at=NOW - HALF)
    make_booking(status="waitlist", condition=few, created_at=NOW - timedelta(days=31))
    assert [(row["name"], row["number"], row["percent"]) for row in show(location)["requests"]] == [
        ("Many", 2, 100),
        ("Few", 1, 50),
        ("Not sure, or other", 1, 50),
    ]


@pytest.mark.parametrize(("kept", "number"), [(True, 10), (False, 11)])
def test_few_queries_whatever_the_size(location, doctor, kept, number):
    """The numbers of conflicts are kept for a minute, the requests for five."""

    def queries():
        caches["memory"].delete("desk-requests:")
        if not kept:
            caches["memory"].delete("desk-conflicts:")
        with CaptureQueriesContext(connection) as captured:
            show(location)
        return len(captured)

    make_booking(practitioner=doctor, starts_at=at(9))
    make_booking(practitioner=doctor, starts_at=at(33))
    show(location)
    few = queries()
    for hours in range(30):
        make_booking(practitioner=make_practitioner(), starts_at=at(9 + hours % 8))
        make_booking(status="waitlist", created_at=NOW - timedelta(hours=hours))
        make_booking(practitioner=doctor, status="noshow", starts_at=at(-24 - hours))
        request = make_booking(status="waitlist")
        make_booking(practitioner=make_practitioner(), status="proposed", starts_at=at(10),
                     offered_for=request, hold_until=at(48))  # fmt: skip
        queue_message(request, Message.Kind.CALLBACK)
    Message.objects.update(state="failed")
    assert queries() == few == number


def test_offered_times_are_no_requests(location, doctor):
    request = make_booking(status="waitlist", created_at=NOW - HALF)
    make_booking(practitioner=doctor, status="proposed", starts_at=at(33), offered_for=request,
                 created_at=NOW - HALF, hold_until=at(20))  # fmt: skip
    shown = show(location)
    assert [row["number"] for row in shown["requests"]] == [1]
    assert [item.booking for item in shown["waiting"]] == [request]
    (entry,) = show(location, day=DAY + timedelta(days=1))["columns"][0].blocks[0].entries
    assert (entry.look, entry.patient) == ("offer", request)
    assert show(location, day=DAY + timedelta(days=1), now=at(20))["columns"][0].blocks == []


def test_every_reader_has_a_number_outside_hours_of_their_own(location, doctor):
    make_booking(practitioner=doctor, starts_at=at(33))
    make_booking(practitioner=make_practitioner(), starts_at=at(33))
    make_closure(first_day=DAY + timedelta(days=1), last_day=DAY + timedelta(days=1))
    own = Booking.objects.filter(practitioner=doctor)

    def number(bookings, reader=""):
        return desk_conflicts.conflict_numbers(bookings, location, NOW, reader)["outside"]

    assert number(Booking.objects.all()) == 2
    assert number(own, reader=7) == 1
    Booking.objects.update(status="fulfilled")
    assert number(own, reader=7) == 1  # of a minute ago
    assert desk_conflicts.conflicts(own, location, NOW, reader=7).outside == []
    assert number(own, reader=7) == 0


@pytest.mark.only_on("sqlite")
def test_what_the_desk_looks_for_is_found_by_its_index(location):
    """SQLite keeps no statistics unless told to, so the wrong index would be taken silently."""
    make_booking(status="waitlist")
    with CaptureQueriesContext(connection) as captured:
        show(location)
    outside = "IN ('pending', 'booked', 'arrived')"
    plans = {
        name: [query["sql"] for query in captured if words in query["sql"]]
        for name, words in (("message_failed", "'failed'"), ("booking_starts_at", outside))
    }
    for name, asked in plans.items():
        assert asked, name
        for sql in asked:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
                plan = " ".join(row[-1] for row in cursor.fetchall())
            assert f"INDEX {name}" in plan, plan


@pytest.mark.only_on("sqlite")
def test_the_list_without_offers_is_read_in_its_own_order(location):
    rows = Booking.objects.asked_for().order_by("-created_at", "-pk")[:50]
    assert "USING INDEX booking_newest" in rows.explain()
    assert "TEMP B-TREE" not in rows.explain()


@pytest.mark.parametrize("text", [None, "", "soon", "2027-02-30", "0001-01-01", "9999-12-31"])
def test_an_impossible_day_is_today(text):
    assert day_board.shown_day(text, ANGELES, NOW) == DAY


# --- one booking ----------------------------------------------------------------------------------

CALLS = {
    "confirm": answers.confirm,
    "arrived": visits.mark_arrived,
    "seen": lambda b, **kw: visits.record_outcome(b, outcome="fulfilled", **kw),
    "noshow": lambda b, **kw: visits.record_outcome(b, outcome="noshow", **kw),
    "undo": visits.undo,
    "offer": lambda b, **kw: offers.offer(b, times=[(at(33), None)], **kw),
    "cancel": lambda b, **kw: answers.cancel(b, cancelled_by="clinic", **kw),
    "move": lambda b, **kw: answers.reschedule(b, start=at(33), **kw),
    "link": contact.send_link,
}


# A second opinion on bookings.lifecycle.transitions, literal on purpose: name, from, to, by whom.
ROWS = {
    ("confirm", "pending", "booked", "desk"),
    ("arrived", "booked", "arrived", "desk"),
    ("seen", "booked", "fulfilled", "desk"),
    ("seen", "arrived", "fulfilled", "desk"),
    ("noshow", "booked", "noshow", "desk"),
    ("move", "pending", "booked", "desk"),
    ("move", "booked", "booked", "desk"),
    ("move", "waitlist", "booked", "desk"),
    ("offer", "pending", "pending", "desk"),
    ("offer", "waitlist", "waitlist", "desk"),
    ("undo", "arrived", "booked", "desk"),
    ("undo", "fulfilled", "booked", "desk"),
    ("undo", "noshow", "booked", "desk"),
    ("tell", "pending", "pending", "desk"),
    ("tell", "booked", "booked", "desk"),
    ("tell", "arrived", "arrived", "desk"),
    ("link", "pending", "pending", "desk"),
    ("link", "booked", "booked", "desk"),
    ("link", "waitlist", "waitlist", "desk"),
    ("cancel", "pending", "cancelled", "desk"),
    ("cancel", "booked", "cancelled", "desk"),
    ("cancel", "waitlist", "cancelled", "desk"),
    ("cancel", "proposed", "cancelled", "desk"),
    *{("correct", s, s, "desk") for s in Booking.Status.values},
    ("link", "pending", "pending", "patient"),
    ("link", "booked", "booked", "patient"),
    ("link", "waitlist", "waitlist", "patient"),
    ("verify", "pending", "pending", "patient"),
    ("verify", "booked", "booked", "patient"),
    ("choose", "pending", "booked", "patient"),
    ("choose", "waitlist", "booked", "patient"),
    ("move", "pending", "pending", "patient"),
    ("move", "booked", "pending", "patient"),
    ("move", "waitlist", "pending", "patient"),
    ("cancel", "pending", "cancelled", "patient"),
    ("cancel", "booked", "cancelled", "patient"),
    ("cancel", "waitlist", "cancelled", "patient"),
}


def test_the_table_of_transitions_is_the_one_that_was_agreed():
    found = {
        (row.name, before, row.to or before, by)
        for row in transitions.TABLE
        for before in row.from_
        for by in {"desk", "patient"}.intersection(row.by)
    }
    assert found == ROWS


@pytest.mark.parametrize("name", ["confirm", "arrived", "seen", "noshow", "undo", "offer"])
def test_a_patient_cannot_do_what_is_the_desks(location, doctor, name):
    before = next(row[1] for row in ROWS if row[0] == name)
    booking = make_booking(status=before, practitioner=doctor, starts_at=at(33))
    with pytest.raises(errors.NotAllowed):
        CALLS[name](booking, by="patient", now=at(33))


@pytest.mark.parametrize("hours", [-3, 3])
@pytest.mark.parametrize("status", Booking.Status.values)
@pytest.mark.parametrize("name", CALLS)
def test_what_is_offered_is_what_the_verb_accepts(location, doctor, name, status, hours):
    values = {"status": status, "practitioner": doctor, "starts_at": NOW + timedelta(hours=hours)}
    if status == "waitlist":
        values = {"status": status}
    if status == "cancelled":
        values |= {"cancelled_by": "clinic", "cancelled_at": NOW}
    booking = make_booking(**values)
    if name in transitions.allowed(booking, NOW):
        CALLS[name](booking, by=make_user(), now=NOW)
    else:
        with pytest.raises(errors.NotAllowed):
            CALLS[name](booking, by=make_user(), now=NOW)


@pytest.mark.parametrize("theirs", [True, False])
@pytest.mark.parametrize("by_patient", [True, False])
def test_a_request_that_lapsed_is_not_revived(location, doctor, theirs, by_patient):
    """Its time is free already: neither its own practitioner nor another one takes it up again."""
    booking = make_booking(
        status="pending",
        hold_until=NOW,
        practitioner=doctor,
        starts_at=at(33),
        phone="+13235550119",
    )
    assert transitions.allowed(booking, NOW) == ["cancel", "correct"]
    to = doctor if theirs else make_practitioner()
    with pytest.raises(errors.NotAllowed):
        answers.reschedule(
            booking, start=at(34), practitioner=to, now=NOW,
            by="patient" if by_patient else make_user(),
        )  # fmt: skip
    booking.refresh_from_db()
    assert (booking.status, booking.starts_at) == ("pending", at(33))


def test_nothing_is_offered_for_an_erased_booking(location):
    booking = make_booking(status="fulfilled", erased_at=NOW, starts_at=at(-24 * 400))
    assert transitions.allowed(booking, NOW) == []


def test_timeline_in_words(location, doctor):
    booking, user = make_booking(practitioner=doctor, starts_at=at(33)), make_user()
    moved = answers.reschedule(booking, start=at(34), by=user, now=NOW)
    answers.cancel(moved, by=user, cancelled_by="clinic", now=NOW + HALF)
    audit.record("booking.something_new", booking, by="system", at=NOW + 2 * HALF)
    found = desk_booking.timeline(booking, ANGELES)
    assert [(event.what, event.who) for event in found] == [
        ("Moved", user.username),
        ("Cancelled", user.username),
        ("booking.something_new", "system"),
    ]
    assert found[0].detail == "Wed 6 Jan 2027, 09:00 to Wed 6 Jan 2027, 10:00"


def test_timeline_survives_odd_details(location):
    booking = make_booking()
    for details in ({"from": "soon", "to": 5}, {}, {"from": None, "to": "2027-01-05"}):
        audit.record("booking.rescheduled", booking, by="system", at=NOW, details=details)
    assert [event.detail for event in desk_booking.timeline(booking, ANGELES)] == ["", "", ""]


# --- the same person ------------------------------------------------------------------------------


def test_a_request_says_how_many_are_ahead_with_its_address_or_number(location, doctor):
    """The page that takes it never tells (bookings.rate_limits); the desk decides."""
    contact = {"email": "pat@example.org", "phone": "+13235550199"}
    asks = make_booking(status="pending", starts_at=at(33), practitioner=doctor, **contact)
    same = [
        make_booking(starts_at=at(34), practitioner=doctor, email="Pat+x@example.org", phone=""),
        make_booking(status="waitlist", email="", phone="+13235550199"),
        make_booking(starts_at=at(36), practitioner=make_practitioner(), **contact),
    ]
    for values in (
        {"starts_at": at(1)}, {"starts_at": at(37), "status": "cancelled"},
        {"starts_at": at(38), "status": "pending", "hold_until": NOW},
    ):  # fmt: skip
        if values.get("status") == "cancelled":
            values |= {"cancelled_by": "patient", "cancelled_at": NOW}
        make_booking(practitioner=doctor, **contact | values)
    make_booking(starts_at=at(39), practitioner=doctor, email="other@example.org", phone="")
    make_booking(status="waitlist", email="", phone="")
    numbers = {item.booking: item.others for item in show(location)["waiting"]}
    assert (numbers[asks], numbers[same[1]]) == (3, 2)
    assert sorted(numbers.values()) == [0, 2, 3]
    found = callers.others_ahead(Booking.objects.all(), asks, NOW)
    assert {booking.pk for booking in found} == {booking.pk for booking in same}
    own = callers.others_ahead(Booking.objects.filter(practitioner=doctor), asks, NOW)
    assert [booking.pk for booking in own] == [same[0].pk]
