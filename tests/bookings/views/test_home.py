"""The front page comes from the store of ready pages, and is never staler than what it shows."""

import pytest
from django.core.cache import caches

from clinic.models import Location
from tests.conditions.pages import make_page, put_live
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def test_the_front_page_again_is_304_until_something_on_it_changes(client, time_machine):
    time_machine.move_to("2027-01-04 18:00:00Z", tick=False)
    put_live(make_page())
    first = client.get("/")
    assert first["Cache-Control"] == "public, max-age=60"
    asking = {"if-none-match": first["ETag"]}
    assert client.get("/", headers=asking).status_code == 304
    Location.objects.update(phone="+13235550177")
    assert client.get("/", headers=asking).status_code == 200
    assert caches["memory"].get("phone") == "+13235550177"


def test_the_front_page_of_somebody_with_a_session_is_theirs_alone(client):
    client.force_login(make_user())
    response = client.get("/")
    assert response["Cache-Control"] == "private, no-cache"
    assert "ETag" not in response
