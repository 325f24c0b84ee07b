"""Why a verb refuses, in words for people."""

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


class SchedulingError(Exception):
    """A rule says no; ``message`` tells people why and what they can do."""

    default = _("That cannot be done.")

    def __init__(self, message: "str | _StrPromise" = "") -> None:
        self.message = str(message or self.default)
        super().__init__(self.message)


class SlotTaken(SchedulingError):
    """Somebody else holds the time, or it is no longer offered."""

    default = _("That time has just been taken. Please choose another.")


class NotAllowed(SchedulingError):
    """The booking's status or a policy deadline does not allow it."""


class RedFlagsChanged(NotAllowed):
    """Other emergency signs are signed now than the ones that were asked."""

    default = _("The emergency signs for this concern have changed. Please read them again.")


class KeyReused(SchedulingError):
    """The same form key came with other answers."""

    default = _("This form was already sent with other answers. Please start again.")
