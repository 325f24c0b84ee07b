"""The tables of bookings, one file per family. What the database can refuse, it refuses."""

from .booking import REFERENCE_ALPHABET, Booking, BookingQuerySet, hashed_key, new_reference
from .manage_link import ManageLink, ManageLinkQuerySet
from .message import Heartbeat, Message, MessageQuerySet
from .rate_count import RateCount

__all__ = [
    "Booking",
    "BookingQuerySet",
    "REFERENCE_ALPHABET",
    "hashed_key",
    "new_reference",
    "ManageLink",
    "ManageLinkQuerySet",
    "Heartbeat",
    "Message",
    "MessageQuerySet",
    "RateCount",
]
