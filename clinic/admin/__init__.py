"""The clinic's part of the admin, one module a subject. What is not registered here has no page."""

from . import audit, clinic, practitioners, users

__all__ = ["audit", "clinic", "practitioners", "users"]
