"""Fixtures for every test: fast password hashing, plain static files, empty caches."""

import pytest
from django.conf import settings
from django.core.cache import caches


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
