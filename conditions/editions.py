"""What the rest of the house may ask of editions."""

from datetime import datetime
from typing import NamedTuple

STARTER_SIGNATURE = "Starter content: fictitious reviewer"
LICENSE = ", license "  # in a signature, what stands before the number


class Checked(NamedTuple):
    """Who put their name to a text, as they were called on that day, and when."""

    name: str
    credentials: str
    slug: str
    at: datetime
    fictitious: bool


def who_checked(edition):
    """Checked from the signature of this very edition; None while nobody has signed it."""
    if edition.signed_at is None:
        return None
    signer, fictitious = edition.signed_by, edition.signed_as == STARTER_SIGNATURE
    if fictitious:
        name, credentials = signer.name, signer.credentials
    else:
        name, _, credentials = edition.signed_as.partition(LICENSE)[0].partition(", ")
    return Checked(name, credentials, signer.slug, edition.signed_at, fictitious)
