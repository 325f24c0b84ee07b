"""The sitemap: live pages at the site's own address."""

import pytest
from django.conf import settings

from conditions import publishing
from tests.conditions.pages import make_editor, make_guide, make_page, put_live
from tests.factories import make_clinic, make_condition

pytestmark = pytest.mark.django_db


def test_the_sitemap_lists_live_pages_and_no_drafts(client):
    make_clinic()
    put_live(make_page(condition=make_condition(slug="sore-jaw")))
    put_live(make_guide())
    publishing.submit(make_page(condition=make_condition(slug="not-yet")), by=make_editor())
    text = client.get("/sitemap.xml", headers={"host": "127.0.0.1"}).content.decode()
    assert f"<loc>{settings.SITE_URL}/conditions/sore-jaw/</loc>" in text
    assert f"<loc>{settings.SITE_URL}/guides/a-guide/</loc>" in text
    assert "not-yet" not in text
    assert f"<loc>{settings.SITE_URL}/</loc>" in text
    assert "/book/time" not in text
