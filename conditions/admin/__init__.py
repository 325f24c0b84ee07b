"""The staff's view of the medical content: pages, their editions, and shared records."""

from . import edition, page, record, signers

__all__ = ["edition", "page", "record", "signers"]
