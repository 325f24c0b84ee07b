"""What the desk reads: the board of a day, the lists beside it, one booking, exports.

Reads only. The doors are in bookings.admin, which call the verbs of bookings.lifecycle. It may
import lifecycle, messaging, availability and what stands below those.
"""
