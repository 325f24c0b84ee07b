"""Fixtures for every test: fast password hashing, plain static files, empty caches."""

import pytest
from django.conf import settings
from django.core.cache import caches
from django.utils import translation


def pytest_configure(config):
    # PBKDF2 at full strength costs 0.7 s of CPU a sign-in.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # Hashed names need collectstatic; tests/test_static.py checks the real storage.
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }


@pytest.fixture(autouse=True)
def _empty_memory():
    caches["memory"].clear()


@pytest.fixture
def pseudo_language(monkeypatch):
    """Whatever goes through gettext stands in «», as in a language that nobody speaks."""
    translation.gettext("")  # chooses the implementation that is replaced
    trans = translation._trans
    monkeypatch.setattr(trans, "gettext", lambda message: f"«{message}»")
    monkeypatch.setattr(trans, "pgettext", lambda context, message: f"«{message}»")
    monkeypatch.setattr(trans, "ngettext", lambda one, many, n: f"«{one if n == 1 else many}»")
    monkeypatch.setattr(
        trans, "npgettext", lambda context, one, many, n: f"«{one if n == 1 else many}»"
    )
