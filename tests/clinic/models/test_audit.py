"""What the record of changes says has happened: one list, with words, that everybody uses."""

import ast

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group

from bookings.desk import booking as desk_booking
from clinic.admin.audit import RecordsChanges
from clinic.models import Action, AuditEvent
from clinic.staff.adapters import DEMO_GROUP
from conditions.admin.record import RecordsOnPages
from conditions.models import Condition, Faq, Page, RedFlag, Reference, SharedBlock
from tests.factories import make_booking, make_clinic, make_user
from tests.sources import name_of, sources

RECORDERS = {"record", "note", "confirm_locked"}


def test_every_action_has_words():
    assert all(action.label and action.label != action.value for action in Action)
    assert len({action.label for action in Action}) == len(Action)
    assert all(action.value.count(".") == 1 for action in Action)


def test_no_module_spells_an_action():
    """Each is a member: nothing is recorded under a name without words."""
    spelled = {text for action in Action for text in action.spellings if "." in text}
    wrong = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and node.value in spelled:
                wrong.append(f"{name_of(path)}: {node.value}")
            if isinstance(node, ast.Call) and node.args:
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                owner = getattr(getattr(node.func, "value", None), "id", "")
                first = node.args[0]
                records = called in RECORDERS and owner in ("audit", "record", "locking", "")
                if records and isinstance(first, ast.JoinedStr | ast.BinOp | ast.Constant):
                    wrong.append(f"{name_of(path)}:{node.lineno}")
    assert [line for line in wrong if not line.startswith("clinic/models/audit.py")] == []


def test_every_edit_in_the_admin_has_its_action():
    recorded = {m._meta.model_name: a for m, a in admin.site._registry.items()
                if isinstance(a, RecordsChanges)}  # fmt: skip
    assert recorded
    for name in recorded:
        assert f"{name}.changed" in Action
    # The one clinic is neither added nor deleted; of a text, every edit is a change of its pages.
    on_pages = {name for name, a in recorded.items() if isinstance(a, RecordsOnPages)}
    for name in set(recorded) - {"clinic"} - on_pages:
        assert {f"{name}.added", f"{name}.deleted"} <= set(Action.values)
    for model in (Page, Condition, Reference, SharedBlock, Faq, RedFlag):
        assert f"{model._meta.model_name}.changed" in Action


@pytest.mark.django_db
def test_a_row_of_an_older_spelling_keeps_its_text_and_its_words(client):
    clinic, boss = make_clinic(), make_user(is_superuser=True)
    booking = make_booking()
    for subject, key, text in (
        ("bookings.booking", booking.reference, "booking_changed"),
        ("clinic.clinic", clinic.pk, "clinic_changed"),
    ):
        AuditEvent.objects.create(
            at=booking.created_at, actor_label="Ana", action=text, object_type=subject,
            object_key=key, details={"fields": ["Phone"]},
        )  # fmt: skip
    (event,) = desk_booking.timeline(booking, booking.location.zone)
    assert (event.what, event.detail) == ("Contact changed", "Phone")
    assert Action.words("clinic_changed") == "Clinic changed"
    assert Action.words("nobody.knows") == "nobody.knows"
    boss.groups.add(Group.objects.get_or_create(name=DEMO_GROUP)[0])
    client.force_login(boss)
    page = client.get("/admin/clinic/auditevent/", {"happened": "clinic.changed"})
    assert "clinic_changed" in page.content.decode()
    assert "booking_changed" not in page.content.decode()
