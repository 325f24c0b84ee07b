"""P-09: whoever edits, removes or swaps rows of the audit record by SQL is found out.

The intruder owns the database: what refuses such statements is switched off first. Each change is
made in a savepoint that is rolled back, so that all are made to the same sound record.
"""

import json
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from clinic import audit
from clinic.models import AuditEvent, AuditSeal
from tests.factories import make_clinic, make_user

EVENTS = 60
OTHER = {
    "at": "2020-01-01 00:00:00",
    "actor_id": None,
    "actor_label": "Somebody Else",
    "action": "booking.other",
    "object_type": "bookings.other",
    "object_key": "OTHER",
    "details": '{"n": -1}',
}
CONTENT = ", ".join(OTHER)


def sql(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else cursor.rowcount


def disarm():
    """What the owner of a database may do: no trigger, no foreign key and no check is left."""
    if connection.vendor == "sqlite":
        sql("DROP TRIGGER audit_event_is_frozen")
        sql("DROP TRIGGER audit_seal_is_frozen")
        return
    sql("SET CONSTRAINTS ALL IMMEDIATE")
    sql("ALTER TABLE clinic_auditevent DISABLE TRIGGER audit_event_is_frozen")
    sql("ALTER TABLE clinic_auditseal DISABLE TRIGGER audit_seal_is_frozen")
    sql("SET CONSTRAINTS ALL DEFERRED")


@pytest.fixture
def anchors(db, monkeypatch, tmp_path):
    """The anchors of a sealed record that nobody touched yet."""
    monkeypatch.setattr(settings, "VAR_DIR", tmp_path)
    clinic, user = make_clinic(), make_user()
    now = timezone.now()
    for n in range(EVENTS):
        at = now + timedelta(seconds=n)
        audit.record(f"clinic.event_{n}", clinic, by=user, at=at, details={"n": n})
        if n == EVENTS // 2:
            audit.anchor(now)
    audit.anchor(now)
    disarm()
    return audit.read_anchors(audit.anchors_file())


def findings(anchors, intrude, *arguments):
    with transaction.atomic():
        intrude(*arguments)
        found = list(audit.verify(anchors))
        transaction.set_rollback(True)
    return found


# --- what an intruder does ------------------------------------------------------------------------


def edit(number, dice):
    column = dice.choice(list(OTHER))
    key = event_of(number)
    assert sql(f"UPDATE clinic_auditevent SET {column} = %s WHERE id = %s", OTHER[column], key) == 1


def edit_seal(number, dice):
    other = {"digest": "0" * 64, "sealed_at": OTHER["at"], "number": EVENTS + 5}
    column = dice.choice(list(other))
    sql(f"UPDATE clinic_auditseal SET {column} = %s WHERE number = %s", other[column], number)


def rename(number, dice):
    sql("UPDATE clinic_auditevent SET id = id + 1000 WHERE id = %s", event_of(number))


def delete_event(number, dice):
    sql("DELETE FROM clinic_auditevent WHERE id = %s", event_of(number))


def delete_seal(number, dice):
    sql("DELETE FROM clinic_auditseal WHERE number = %s", number)


def delete_both(number, dice):
    key = event_of(number)
    delete_seal(number, dice)
    sql("DELETE FROM clinic_auditevent WHERE id = %s", key)


def delete_and_close_the_gap(number, dice):
    delete_both(number, dice)
    sql("UPDATE clinic_auditseal SET number = number + 1000 WHERE number > %s", number)
    sql("UPDATE clinic_auditseal SET number = number - 1001 WHERE number > 1000")


def delete_from_here_on(number, dice):
    sql(
        "DELETE FROM clinic_auditevent WHERE id IN "
        "(SELECT event_id FROM clinic_auditseal WHERE number >= %s)",
        number,
    )
    sql("DELETE FROM clinic_auditseal WHERE number >= %s", number)


def delete_and_let_the_worker_seal(number, dice):
    """The freed numbers are used again for events that come later."""
    delete_from_here_on(number, dice)
    for _ in range(EVENTS):
        audit.record("clinic.harmless", make_clinic())
    audit.seal()


def swap_events(number, dice):
    one, two = event_of(number), event_of(another(number, dice))
    content = {key: content_of(key) for key in (one, two)}
    marks = ", ".join(f"{column} = %s" for column in OTHER)
    sql(f"UPDATE clinic_auditevent SET {marks} WHERE id = %s", *content[two], one)
    sql(f"UPDATE clinic_auditevent SET {marks} WHERE id = %s", *content[one], two)


def swap_seals(number, dice):
    swap_numbers(number, another(number, dice))


def swap_digests(number, dice):
    other = another(number, dice)
    digests = dict(sql("SELECT number, digest FROM clinic_auditseal"))
    for one, two in ((number, other), (other, number)):
        sql("UPDATE clinic_auditseal SET digest = %s WHERE number = %s", digests[two], one)


def truncate(number, dice):
    sql("DELETE FROM clinic_auditseal")
    sql("DELETE FROM clinic_auditevent")


def truncate_and_let_the_worker_seal(number, dice):
    sql("DELETE FROM clinic_auditseal")
    edit_any = "UPDATE clinic_auditevent SET action = 'clinic.other' WHERE id = %s"
    sql(edit_any, sql("SELECT min(id) FROM clinic_auditevent")[0][0])
    audit.seal()


INTRUSIONS = [
    edit, edit_seal, rename, delete_event, delete_seal, delete_both, delete_and_close_the_gap,
    delete_from_here_on, delete_and_let_the_worker_seal, swap_events, swap_seals, swap_digests,
    truncate, truncate_and_let_the_worker_seal,
]  # fmt: skip


def event_of(number):
    return sql("SELECT event_id FROM clinic_auditseal WHERE number = %s", number)[0][0]


def content_of(key):
    return sql(f"SELECT {CONTENT} FROM clinic_auditevent WHERE id = %s", key)[0]


def another(number, dice):
    return dice.choice([other for other in range(1, EVENTS + 1) if other != number])


def swap_numbers(one, two):
    for before, after in ((one, 1000), (two, one), (1000, two)):
        sql("UPDATE clinic_auditseal SET number = %s WHERE number = %s", after, before)


# --- what is found --------------------------------------------------------------------------------


def test_a_record_that_nobody_touched_is_whole(anchors):
    assert (AuditEvent.objects.count(), AuditSeal.objects.count()) == (EVENTS, EVENTS)
    assert len(anchors) == 2
    assert list(audit.verify(anchors)) == []
    assert list(audit.verify()) == []


def test_random_edits_deletions_and_swaps_are_all_found(anchors, tally):
    missed = []
    for turn in range(70):
        intrude = INTRUSIONS[turn % len(INTRUSIONS)]
        number = tally.dice.randint(1, EVENTS)
        if not findings(anchors, intrude, number, tally.dice):
            missed.append((intrude.__name__, number))
        tally.add(made=1)
    assert missed == []
    assert list(audit.verify(anchors)) == []


@pytest.mark.parametrize("intrude", INTRUSIONS)
@pytest.mark.parametrize("number", [1, EVENTS])
def test_the_ends_of_the_record_are_no_exception(anchors, tally, intrude, number):
    assert findings(anchors, intrude, number, tally.dice)


def test_the_removed_last_row_is_found_by_the_anchor_alone(anchors, tally):
    found = findings(anchors, delete_both, EVENTS, tally.dice)
    assert found == [f"seals after {EVENTS - 1} are missing: seal {EVENTS} was anchored"]
    assert findings((), delete_both, EVENTS, tally.dice) == []


def forge(number, until):
    """An edit by somebody who has the key as well, and makes new seals from there on."""
    sql("UPDATE clinic_auditevent SET action = 'forged' WHERE id = %s", event_of(number))
    before = AuditSeal.objects.get(number=number - 1).digest
    for row in AuditSeal.objects.filter(number__gte=number, number__lte=until):
        before = audit._digest(audit._text(row, row.event, before), settings.SECRET_KEY)
        sql("UPDATE clinic_auditseal SET digest = %s WHERE number = %s", before, row.number)


def test_a_forged_seal_does_not_fit_the_next_one(anchors):
    (found,) = findings((), forge, 5, 5)
    assert found.endswith("its seal 6 was changed")


def test_a_chain_forged_to_its_end_is_found_by_the_anchors_alone(anchors):
    assert findings((), forge, 5, EVENTS) == []
    assert findings(anchors, forge, 5, EVENTS) == [
        f"seal {number} is not the one that was anchored" for number, _digest in anchors
    ]


@pytest.mark.parametrize("column", OTHER)
def test_an_edit_is_named_whatever_the_column(anchors, column):
    key = event_of(7)
    statement = f"UPDATE clinic_auditevent SET {column} = %s WHERE id = %s"
    found = findings(anchors, sql, statement, OTHER[column], key)
    assert found == [f"event {key} or its seal 7 was changed"]


def test_a_spelling_of_the_same_details_is_no_edit(anchors):
    details = json.dumps({"n": 6}, indent=2)
    statement = "UPDATE clinic_auditevent SET details = %s WHERE id = %s"
    assert findings(anchors, sql, statement, details, event_of(7)) == []


# --- sealers at once ------------------------------------------------------------------------------

AT_ONCE = """
import threading
from concurrent.futures import ThreadPoolExecutor
from django.db import connection
from clinic import audit
from clinic.models import AuditEvent, AuditSeal, Clinic
audit.BATCH = 20
clinic = Clinic.objects.current()
barrier = threading.Barrier(5)

def sealer():
    barrier.wait()
    done = sum(audit.seal() for _ in range(15))
    connection.close()
    return done

def writer():
    barrier.wait()
    for _ in range(150):
        audit.record("clinic.event", clinic)
    connection.close()
    return 0

for _ in range(200):
    audit.record("clinic.event", clinic)
with ThreadPoolExecutor(5) as pool:
    running = [pool.submit(sealer) for _ in range(4)] + [pool.submit(writer)]
    sealed = [job.result() for job in running]
rest = audit.seal()
numbers = list(AuditSeal.objects.values_list("number", flat=True))
print(sum(sealed) + rest, AuditEvent.objects.count(), numbers == list(range(1, 351)))
print(list(audit.verify()))
"""


def test_sealers_at_once_make_one_chain(unguarded):
    assert unguarded.python(AT_ONCE).splitlines() == ["350 350 True", "[]"]
