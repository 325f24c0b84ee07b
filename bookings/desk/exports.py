"""Bookings as a table for a spreadsheet.

A cell that a spreadsheet would run as a formula gets an apostrophe in front, as OWASP's page on CSV
injection advises; quoting alone does not stop it. What the patient wrote and the staff's notes are
not in the table, and not even read for it: a person gets them from bookings.desk.personal_export.
"""

import csv
import re
import unicodedata
from datetime import timedelta
from itertools import islice

from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.formats import date_format

from bookings import times
from bookings.models import Booking
from clinic import audit
from clinic.hours import DAY, day_start
from clinic.models import Location

MOST_ROWS = 5000


MOST_DAYS = 366


AT_A_TIME = 500  # rows read at once; a download may be slow, and holds no more than these


YEARS = range(2000, 2201)


BYTE_ORDER_MARK = "\ufeff"  # without it, spreadsheets take UTF-8 for an older alphabet


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


_FORMULA = "=+-@\N{MINUS SIGN}"


_FILLERS = "\u115f\u1160"  # letters that show nothing; the other such become these in NFKC


class Reason(models.TextChoices):
    """Why a file was made. Not free text: the record of changes must hold no patient's name."""

    CONTACT = "contact", "To reach patients, for example after a closure"
    ACCOUNTS = "accounts", "Accounts and invoices"
    NUMBERS = "numbers", "Numbers and planning"
    INSPECTION = "inspection", "Asked for by an authority or an auditor"
    MOVE = "move", "Moving to another system"


class ExportRefused(Exception):
    """Nothing was exported; ``message`` says what to do, ``field`` which answer it is about."""

    def __init__(self, message, field=None):
        super().__init__(message)
        self.message, self.field = message, field


# --- the form of a cell ---------------------------------------------------------------------------


def _runs(text):
    """Whether a spreadsheet may take it for a formula, full-width and hidden beginnings included."""
    for character in unicodedata.normalize("NFKC", text):
        unseen = unicodedata.category(character)[0] in "ZCM" or character in _FILLERS
        if not unseen and character != '"':
            return character in _FORMULA
    return False


def cell(value):
    """``value`` as text that every spreadsheet shows and none runs; None is empty. Pure.

    An apostrophe goes before what would begin a formula, so a phone number reads ``'+1 323-555-0142``.
    Where a comma is the decimal sign, spreadsheets part cells at semicolons, quoted or not: what
    follows one is looked at like a beginning. Line breaks and other controls become spaces, so that
    a booking is one line for every reader.
    """
    text = "" if value is None else str(value)
    parts = _CONTROL.sub(" ", text).split(";")
    guarded = ["'" + part if _runs(part) else part for part in parts]
    if _CONTROL.match(text) and guarded[0] == parts[0]:
        guarded[0] = "'" + guarded[0]
    return ";".join(guarded)


def _header(zone):
    return [
        "Reference",
        "Status",
        "Practitioner",
        f"When ({zone.key})",
        "When (UTC)",
        "Visit type",
        "Concern",
        "Name",
        "E-mail",
        "Phone",
        "Language",
        "Source",
        f"Asked ({zone.key})",
        f"Confirmed ({zone.key})",
        f"Cancelled ({zone.key})",
        "Cancelled by",
        "Reason",
    ]


def _local(at, zone):
    """ "2026-11-01 01:30 PDT": sorts as text, and the letters tell a doubled hour apart."""
    return f"{at.astimezone(zone):%Y-%m-%d} {times.clock(at, zone)}" if at else ""


def _row(booking, zone):
    return [
        booking.spoken_reference,
        booking.get_status_display(),
        booking.practitioner,
        _local(booking.starts_at, zone),
        times.value_of(booking.starts_at) if booking.starts_at else "",
        booking.get_visit_type_display(),
        booking.concern,
        booking.name,
        booking.email,
        booking.phone.as_international if booking.phone else "",
        booking.spoken_language,
        booking.get_source_display(),
        _local(booking.created_at, zone),
        _local(booking.confirmed_at, zone),
        _local(booking.cancelled_at, zone),
        booking.get_cancelled_by_display(),
        booking.cancel_reason,
    ]


def rows(bookings, zone):
    """Yield the header, then a list of cells per booking; times on the clock of ``zone``."""
    yield [cell(words) for words in _header(zone)]
    for booking in bookings:
        yield [cell(value) for value in _row(booking, zone)]


class _Line:
    """A file that hands back what is written, for a csv.writer that keeps nothing."""

    write = staticmethod(str)


def as_csv(table):
    """Each row of ``table`` as a line of UTF-8, the mark of UTF-8 before the first, all quoted."""
    writer = csv.writer(_Line(), quoting=csv.QUOTE_ALL)
    mark = BYTE_ORDER_MARK
    for line in table:
        yield (mark + writer.writerow(line)).encode()
        mark = ""


# --- the verb -------------------------------------------------------------------------------------


def check_days(first_day, last_day):
    """Raise ExportRefused unless the days are in order and at most MOST_DAYS."""
    for field, day in (("first_day", first_day), ("last_day", last_day)):
        if day.year not in YEARS:
            words = f"Give a year between {YEARS[0]} and {YEARS[-1]}."
            raise ExportRefused(words, field)
    if last_day < first_day:
        raise ExportRefused("The last day is before the first. Swap them.", "last_day")
    if last_day - first_day >= timedelta(days=MOST_DAYS):
        latest = date_format(first_day + timedelta(days=MOST_DAYS - 1), "j M Y")
        raise ExportRefused(
            f"That is more than {MOST_DAYS} days. Choose {latest} or an earlier day, and export the "
            "rest in a second file.",
            "last_day",
        )


def _of_days(bookings, first_day, last_day, zone):
    """By the day of the visit; a call-back without a time belongs to the day it was asked for."""
    start, end = day_start(first_day, zone), day_start(last_day + DAY, zone)
    return bookings.filter(
        Q(starts_at__gte=start, starts_at__lt=end)
        | Q(starts_at=None, created_at__gte=start, created_at__lt=end)
    )


def _read(keys):
    """Yield the bookings in the order of their keys, each as it is when its few are read."""
    bookings = Booking.objects.select_related("practitioner", "condition")
    bookings = bookings.defer("message", "staff_note")
    waiting = iter(keys)
    while some := list(islice(waiting, AT_A_TIME)):
        found = bookings.in_bulk(some)
        yield from (found[key] for key in some if key in found)


@transaction.atomic
def export(
    bookings,
    location: Location,
    *,
    first_day,
    last_day,
    reason,
    by,
    status="",
    practitioner=None,
    now=None,
):
    """Record one export of the place's days from ``first_day`` to ``last_day``; return its rows().

    ``bookings`` is what the exporter may see; times that are only held as offers are left out.
    Which bookings leave is settled and recorded here, with their number and the choices; they are
    read while the caller takes the rows. Raises ExportRefused for days that cannot be and for more
    than MOST_ROWS bookings, ValueError for a reason or status that is none. Then nothing is recorded.
    """
    reason, status = Reason(reason), Booking.Status(status) if status else ""
    check_days(first_day, last_day)
    here = bookings.asked_for().filter(location=location)
    chosen = _of_days(here, first_day, last_day, location.zone)
    if status:
        chosen = chosen.filter(status=status)
    if practitioner:
        chosen = chosen.filter(practitioner=practitioner)
    chosen = chosen.order_by(Coalesce(F("starts_at"), F("created_at")), "pk")
    keys = list(chosen.values_list("pk", flat=True)[: MOST_ROWS + 1])
    if len(keys) > MOST_ROWS:
        raise ExportRefused(
            f"That is more than {MOST_ROWS:,} bookings. Choose fewer days, one status or one "
            "practitioner, and export the rest in a second file."
        )
    details = {
        "rows": len(keys),
        "first_day": first_day.isoformat(),
        "last_day": last_day.isoformat(),
        "status": str(status),
        "practitioner": practitioner.slug if practitioner else "",
        "reason": str(reason),
    }
    audit.record(
        audit.Action.BOOKING_EXPORTED,
        location.clinic,
        by=by,
        at=now or timezone.now(),
        details=details,
    )
    return rows(_read(keys), location.zone)
