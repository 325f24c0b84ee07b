"""Encryption of what the database holds for a while and nobody may read in it."""

import base64
import hashlib

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings


def encrypt(text, purpose):
    return _cipher(purpose).encrypt(text.encode()).decode()


def decrypt(text, purpose):
    """Raise cryptography.fernet.InvalidToken for what no key of ours wrote."""
    return _cipher(purpose).decrypt(text.encode()).decode()


def _cipher(purpose):
    """Encrypts with a key made from SECRET_KEY; reads what the fallback keys wrote, too."""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    digests = (hashlib.sha256(f"{purpose}:{key}".encode()).digest() for key in keys)
    return MultiFernet(Fernet(base64.urlsafe_b64encode(digest)) for digest in digests)
