"""The record of who changed what. Verbs call record(); nothing else writes here.

The record is sealed behind their backs: seal() gives each event the next number of a chain in which
every digest covers the digest before it, anchor() notes the chain's end outside the database, and
verify() says what was changed, removed or swapped since.
"""

import json
import logging
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, Model, OuterRef, QuerySet
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from .models import Action as Action  # callers say audit.Action
from .models import Actor, AuditEvent, AuditSeal, Clinic, User

log = logging.getLogger(__name__)

BATCH = 500  # events read, or sealed under one lock
LATE = timedelta(hours=1)  # an event that has no seal by then was kept from the worker
Anchor = tuple[int, str]  # number and digest of a seal; zero and the line that is not one
SEALED = ["id", "at", "actor_id", "actor_label", "action", "object_type", "object_key", "details"]


def record(
    action: Action,
    subject: Model,
    *,
    by: User | Actor | None = None,
    details: dict | None = None,
    at: datetime | None = None,
) -> AuditEvent:
    """Write one AuditEvent about ``subject`` inside the caller's transaction.

    Nobody named is the system. ``details`` is a small dict of codes and UTC times in ISO form; it
    must hold nothing that a patient typed.
    """
    user = by if isinstance(by, User) else None
    return AuditEvent.objects.create(
        at=at or timezone.now(),
        actor=user,
        actor_label=(user.get_full_name() or user.get_username())
        if user
        else str(by or Actor.SYSTEM),
        action=action,
        object_type=subject._meta.label_lower,
        object_key=str(getattr(subject, "reference", None) or subject.pk),
        details=details or {},
    )


def seal(now: datetime | None = None, *, since: datetime | None = None) -> int:
    """Seal every event that has no seal yet, in order of sealing; returns how many.

    ``since`` leaves out events before that instant, so that a frequent call need not look through
    all of them. Sealing while somebody else does leaves the rest to them.
    """
    sealed, last = 0, 0
    # By absence of a seal, not above the last key: a slow transaction's event has a lower key.
    waiting = _unsealed()
    if since:
        waiting = waiting.filter(at__gte=since)
    while keys := list(
        waiting.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]
    ):
        last = keys[-1]
        sealed += _seal(keys, now or timezone.now())
    return sealed


def anchor(now: datetime | None = None) -> None:
    """Seal what waits, then append the chain's end to the file of anchors: instant, number, digest.

    A disk that takes no writes is logged; the worker that calls this has mails to send.
    """
    now = now or timezone.now()
    seal(now)
    newest = AuditSeal.objects.order_by("number").last()
    if newest is None:
        return
    line = f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} {newest.number} {newest.digest}\n"
    try:
        handle = os.open(anchors_file(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(line)
            file.flush()
            os.fsync(handle)
    except OSError as error:
        log.error("the audit anchor could not be written: %s", type(error).__name__)


def anchors_file() -> Path:
    """Return where this machine's workers write anchors."""
    return settings.VAR_DIR / "audit_anchors"


def read_anchors(path: Path) -> list[Anchor]:
    """Return (number, digest) of each line of a file of anchors, (0, line) where there is none."""
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return [_parse_anchor(line) for line in lines]


def verify(anchors: Iterable[Anchor] = (), *, now: datetime | None = None) -> Iterator[str]:
    """Yield a line for all that is not as it was sealed, and for events that nobody sealed.

    ``anchors`` are from read_anchors(); without them nobody can tell that the newest seals were
    removed together with their events.
    """
    yield from broken(anchors)
    late = _unsealed().filter(at__lt=(now or timezone.now()) - LATE)
    if number := late.count():
        first = late.order_by("pk").values_list("pk", flat=True)[0]
        yield f"{number} events older than an hour have no seal, the first is event {first}"


def broken(anchors: Iterable[Anchor] = ()) -> Iterator[str]:
    """Yield what verify() finds in the chain, whatever the clock says."""
    try:
        yield from _chain(anchors)
    except (AttributeError, TypeError, ValueError):  # text in a column of numbers or instants
        yield "a seal holds what no seal can hold; those after it were not compared"


def _unsealed() -> QuerySet[AuditEvent]:
    return AuditEvent.objects.filter(~Exists(AuditSeal.objects.filter(event=OuterRef("pk"))))


@transaction.atomic
def _seal(keys: list[int], now: datetime) -> int:
    """Seal those of ``keys`` that still need it; nothing if another process is sealing."""
    # One row that every sealer meets, held by no verb of the bookings, so the chain cannot fork.
    Clinic.objects.current()
    if not Clinic.objects.select_for_update(skip_locked=True).filter(pk=1).first():
        return 0
    # Only behind the lock: what the other process sealed is to be seen.
    newest = AuditSeal.objects.order_by("number").last()
    number, digest = (newest.number, newest.digest) if newest else (0, "")
    waiting = _unsealed().filter(pk__in=keys).order_by("pk").values_list("pk", flat=True)
    seals = []
    for key, event in _events(list(waiting)).items():
        if event is None:  # it stays without a seal, and the others get theirs
            continue
        number += 1
        row = AuditSeal(number=number, event_id=key, sealed_at=now)
        digest = row.digest = _digest(_text(row, event, digest), settings.SECRET_KEY)
        seals.append(row)
    AuditSeal.objects.bulk_create(seals)
    return len(seals)


def _text(row: AuditSeal, event: AuditEvent, before: str) -> str:
    """Return what a seal covers: its place in the chain, and its event in one spelling.

    Empty columns are left out, so that a column added later does not void the seals before it.
    """
    facts = {name: getattr(event, name) for name in SEALED}
    facts["at"] = facts["at"] and facts["at"].astimezone(UTC)
    facts = {name: value for name, value in facts.items() if value not in (None, "")}
    whole = [before, row.number, row.sealed_at.astimezone(UTC), facts]
    return json.dumps(whole, sort_keys=True, separators=(",", ":"), default=str)


def _digest(text: str, key: str) -> str:
    return salted_hmac("clinic.audit.seal", text, secret=key, algorithm="sha256").hexdigest()


def _fits(row: AuditSeal, event: AuditEvent, before: str) -> bool:
    """Return whether the seal is right for its event, by the present key or an earlier one."""
    text = _text(row, event, before)
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return any(constant_time_compare(_digest(text, key), row.digest) for key in keys)


def _events(keys: list[int]) -> dict[int, AuditEvent | None]:
    """Events by key; None for one that holds what no value of a column's type looks like."""
    try:
        return {event.pk: event for event in AuditEvent.objects.filter(pk__in=keys).order_by("pk")}
    except (TypeError, ValueError):
        if len(keys) == 1:
            return {keys[0]: None}
        half = len(keys) // 2
        return _events(keys[:half]) | _events(keys[half:])


def _chain(anchors: Iterable[Anchor]) -> Iterator[str]:
    noted: dict[int, set[str]] = {}
    for line, (number, digest) in enumerate(anchors, 1):
        if number:
            noted.setdefault(number, set()).add(digest)
        else:
            yield f"line {line} of the anchors is not an anchor: {digest[:40]}"
    last = 0
    before: str | None = ""
    while rows := list(AuditSeal.objects.filter(number__gt=last).order_by("number")[:BATCH]):
        events = _events([row.event_id for row in rows])
        for row in rows:
            if row.number != last + 1:
                yield f"seals are missing between {last} and {row.number}"
                before = None
            event = events.get(row.event_id)
            if row.event_id not in events:
                yield f"event {row.event_id} is missing (seal {row.number})"
            elif event is None or (before is not None and not _fits(row, event, before)):
                yield f"event {row.event_id} or its seal {row.number} was changed"
            if noted.pop(row.number, {row.digest}) != {row.digest}:
                yield f"seal {row.number} is not the one that was anchored"
            last, before = row.number, row.digest
    if noted:
        yield f"seals after {last} are missing: seal {max(noted)} was anchored"


def _parse_anchor(line: str) -> Anchor:
    parts = line.split()
    if len(parts) == 3 and parts[1].isdecimal() and int(parts[1]):
        return int(parts[1]), parts[2]
    return 0, line
