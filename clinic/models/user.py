"""Who signs in: staff alone. Patients have no account."""

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """A staff account. A model of our own, so that what an account holds stays ours to change."""
