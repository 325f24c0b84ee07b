"""The clock times that people were told, and which of them are no longer true.

A booking is an instant. What people remember is a clock time, and a country can change its clock
between the booking and the visit, or a clinic its zone. Nothing moves by itself then: the desk sees
each booking whose clock time is another one now, and decides.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from bookings import times
from clinic.models import Location

CLINIC, PATIENT = "clinic", "patient"
_WALL = "%Y-%m-%dT%H:%M"


@dataclass(frozen=True)
class Shift:
    """A clock that shows another time at the visit than the one that people were told."""

    whose: str  # CLINIC or PATIENT
    zone: ZoneInfo  # as it is now
    promised: datetime  # a local time without a zone
    promised_zone: str  # an IANA name


def clock_times(
    at: datetime | None, clinic_zone: ZoneInfo, patient_zone: ZoneInfo
) -> dict[str, dict[str, str]]:
    """Return the zones and clock times in which clinic and patient are told of an instant."""
    if at is None:
        return {}
    zones = {CLINIC: clinic_zone, PATIENT: patient_zone}
    return {
        whose: {"zone": zone.key, "clock": f"{at.astimezone(zone):{_WALL}}"}
        for whose, zone in zones.items()
    }


def shifts(
    promised_times: dict[str, dict[str, str]], at: datetime | None, clinic_zone: ZoneInfo
) -> list[Shift]:
    """List the Shifts between what was told and what the clocks show at ``at``.

    The clinic's clock is that of the zone it has now; a patient's that of the zone they chose.
    """
    found: list[Shift] = []
    if at is None:
        return found
    for whose, words in promised_times.items():
        zone = clinic_zone if whose == CLINIC else times.known_zone(words["zone"], clinic_zone)
        if f"{at.astimezone(zone):{_WALL}}" != words["clock"]:
            then = datetime.strptime(words["clock"], _WALL)  # noqa: DTZ007, it has no zone
            found.append(Shift(whose, zone, then, words["zone"]))
    return found


def shifted_keys(rows: Iterable[tuple], location: Location) -> list[int]:
    """List the primary keys of the COMING_ROW tuples that have Shifts, in order."""
    return [
        pk for pk, at, _end, _who, _archived, promised_times in rows
        if shifts(promised_times, at, location.zone)
    ]  # fmt: skip
