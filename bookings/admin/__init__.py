"""The desk in the admin, one module a subject. Every change of a booking goes through its verb.

Manage links are not registered: nobody reads or makes one by hand.
"""

from . import bookings, messages

__all__ = ["bookings", "messages"]
