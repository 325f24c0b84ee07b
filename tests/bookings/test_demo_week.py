"""The demo's lived-in week: whole, harmless, and never in the way of what somebody did."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from bookings import demo_week, invariants
from bookings.lifecycle import answers
from bookings.messaging import queue
from bookings.models import Booking, Message
from tests.factories import asked_of, make_request, make_user

pytestmark = pytest.mark.django_db

Status = Booking.Status


@pytest.fixture
def clinic(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    call_command("load_starter", verbosity=0)
    assert not Booking.objects.exists(), "the starter itself has no bookings"


def test_a_newcomer_sees_the_product_at_work(clinic):
    assert demo_week.load() >= 20
    rows = Booking.objects.all()
    assert {Status.BOOKED, Status.PENDING, Status.WAITLIST, Status.PROPOSED} <= {
        row.status for row in rows
    }
    assert all(row.is_demo for row in rows)
    assert all(row.email.endswith(".example") for row in rows.exclude(email=""))
    now = timezone.now()
    assert rows.filter(starts_at__lt=now).exists()
    assert rows.filter(starts_at__gt=now).exists()
    assert {name: found for name, found in invariants.broken().items() if found} == {}


def test_nothing_is_left_to_be_sent(clinic):
    demo_week.load()
    queue.replan_reminders()
    assert not Message.objects.waiting().exists()
    assert Message.objects.filter(state=Message.State.SENT).count() > 20


def test_a_second_start_on_the_same_day_changes_nothing(clinic):
    demo_week.load()
    before = list(Booking.objects.order_by("pk").values())
    assert demo_week.load() == 0
    assert list(Booking.objects.order_by("pk").values()) == before


def test_a_later_start_renews_what_nobody_touched(clinic):
    demo_week.load()
    touched = Booking.objects.filter(status=Status.PENDING, offered_for=None).first()
    answers.confirm(touched, by=make_user())
    real = make_request(
        visit_type="phone", name="Real", phone="+13235550142", consent_version="1", asked=asked_of()
    )
    old = set(Booking.objects.values_list("pk", flat=True))
    assert demo_week.load(now=timezone.now() + timedelta(days=3)) >= 15
    assert old & set(Booking.objects.values_list("pk", flat=True)) == {touched.pk, real.pk}
    assert Booking.objects.filter(name=touched.name).count() == 1


def test_never_on_a_public_site(clinic, settings):
    settings.ON_LOOPBACK = False
    with pytest.raises(CommandError):
        call_command("load_demo_week")
    assert not Booking.objects.exists()
