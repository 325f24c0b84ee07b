"""Ways in which a message travels: each module in this folder is a channel, named as the module.

A channel says whom it reaches, writes a message and sends it. What a failure means is its own to
know; the loop in messaging.outbox knows three outcomes and nothing of servers. The channels are
imported when first asked for, so that they may import whatever writes their messages.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Protocol, Self

from bookings.models import Booking, Message
from clinic.models import Location


@dataclass(frozen=True)
class Delivered:
    """The channel's server has taken the message over."""


@dataclass(frozen=True)
class TryAgain:
    """Not now. ``reason`` is stored and holds no address."""

    reason: str
    server_down: bool = False  # says nothing about the message


@dataclass(frozen=True)
class Failed:
    """Never: sending it again would fail again. ``reason`` is stored and holds no address."""

    reason: str


Outcome = Delivered | TryAgain | Failed


class Connection(Protocol):
    """What one batch of messages is sent through. Leaving its context closes it."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def open(self, address: str) -> TryAgain | Failed | None:
        """Get ready to send to the address; return why it cannot be, or None."""

    def send(self, written: Any) -> Outcome:
        """Send what ``compose`` wrote."""


class Channel(Protocol):
    """What a module in this folder defines."""

    def carries(self, kind: str) -> bool:
        """Return whether messages of this kind are sent this way."""

    def patient_address(self, booking: Booking) -> str:
        """Return where the patient is reached this way, or ""."""

    def desk_address(self, location: Location) -> str:
        """Return where the desk is reached this way, or ""."""

    def compose(self, message: Message, booking: Booking, now: datetime) -> Any:
        """Write the message as it reads now; the result has a ``subject`` and a ``body``."""

    def connect(self) -> Connection:
        """Return a connection that opens when it is first needed."""


@lru_cache(maxsize=1)
def installed() -> Mapping[str, Channel]:
    """Return every channel by its name."""
    return {name: import_module(f"{__name__}.{name}") for _, name, _ in iter_modules(__path__)}


@contextmanager
def connections() -> Iterator[Mapping[str, Connection]]:
    """Give one connection for each channel, by its name, and close them all in the end."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(channel.connect()) for name, channel in installed().items()
        }


def carrying(kind: str) -> list[str]:
    """Return the names of the channels by which messages of this kind are sent."""
    return [name for name, channel in installed().items() if channel.carries(kind)]


def reaches(booking: Booking) -> bool:
    """Return whether the patient can be written to at all."""
    return any(channel.patient_address(booking) for channel in installed().values())


def recipient(message: Message, booking: Booking) -> str:
    """Return the address the message goes to; "" when there is none."""
    channel = installed()[message.channel]
    if message.to_desk:
        return channel.desk_address(booking.location)
    return channel.patient_address(booking)
