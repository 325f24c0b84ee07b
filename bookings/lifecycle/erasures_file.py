"""The file beside the audit anchors that says what was erased, for a backup that comes back."""

import os
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from django.conf import settings

from bookings.models import Booking


def path() -> Path:
    """Return where this machine notes what was erased, for the day a backup is restored."""
    return settings.VAR_DIR / "erasures"


def note(bookings: list[Booking], now: datetime) -> None:
    """Append instant and uid of each, before the transaction ends: rather one too many than one
    that a restored backup brings back.
    """
    at = f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    handle = os.open(path(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(handle, "w") as erasures:
        erasures.write("".join(f"{at} {booking.uid}\n" for booking in bookings))
        erasures.flush()
        os.fsync(handle)


def read(file: Path) -> list[UUID]:
    """Read the uids in a file of erasures; raise ValueError, naming the line, for what is none."""
    found: dict[UUID, None] = {}
    for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
        try:
            found[UUID(line.split()[1])] = None
        except (IndexError, ValueError):
            raise ValueError(f"Line {number} is not an erasure.") from None
    return list(found)
