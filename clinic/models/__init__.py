"""The tables of the clinic, one file per family."""

from .audit import Action, Actor, AuditEvent, AuditSeal
from .clinic import (
    MOST_REMINDERS,
    Clinic,
    ClinicManager,
    parse_reminders,
)
from .hours import Closure, ClosureQuerySet, OpeningHours, Weekday
from .location import CRISIS_LINES, Location, LocationManager, validate_time_zone
from .mail import LEASE, AccountMail, MailQuerySet, MailState
from .practitioners import Practitioner, PractitionerQuerySet
from .staff import StaffSession
from .user import User
from .visit_types import WAYS, VisitType, Way

__all__ = [
    "Action",
    "Actor",
    "Practitioner",
    "PractitionerQuerySet",
    "VisitType",
    "Closure",
    "ClosureQuerySet",
    "OpeningHours",
    "Weekday",
    "CRISIS_LINES",
    "Clinic",
    "Location",
    "LocationManager",
    "ClinicManager",
    "MOST_REMINDERS",
    "parse_reminders",
    "validate_time_zone",
    "AuditEvent",
    "AuditSeal",
    "StaffSession",
    "AccountMail",
    "LEASE",
    "MailQuerySet",
    "MailState",
    "User",
    "WAYS",
    "Way",
]
