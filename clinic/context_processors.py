"""What every template may read."""

from django.conf import settings
from django.utils.functional import SimpleLazyObject

from . import languages
from .errors import remember_phone
from .models import Clinic
from .staff.adapters import may_skip_second_factor


def _clinic():
    found = Clinic.objects.current()
    remember_phone(found)
    return found


def clinic(request):
    """Give the clinic, the languages of this page, and whether a demo account is signed in."""
    user = getattr(request, "user", None)
    return {
        "clinic": SimpleLazyObject(_clinic),
        "site_url": settings.SITE_URL,
        "languages": SimpleLazyObject(lambda: languages.menu(request.path)),
        "demo_account": SimpleLazyObject(
            lambda: bool(user and user.is_authenticated and may_skip_second_factor(user))
        ),
    }
