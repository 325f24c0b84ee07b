"""E-mail by SMTP: one connection per batch, and what its errors mean."""

import logging
import smtplib
from contextlib import suppress
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage, get_connection

from bookings.messaging.email import compose
from bookings.models import Booking
from clinic import mail_addresses
from clinic.models import Location

from . import Delivered, Failed, Outcome, TryAgain

__all__ = ["carries", "compose", "connect", "desk_address", "patient_address"]

log = logging.getLogger(__name__)


def carries(kind: str) -> bool:
    return True


def patient_address(booking: Booking) -> str:
    return booking.email


def desk_address(location: Location) -> str:
    return location.desk_email


def connect() -> "MailConnection":
    return MailConnection()


class MailConnection:
    """The connection to the mail server: opened when first needed, reused, closed after an error.

    A connection that fails to open is thrown away, never used half-open: after a broken STARTTLS
    it would be in the clear. The rest of the batch then fails with it instead of waiting in turn.
    """

    def __init__(self) -> None:
        self._connection: Any = None
        self._refusal: TryAgain | Failed | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def open(self, address: str) -> TryAgain | Failed | None:
        """Make ready to send to the address; return why it cannot be."""
        try:
            mail_addresses.validate(address)
        except ValidationError:
            return Failed("Not an e-mail address")
        if self._connection is None and self._refusal is None:
            self._connection = get_connection()
            try:
                self._connection.open()
            except OSError as error:
                self.close()
                self._refusal = classify_error(error)
                log.warning("no connection to the mail server: %s", self._refusal.reason)
        return self._refusal

    def send(self, written: EmailMessage) -> Outcome:
        """Send one mail; it is delivered once the server has taken it over."""
        try:
            if self._connection.send_messages([written]) != 1:
                raise smtplib.SMTPException("The mail back end sent nothing.")
        except Exception as error:  # whatever it is, it is this message's trouble only
            self.close()
            return classify_error(error)
        return Delivered()

    def close(self) -> None:
        unused, self._connection = self._connection, None
        if unused is not None:
            with suppress(OSError):
                unused.close()


def classify_error(error: Exception) -> TryAgain | Failed:
    """Return what an error of smtplib means for the mail; 5xx about one mail is for good."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = max(code for code, _words in error.recipients.values())
        return _by_code(code, "recipient")
    if isinstance(error, smtplib.SMTPDataError):
        return _by_code(error.smtp_code, "message")
    if isinstance(error, smtplib.SMTPResponseException):
        return TryAgain(f"SMTP {error.smtp_code}, {type(error).__name__}", server_down=True)
    if isinstance(error, OSError):
        return TryAgain(f"Mail server: {type(error).__name__}", server_down=True)
    return TryAgain(f"Could not be written: {type(error).__name__}")


def _by_code(code: int, what: str) -> TryAgain | Failed:
    reason = f"SMTP {code} for the {what}"
    return Failed(reason) if code >= 500 else TryAgain(reason)
