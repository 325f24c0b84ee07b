"""T-09: clocks that change between the booking and the visit; nobody is moved silently."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Group
from django.core.cache import caches

from bookings import invariants, manage_links
from bookings.availability import conflicts
from bookings.desk import conflicts as desk_conflicts
from bookings.lifecycle import answers, clock_changes, contact, offers
from bookings.models import Booking, Message
from clinic.models import AuditEvent
from clinic.staff import roles
from clinic.staff.adapters import DEMO_GROUP
from tests.factories import (
    asked_of,
    make_booking,
    make_hours,
    make_location,
    make_practitioner,
    make_request,
    make_user,
)

LOS_ANGELES, KOLKATA = ZoneInfo("America/Los_Angeles"), ZoneInfo("Asia/Kolkata")
NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)
NINE = datetime(2027, 1, 4, 17, tzinfo=UTC)
# What a release of zone data does that abolishes daylight saving time, or brings it: the same
# instant, an hour apart on the clock.
OTHER_RULES = ZoneInfo("America/Denver")


def clock_in(zone, at=NINE, named="America/Los_Angeles"):
    """As if the zone had been ``zone`` by the data of then."""
    return {"zone": named, "clock": f"{at.astimezone(zone):%Y-%m-%dT%H:%M}"}


# --- pure -----------------------------------------------------------------------------------------


def test_what_was_told_names_zone_and_clock_of_both():
    assert clock_changes.clock_times(NINE, LOS_ANGELES, KOLKATA) == {
        "clinic": {"zone": "America/Los_Angeles", "clock": "2027-01-04T09:00"},
        "patient": {"zone": "Asia/Kolkata", "clock": "2027-01-04T22:30"},
    }


def test_nothing_shifts_while_the_data_is_the_same():
    assert (
        clock_changes.shifts(
            clock_changes.clock_times(NINE, LOS_ANGELES, KOLKATA), NINE, LOS_ANGELES
        )
        == []
    )
    assert clock_changes.shifts({}, NINE, LOS_ANGELES) == [], (
        "nothing was told, so nothing is wrong"
    )


def test_a_clock_that_changed_is_found_on_either_side():
    ours = {"clinic": clock_in(OTHER_RULES), "patient": clock_in(KOLKATA, named="Asia/Kolkata")}
    (shift,) = clock_changes.shifts(ours, NINE, LOS_ANGELES)
    assert (shift.whose, shift.promised, shift.zone) == (
        "clinic", datetime.fromisoformat("2027-01-04T10:00"), LOS_ANGELES
    )  # fmt: skip
    theirs = {"clinic": clock_in(LOS_ANGELES), "patient": clock_in(KOLKATA, named="Asia/Karachi")}
    (shift,) = clock_changes.shifts(theirs, NINE, LOS_ANGELES)
    assert (shift.whose, shift.zone.key) == ("patient", "Asia/Karachi")


def test_a_clinic_that_changes_its_zone_shifts_what_it_told():
    (shift,) = clock_changes.shifts(
        clock_changes.clock_times(NINE, LOS_ANGELES, KOLKATA), NINE, OTHER_RULES
    )
    assert (shift.whose, shift.promised_zone) == ("clinic", "America/Los_Angeles")


# --- through the verbs ----------------------------------------------------------------------------


@pytest.fixture
def location(db):
    caches["memory"].clear()
    make_hours()
    return make_location()


@pytest.fixture
def doctor(location):
    return make_practitioner()


def ask(**values):
    values = {
        "start": NINE, "visit_type": "video", "name": "Zelda", "email": "zelda@example.org",
        "phone": "+13235550177", "consent_version": "1", "asked": asked_of(),
        "time_zone": "Asia/Kolkata", "now": NOW,
    } | values  # fmt: skip
    return make_request(**values)


def shifted(location, now=NOW):
    rows = list(Booking.objects.ahead(now).values_list(*conflicts.COMING_ROW))
    return clock_changes.shifted_keys(rows, location)


def under_older_data(bookings):
    """Rewrite what they were told to what zone data with other rules would have made of it."""
    for booking in bookings:
        booking.promised_times["clinic"] = clock_in(OTHER_RULES, booking.starts_at)
        booking.save(update_fields=["promised_times"])


def test_every_verb_that_gives_a_time_writes_down_what_is_told(location, doctor):
    expected = clock_changes.clock_times(NINE, LOS_ANGELES, KOLKATA)
    booking = ask()
    assert booking.promised_times == expected
    moved = answers.reschedule(booking, start=NINE + timedelta(hours=1), by="patient", now=NOW)
    assert moved.promised_times["clinic"]["clock"] == "2027-01-04T10:00"
    offers.offer(moved, times=[(NINE, doctor)], by="system", now=NOW)
    assert moved.offers.get().promised_times == expected
    chosen = offers.choose(moved, offered=moved.offers.get(), now=NOW)
    assert chosen.promised_times == expected
    call = make_request(
        visit_type="phone",
        name="Ana",
        phone="+13235550177",
        consent_version="1",
        asked=asked_of(),
        now=NOW,
    )
    assert call.promised_times == {}


def test_all_that_shifted_are_found_and_none_is_moved(location):
    doctors = [make_practitioner() for _ in range(3)]
    ours = [
        ask(start=NINE + timedelta(hours=hours), practitioner=who, phone="", email=f"{n}@e.example")
        for n, (hours, who) in enumerate((h, d) for h in range(5) for d in doctors)
    ]
    assert shifted(location) == []
    affected = ours[::2]
    under_older_data(affected)
    before = list(Booking.objects.values_list("pk", "starts_at", "practitioner", "sequence"))
    assert sorted(shifted(location)) == sorted(booking.pk for booking in affected)
    assert desk_conflicts.conflict_numbers(Booking.objects.all(), location, NOW) == {
        "outside": 0,
        "shifted": len(affected),
    }
    assert (
        list(Booking.objects.values_list("pk", "starts_at", "practitioner", "sequence")) == before
    )
    assert not Message.objects.filter(kind="changed").exists()


def test_what_is_over_or_cancelled_is_not_reported(location, doctor):
    over, gone = ask(), ask(start=NINE + timedelta(hours=1))
    under_older_data([over, gone])
    answers.cancel(gone, by="system", cancelled_by="clinic", now=NOW)
    assert shifted(location, now=NINE) == []


def test_telling_again_keeps_the_instant_and_writes_once(location, doctor):
    user = make_user()
    booking = answers.confirm(ask(), by=user, now=NOW)
    under_older_data([booking])
    secret = manage_links.issue(booking, NOW)
    again = contact.announce_new_time(booking, by=user, now=NOW)
    assert (again.starts_at, again.sequence) == (NINE, booking.sequence + 1)
    assert again.promised_times == clock_changes.clock_times(NINE, LOS_ANGELES, KOLKATA)
    assert shifted(location) == []
    contact.announce_new_time(booking, by=user, now=NOW)
    assert Message.objects.filter(booking=booking, kind="changed").count() == 1
    assert manage_links.look_up(secret, NOW) is None
    event = AuditEvent.objects.get(action="booking.new_time_announced")
    assert (event.actor, event.details) == (user, {"clocks": ["clinic"]})
    assert not any(invariants.broken().values())


def test_a_request_that_waits_is_told_that_it_still_waits(location, doctor):
    booking = ask()
    under_older_data([booking])
    contact.announce_new_time(booking, by="system", now=NOW)
    assert Message.objects.filter(booking=booking, kind="received").count() == 2
    assert not Message.objects.filter(kind="changed").exists()


@pytest.fixture
def front_desk(location, client, time_machine):
    time_machine.move_to(NOW, tick=False)
    roles.apply_roles()
    user = make_user(roles.FRONT_DESK)
    user.groups.add(Group.objects.get_or_create(name=DEMO_GROUP)[0])
    client.force_login(user)
    return client


def test_the_desk_sees_them_and_answers(front_desk, doctor):
    booking = answers.confirm(ask(), by="system", now=NOW)
    shown, board = "/admin/bookings/booking/shifted/", "/admin/bookings/booking/desk/"

    def page(address):
        return front_desk.get(address).content.decode()

    assert "at the time that people were told" in page(shown)
    assert "Another clock time" not in page(board)
    under_older_data([booking])
    assert "Mon 4 Jan 2027, 10:00" in page(shown)
    assert "Mon 4 Jan 2027, 09:00" in page(shown)
    assert "Another clock time" in page(board)
    answer = front_desk.post(f"/admin/bookings/booking/{booking.pk}/tell/", {"next": shown})
    assert answer.url == shown
    assert "at the time that people were told" in page(shown)


def test_a_row_from_before_this_was_written_down_is_not_reported(location):
    make_booking(starts_at=NINE, status="booked")
    assert shifted(location) == []
