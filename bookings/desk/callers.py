"""What else a caller has ahead, by address or number, so that the desk sees a clash."""

from collections import defaultdict

from bookings import rate_limits
from bookings.desk.conflicts import listed
from bookings.models import Booking

MOST_OTHERS = 12


class Ahead:
    """What is still ahead of people, or waits to be called, by mailbox and by phone number.

    The desk answers a request knowing it; the page that asks for one never tells.
    """

    def __init__(self, bookings, now):
        to_call = bookings.filter(status=Booking.Status.WAITLIST)
        found, to_call = (
            part.order_by().values_list("pk", "email", "phone")
            for part in (bookings.ahead(now), to_call)
        )
        self._keys = defaultdict(set)
        for key, email, phone in found.union(to_call, all=True):  # an index for each half
            for contact in self._contacts(email, phone):
                self._keys[contact].add(key)

    @staticmethod
    def _contacts(email, phone):
        number = phone.as_e164 if phone else ""
        return [contact for contact in (rate_limits.mailbox(email), number) if contact]

    def others(self, booking):
        """List the keys of the other bookings with the same mailbox or number, sorted."""
        contacts = self._contacts(booking.email, booking.phone)
        return sorted(set().union(*(self._keys[c] for c in contacts)) - {booking.pk})


def others_ahead(bookings, booking, now):
    """Other coming bookings with the mailbox or number of one that waits or is ahead; soonest first."""
    if booking.erased_at or booking.status not in Booking.AWAITED:
        return []
    return listed(bookings, Ahead(bookings, now).others(booking))[:MOST_OTHERS]
