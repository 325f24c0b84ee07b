"""The patient's forms take no files, so this client posts as a browser's plain form does."""

from urllib.parse import urlencode

import pytest
from django.test import Client

PLAIN_FORM = "application/x-www-form-urlencoded"


class FormClient(Client):
    def post(self, path, data=None, content_type=PLAIN_FORM, **extra):
        if content_type == PLAIN_FORM and not isinstance(data, str):
            data = urlencode(data or {}, doseq=True)
        return super().post(path, data, content_type=content_type, **extra)


@pytest.fixture(autouse=True)
def _no_limits(settings):
    """These visitors fill four steps in no time; test_rate_limits.py switches the limits on."""
    settings.ABUSE_LIMITS = False


@pytest.fixture
def client():
    return FormClient()
