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


# One value for each column that names or describes a person.
FILLED = {
    "name": "ZZQ Name",
    "email": "zzq@canary.example",
    "phone": "+13235550188",
    "message": "ZZQ message",
    "call_when": "ZZQ evenings",
    "spoken_language": "ZZQ tongue",
    "time_zone": "Europe/Istanbul",
    "promised_times": {"patient": {"zone": "ZZQ"}},
    "cancel_reason": "ZZQ reason",
    "staff_note": "ZZQ note",
    "request_digest": "ZZQ" * 20,
}
