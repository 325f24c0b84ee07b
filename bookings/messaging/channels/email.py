"""E-mail by SMTP: one connection a batch, and what its errors mean."""

import logging
import smtplib
from contextlib import suppress

from django.core.exceptions import ValidationError
from django.core.mail import get_connection

log = logging.getLogger(__name__)


class Post:
    """The connection to the mail server: opened when first needed, reused, closed after trouble.

    A connection that fails to open is thrown away, never used half-open: after a broken STARTTLS
    it would be in the clear. The rest of the batch then fails with it instead of waiting in turn.
    """

    def __init__(self):
        self._connection = None
        self._refusal = None

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()

    def open(self):
        if self._refusal:
            raise self._refusal
        if self._connection is None:
            self._connection = get_connection()
            try:
                self._connection.open()
            except OSError as error:
                self.close()
                self._refusal = error
                log.warning("no connection to the mail server: %s", _trouble(error)[0])
                raise

    def send(self, mail):
        """Return once the server has taken the mail over; raises what smtplib raises."""
        if self._connection.send_messages([mail]) != 1:
            raise smtplib.SMTPException("The mail back end sent nothing.")

    def close(self):
        unused, self._connection = self._connection, None
        if unused is not None:
            with suppress(OSError):
                unused.close()


def _trouble(error):
    """What went wrong, as (words without any address, for good, the server's own fault)."""
    if isinstance(error, ValidationError):
        return "Not an e-mail address", True, False
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = max(code for code, _words in error.recipients.values())
        return f"SMTP {code} for the recipient", code >= 500, False
    if isinstance(error, smtplib.SMTPDataError):
        return f"SMTP {error.smtp_code} for the message", error.smtp_code >= 500, False
    if isinstance(error, smtplib.SMTPResponseException):
        return f"SMTP {error.smtp_code}, {type(error).__name__}", False, True
    if isinstance(error, OSError):
        return f"Mail server: {type(error).__name__}", False, True
    return f"Could not be written: {type(error).__name__}", False, False
