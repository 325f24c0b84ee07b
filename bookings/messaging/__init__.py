"""Messages about bookings: queued by verbs, written and sent by the worker.

queue.py adds rows and plans reminders, relevance.py says whether one is still true, email.py and
calendars.py write it, outbox.py is the worker's loop, and channels/ know how things travel. It may
import availability, manage_links, rate_limits, models and times, and never a verb.
"""
