"""Every column that can hold text is declared: it names or describes a patient, or it does not."""

import pytest
from django.apps import apps
from django.db import models

from bookings.models import Booking, ManageLink, Message
from clinic import personal_data
from clinic.models import Location
from tests.factories import make_booking


def test_every_column_that_can_hold_text_is_declared():
    assert list(personal_data.undeclared()) == []


def test_a_new_column_is_missed(monkeypatch):
    monkeypatch.setattr(Booking, "NOT_PERSONAL", ("reference", "language", "asked_red_flags"))
    assert list(personal_data.undeclared()) == ["bookings.booking.consent_version"]
    monkeypatch.delattr(Location, "PERSONAL")
    assert "clinic.location.street" in list(personal_data.undeclared())


@pytest.mark.parametrize("model", apps.get_models(), ids=lambda model: model._meta.label)
def test_declared_columns_exist_and_are_declared_once(model):
    names = [*personal_data.columns(model), *getattr(model, "NOT_PERSONAL", ())]
    assert len(names) == len(set(names))
    for name in names:
        assert isinstance(model._meta.get_field(name), models.Field)


def test_what_belongs_to_a_booking_is_found_by_itself():
    found = dict(personal_data.pointing_to(Booking))
    assert found[Message] == found[ManageLink] == "booking"


@pytest.mark.django_db
def test_values_are_text_and_leave_out_what_is_empty():
    booking = make_booking(
        email="", phone="+13235550119", promised_times={"clinic": {"zone": "UTC"}}
    )
    found = personal_data.values(booking)
    assert found["phone"] == "+1 323-555-0119"
    assert found["name"] == booking.name
    assert "email" not in found
    assert found["promised_times"] == {"clinic": {"zone": "UTC"}}


def test_blank_is_what_a_row_that_nobody_filled_holds():
    assert personal_data.blank(Booking)["promised_times"] == {}
    assert personal_data.blank(Booking)["idempotency_key"] is None
    assert personal_data.blank(Booking)["phone"] == ""
