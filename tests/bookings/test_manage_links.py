"""Manage links: unguessable, stored hashed, dead after the visit. R-05, R-06, R-09, R-11, R-14."""

from datetime import timedelta

import pytest
from django.utils import timezone

from bookings import manage_links
from bookings.models import ManageLink
from tests.factories import MONDAY, make_booking

pytestmark = pytest.mark.django_db

NOW = MONDAY


def test_a_link_opens_its_booking_only():
    ours, other = make_booking(), make_booking()
    secret, other_secret = manage_links.issue(ours, NOW), manage_links.issue(other, NOW)
    assert manage_links.look_up(secret, NOW).booking == ours
    assert manage_links.look_up(other_secret, NOW).booking == other


def test_a_second_link_does_not_break_the_first():
    booking = make_booking()
    first, second = manage_links.issue(booking, NOW), manage_links.issue(booking, NOW)
    assert first != second
    assert (
        manage_links.look_up(first, NOW).booking
        == manage_links.look_up(second, NOW).booking
        == booking
    )


def test_every_alteration_is_refused_alike():
    secret = manage_links.issue(make_booking(), NOW)
    altered = {secret[:cut] for cut in range(len(secret))}
    altered |= {secret + letter for letter in "aA0-_= \n\x00"}
    altered |= {secret.swapcase(), secret.upper(), secret.lower(), secret[::-1], f" {secret}"}
    for place in range(len(secret)):
        for letter in "aZ09-_/é\x00\ud800":
            altered.add(secret[:place] + letter + secret[place + 1 :])
    altered -= {secret}
    assert len(altered) > 400
    assert [text for text in altered if manage_links.look_up(text, NOW)] == []


def test_unknown_expired_and_revoked_cost_the_same_query(django_assert_num_queries):
    booking = make_booking()
    live, revoked = manage_links.issue(booking, NOW), manage_links.issue(make_booking(), NOW)
    ManageLink.objects.exclude(booking=booking).update(revoked_at=NOW)
    for secret, now in (("unknown", NOW), (revoked, NOW), (live, NOW + timedelta(days=9))):
        with django_assert_num_queries(1):
            assert manage_links.look_up(secret, now) is None


def test_a_link_ends_24_hours_after_the_visit():
    booking = make_booking()
    secret = manage_links.issue(booking, NOW)
    end = booking.ends_at + timedelta(hours=24)
    assert manage_links.look_up(secret, end - timedelta(seconds=1))
    assert manage_links.look_up(secret, end) is None


def test_a_link_of_a_call_back_lasts_30_days():
    secret = manage_links.issue(make_booking(status="waitlist"), NOW)
    assert manage_links.look_up(secret, NOW + timedelta(days=30, seconds=-1))
    assert manage_links.look_up(secret, NOW + timedelta(days=30)) is None


def test_revoke_all_stops_every_link_of_that_booking_at_once():
    booking, other = make_booking(), make_booking()
    secrets = [manage_links.issue(booking, NOW) for _ in range(3)]
    kept = manage_links.issue(other, NOW)
    assert manage_links.revoke_links_of(booking, NOW) == 3
    assert manage_links.revoke_links_of(booking, NOW) == 0
    assert [manage_links.look_up(secret, NOW) for secret in secrets] == [None] * 3
    assert manage_links.look_up(kept, NOW)
    assert manage_links.look_up(manage_links.issue(booking, NOW), NOW)


def test_the_link_of_an_erased_booking_opens_nothing():
    booking = make_booking()
    secret = manage_links.issue(booking, NOW)
    booking.erased_at = timezone.now()
    booking.save()
    assert manage_links.look_up(secret, NOW) is None


def test_secrets_are_long_distinct_and_never_stored():
    booking = make_booking()
    secrets = {manage_links.issue(booking, NOW) for _ in range(1000)}
    assert len(secrets) == 1000
    assert all(len(secret) >= 43 for secret in secrets)
    stored = " ".join(str(row) for row in ManageLink.objects.values_list())
    assert not [secret for secret in secrets if secret in stored]


def test_links_survive_a_new_secret_key(settings):
    secret = manage_links.issue(make_booking(), NOW)
    settings.SECRET_KEY = "another key altogether"
    assert manage_links.look_up(secret, NOW)
