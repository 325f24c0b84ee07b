"""The site without the lock around allauth's counts of tries: a negative control."""

from contextlib import contextmanager

from allauth.core.internal import ratelimit

from clinic.wsgi import application

__all__ = ["application"]


@contextmanager
def no_lock(_key):
    yield True


ratelimit.cache_lock = no_lock
