"""Which times are free, and which bookings no longer fit.

slots.py is arithmetic, opening.py the hours of people, search.py the questions that doors ask,
conflicts.py the bookings that changed hours left outside. Reads only; the verbs of
bookings.lifecycle take time. It may import models and times, and the clinic's hours.
"""
