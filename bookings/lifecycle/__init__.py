"""What can happen to a booking: one function each, for every door.

Each verb runs in one transaction, locks what it decides about, writes the booking, its audit row
and its messages, and raises a SchedulingError with words for people when its rule says no. It may
import messaging, availability, rate_limits, manage_links, and what stands below those.

    request ──► pending ──► booked ──► arrived ──► fulfilled
                   │           │  └────────────► noshow
                   └─► cancelled ◄┘          undo goes one step back
    request_callback ──► waitlist ──► pending / booked, or cancelled
"""
