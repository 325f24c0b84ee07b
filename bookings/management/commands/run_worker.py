"""Send what is due and keep house: ``run_worker`` loops, ``run_worker --once`` drains and exits."""

import logging
import signal
import threading
from datetime import timedelta

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.db.models import Q
from django.utils import timezone

from bookings import rate_limits
from bookings.lifecycle import erasure, requests
from bookings.messaging import outbox, queue
from bookings.models import Heartbeat
from clinic import account_mails, audit
from clinic.models import Clinic
from clinic.operations import health

log = logging.getLogger("bookings.worker")

PAUSE = 2  # seconds between looks at the outbox
LONGEST_PAUSE = 30  # seconds, while the database is away
BEAT = timedelta(seconds=20)  # the health check expects one every 30 seconds


def housekeeping(now):
    """Do what is due by the clock, each by whichever worker comes first."""
    run_every("lapsed", timedelta(minutes=1), now, lambda: requests.free_all_lapsed(now))
    run_every("reminders", timedelta(minutes=10), now, lambda: queue.replan_reminders(now))
    recent = now - timedelta(days=2)  # older ones that were missed wait for the day's anchor
    run_every("seals", timedelta(minutes=1), now, lambda: audit.seal(now, since=recent))
    run_every("anchors", timedelta(days=1), now, lambda: audit.anchor(now))
    run_every("write log", timedelta(minutes=10), now, warn_of_long_write_log)
    run_every("account mails", timedelta(days=1), now, lambda: account_mails.purge(now))
    run_every("rate counts", timedelta(days=1), now, lambda: rate_limits.purge(now))
    return run_every("housekeeping", timedelta(days=1), now, lambda: call_command("clearsessions"))


def warn_of_long_write_log():
    problem = health.write_log()
    if problem:
        log.warning("%s", problem)


def run_every(name, pause, now, job):
    """Run ``job`` when ``pause`` has gone by since any worker last did; return whether it ran.

    A last run far ahead of now is from before the clock was put back, and counts as long ago.
    """
    heartbeat, made = Heartbeat.objects.get_or_create(name=name, defaults={"at": now})
    first = made or Heartbeat.objects.filter(
        Q(at__lte=now - pause) | Q(at__gt=now + pause), name=name, at=heartbeat.at
    ).update(at=now)
    if first:
        job()
    return bool(first)


class Command(BaseCommand):
    help = "Sends messages that are due, until stopped. SIGTERM finishes the message at hand."

    def add_arguments(self, parser):
        parser.add_argument("--once", action="store_true", help="send what is due now, then exit")

    def handle(self, *args, once, **options):
        self.stopping = threading.Event()
        self.last_beat = None
        self.erasing = None
        if once:
            counts = self._round()
            while self.erasing:
                self._erase(timezone.now())
            self._report(counts)
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stopping.set())
        self._loop()
        self.stdout.write("Stopped.")

    def _loop(self):
        pause = PAUSE
        while not self.stopping.is_set():
            try:
                close_old_connections()
                counts = self._round()
                if counts:
                    self._report(counts)
                pause = PAUSE
            except (DatabaseError, InterfaceError) as error:
                log.warning("database trouble (%s), next try in %s s", type(error).__name__, pause)
                self.erasing = None
                connection.close()
                self.stopping.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                self.stopping.wait(pause)

    def _round(self):
        """One look at everything; returns what became of the messages."""
        self._may_go_on()
        housekeeping(timezone.now())
        self._erase(timezone.now())
        return outbox.drain(self._may_go_on)

    def _erase(self, now):
        """One small step of the day's erasing, so that no message waits long for it."""
        if self.erasing is None:
            run_every("erasing", timedelta(hours=1), now, lambda: self._begin_erasing(now))
        try:
            if self.erasing and next(self.erasing, None) is None:
                self.erasing = None
        except OSError as error:  # nothing is erased that cannot be noted; tried again in an hour
            log.error("erasures could not be noted: %s", type(error).__name__)
            self.erasing = None

    def _begin_erasing(self, now):
        if erasure.is_time(now):
            self.erasing = erasure.run(Clinic.objects.current(), now)

    def _may_go_on(self):
        now = timezone.now()
        if self.last_beat is None or abs(now - self.last_beat) >= BEAT:
            Heartbeat.objects.update_or_create(name="worker", defaults={"at": now})
            self.last_beat = now
        return not self.stopping.is_set()

    def _report(self, counts):
        words = ", ".join(f"{number} {what}" for what, number in sorted(counts.items()))
        self.stdout.write(words or "Nothing was due.")
        self.stdout.flush()
