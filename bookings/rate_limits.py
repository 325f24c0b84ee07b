"""How much is taken from one sender: requests, mails, guesses. No puzzle, no third party.

Whoever stays below the limits never notices them. Above the first ones, and where a request looks
like a script's, the request is taken but waits until the mailbox is verified
(lifecycle.requests.verify_email). Above the last ones it is refused with a page that says why,
keeps the answers and names the phone.

    one mailbox    2 coming consultations that it has verified: more are not taken from there
    one mailbox    3 mails a day on the word of somebody who has not shown that it is theirs
    one booking    5 moves an hour
    the desk       60 mails an hour and 150 a day about what patients do; its page shows all of it
    one network    5 requests an hour and 20 a day, more with proof; 30 an hour at the most
    everybody      60 requests an hour and 150 a day, more with proof
    guesses        5 wrong second facts an hour for a link, 60 unknown links a minute for a network

Nobody learns of, or is kept out by, what was asked for with somebody else's address or number. So a
request is answered alike whatever is known of these: the page never tells, only a mail or the desk
(bookings.desk.callers) does. Mails above the limit are not sent, and the desk sees that.

Each count is a row of instants (RateCount), locked from the look to the end of the transaction: the
limits hold exactly, over any stretch of time, whatever arrives at the same moment.

One file: whoever changes a limit sees all of them.
"""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from clinic import database_waiting

from .models import Booking, ManageLink, RateCount

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Limit(NamedTuple):
    """At most so many within any stretch of that length."""

    at_most: int
    within: timedelta


VERIFY_WITHIN = timedelta(minutes=15)  # how long a time is held for somebody who has to verify
# Nobody reads the signs, picks a time, types who they are and checks it faster, autofill included.
HUMAN_SECONDS = 6

COMING = 2  # consultations and requests ahead that one mailbox has verified
MAILS = Limit(3, DAY)
NETWORK_FREELY = (Limit(5, HOUR), Limit(20, DAY))  # a family or an office; then with proof
NETWORK_UNVERIFIED = Limit(3, VERIFY_WITHIN)  # so many times can one network hold without proof
NETWORK_AT_MOST = Limit(30, HOUR)
ALL_FREELY = (Limit(60, HOUR), Limit(150, DAY))  # twice the diary of five practitioners; then proof
MOVES = Limit(5, HOUR)
DESK_MAILS = (Limit(60, HOUR), Limit(150, DAY))
WRONG_FACTS = Limit(5, HOUR)
UNKNOWN_LINKS = Limit(60, MINUTE)

_KEPT = 150  # instants of a count; no limit counts further
_KEPT_FOR = DAY  # no limit looks further back


class TooMany(Exception):
    """A limit is reached; ``reason`` says which, for the page that tells people."""

    class Reason(models.TextChoices):
        PERSON = "person"
        NETWORK = "network"
        MOVES = "moves"
        GUESSES = "guesses"

    def __init__(self, reason: "TooMany.Reason") -> None:
        self.reason = reason
        super().__init__(reason)


Reason = TooMany.Reason


# --- who ------------------------------------------------------------------------------------------


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an IP address object, also of "1.2.3.4:5" or "[2001:db8::1]:5"; None when it is none."""
    text = text.strip()
    bare = text[1:].partition("]")[0] if text.startswith("[") else text
    for candidate in (bare, bare.rpartition(":")[0]):
        with suppress(ValueError):
            address = ipaddress.ip_address(candidate)
            return getattr(address, "ipv4_mapped", None) or address
    return None


def network_of(request: HttpRequest) -> str:
    """Return the visitor's network: an IPv4 /24 or an IPv6 /48, which one household or bot can change in.

    Behind settings.TRUSTED_PROXIES proxies it is the entry of X-Forwarded-For that the outermost
    of them wrote. What stands left of it is the visitor's own claim and never counts.
    """
    found, hops = None, settings.TRUSTED_PROXIES
    if hops:
        chain = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
        found = _address(chain[-hops]) if len(chain) >= hops else None
    found = found or _address(request.META.get("REMOTE_ADDR", ""))
    if found is None:
        return "unknown"
    return str(ipaddress.ip_network((found, 24 if found.version == 4 else 48), strict=False))


def mailbox(email: str) -> str:
    """Return the mailbox behind an address: case, +tag, and Gmail's dots do not make another one."""
    local, _at, domain = email.strip().casefold().rpartition("@")
    local = local.partition("+")[0] or local
    if domain in ("gmail.com", "googlemail.com"):
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}" if local else ""


# --- counting -------------------------------------------------------------------------------------


def _key(kind: str, value: object) -> str:
    return salted_hmac(f"bookings.limits.{kind}", str(value), algorithm="sha256").hexdigest()


def _locked(now: datetime, **values: object) -> dict[str, RateCount]:
    """Lock the count of each kind that has a value, by kind; nobody else's until the transaction ends.

    Always in the order of the keys, so that two requests never wait crosswise.
    """
    keys = {kind: _key(kind, value) for kind, value in values.items() if value}
    with database_waiting.queueing():
        RateCount.objects.bulk_create(
            [RateCount(key=key, until=now + _KEPT_FOR) for key in sorted(keys.values())],
            update_conflicts=True,
            unique_fields=["key"],
            update_fields=["until"],
        )
    rows = RateCount.objects.in_bulk(keys.values())
    return {kind: rows[key] for kind, key in keys.items()}


def _is_full(count: RateCount, now: datetime, *limits: Limit) -> bool:
    """Return whether one more would be above one of the limits.

    Instants ahead, but for the difference between two machines, are from before the clock was put
    back: they count no more.
    """
    until = (now + MINUTE).timestamp()
    return any(
        sum((now - limit.within).timestamp() < at <= until for at in count.times) >= limit.at_most
        for limit in limits
    )


def _add(now: datetime, *counts: RateCount) -> None:
    for count in counts:
        count.times = [*count.times, now.timestamp()][-_KEPT:]
    RateCount.objects.bulk_update(counts, ["times"])


def purge(now: datetime) -> int:
    """Delete the counts that no limit looks at any more; return how many."""
    return RateCount.objects.filter(until__lt=now).delete()[0]


def forget(booking: Booking) -> None:
    """Drop what was counted for its patient and its links, unless the address has other bookings."""
    keys = [_key("fact", link) for link in booking.links.values_list("pk", flat=True)]
    keys.append(_key("moves", booking.pk))
    others = Booking.objects.filter(email=booking.email, erased_at=None).exclude(pk=booking.pk)
    if not others.exists():
        keys.append(_key("mailbox", mailbox(booking.email)))
    RateCount.objects.filter(key__in=keys).delete()


# --- requests -------------------------------------------------------------------------------------


class Admission(NamedTuple):
    """How one request is taken: ``verify_within`` is None, or how soon its mailbox must be verified;
    ``may_mail`` is False where the mailbox has had its mails of the day: see messaging.queue.withhold.
    """

    verify_within: timedelta | None = None
    may_mail: bool = True


@contextmanager
def admitted(
    *,
    network: str,
    email: str,
    key: UUID,
    scripted: bool = False,
    holds_time: bool = True,
    now: datetime | None = None,
) -> Iterator[Admission]:
    """For one web request: ``with admitted(...) as admission:`` and make the booking inside.

    All is one transaction. ``key`` is the form's: the same press again is not counted again.
    ``scripted``: the request looks like a program's. ``holds_time`` is False for a call-back, which
    blocks no time and may have no mailbox, so that it is taken without proof. Raises TooMany for the
    network alone; what the body raises takes the counting back.
    """
    if not settings.ABUSE_LIMITS:
        yield Admission()
        return
    now, box = now or timezone.now(), mailbox(email)
    with transaction.atomic():
        counts = _locked(now, network=network, unverified=network, all="all", mailbox=box)
        if Booking.objects.made_with(key).exists():
            yield Admission()
            return
        by_network = settings.NETWORK_LIMITS
        if by_network and _is_full(counts["network"], now, NETWORK_AT_MOST):
            raise TooMany(Reason.NETWORK)
        may_mail = not (box and _is_full(counts["mailbox"], now, MAILS))
        many = _is_full(counts["network"], now, *NETWORK_FREELY) or _is_full(
            counts["all"], now, *ALL_FREELY
        )
        doubted = by_network and (scripted or (many and holds_time))
        if doubted and _is_full(counts["unverified"], now, NETWORK_UNVERIFIED):
            raise TooMany(Reason.NETWORK)
        yield Admission(VERIFY_WITHIN if doubted and holds_time else None, may_mail)
        counted = ["network", "all"] + ["unverified"] * doubted
        counted += ["mailbox"] * (bool(box) and may_mail)
        _add(now, *(counts[kind] for kind in counted))


@contextmanager
def verifying(booking: Booking, now: datetime | None = None) -> Iterator[None]:
    """For the press in the mail that verifies a request: verify it inside, in the same transaction.

    Raises TooMany where this mailbox has verified COMING others that are still ahead.
    """
    if not (settings.ABUSE_LIMITS and booking.is_unverified):
        yield
        return
    now, box = now or timezone.now(), mailbox(booking.email)
    with transaction.atomic():
        _locked(now, mailbox=box)
        verified = Booking.objects.awaited(now).exclude(Q(verified_at=None) | Q(pk=booking.pk))
        addresses = verified.values_list("email", flat=True)
        if sum(mailbox(email) == box for email in addresses) >= COMING:
            raise TooMany(Reason.PERSON)
        yield


@contextmanager
def mailing(email: str, now: datetime | None = None) -> Iterator[bool]:
    """Send one mail inside, to an address whose owner has not spoken, if the value is True.

    It is False after MAILS.
    """
    now = now or timezone.now()
    with transaction.atomic():
        counts = _locked(now, mailbox=mailbox(email))
        may_mail = not _is_full(counts["mailbox"], now, MAILS)
        yield may_mail
        if may_mail:
            _add(now, counts["mailbox"])


@contextmanager
def moving(booking: Booking, now: datetime | None = None) -> Iterator[None]:
    """Move a booking inside, for its patient. Raises TooMany after MOVES of this one booking."""
    now = now or timezone.now()
    with transaction.atomic():
        count = _locked(now, moves=booking.pk)["moves"]
        if settings.ABUSE_LIMITS and _is_full(count, now, MOVES):
            raise TooMany(Reason.MOVES)
        yield
        _add(now, count)


@transaction.atomic
def may_tell_desk(now: datetime | None = None) -> bool:
    """Count one mail to the desk about what a patient did; False where it had DESK_MAILS of them."""
    now = now or timezone.now()
    count = _locked(now, desk="all")["desk"]
    if settings.ABUSE_LIMITS and _is_full(count, now, *DESK_MAILS):
        return False
    _add(now, count)
    return True


# --- guesses --------------------------------------------------------------------------------------


@transaction.atomic
def count_fact(link: ManageLink, right: bool, now: datetime | None = None) -> None:
    """Count one try at a link's second fact if it was wrong.

    Raises TooMany after WRONG_FACTS; the caller then says nothing about the try, right or wrong.
    """
    now = now or timezone.now()
    count = _locked(now, fact=link.pk)["fact"]
    if _is_full(count, now, WRONG_FACTS):
        raise TooMany(Reason.GUESSES)
    if not right:
        _add(now, count)


def require_no_guessing(network: str, now: datetime | None = None) -> None:
    """Raise TooMany for a network that has just tried UNKNOWN_LINKS; asks the database once."""
    now = now or timezone.now()
    count = RateCount.objects.filter(key=_key("links", network)).first()
    if settings.ABUSE_LIMITS and count and _is_full(count, now, UNKNOWN_LINKS):
        raise TooMany(Reason.GUESSES)


@transaction.atomic
def count_unknown_link(network: str, now: datetime | None = None) -> None:
    """Count one link that opened nothing. Raises TooMany after UNKNOWN_LINKS."""
    now = now or timezone.now()
    count = _locked(now, links=network)["links"]
    if settings.ABUSE_LIMITS and _is_full(count, now, UNKNOWN_LINKS):
        raise TooMany(Reason.GUESSES)
    _add(now, count)
