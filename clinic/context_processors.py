"""What every template may read."""

from django.conf import settings
from django.utils.functional import SimpleLazyObject

from . import languages
from .models import Location
from .staff.adapters import may_skip_second_factor


def clinic(request):
    """Give the clinic and its place, the languages of the page, and whether a demo account is in."""

    location = SimpleLazyObject(
        lambda: getattr(request, "location", None) or Location.objects.current()
    )
    user = getattr(request, "user", None)
    return {
        "location": location,
        "clinic": SimpleLazyObject(lambda: location.clinic),
        "site_url": settings.SITE_URL,
        "languages": SimpleLazyObject(lambda: languages.menu(request.path)),
        "demo_account": SimpleLazyObject(
            lambda: bool(user and user.is_authenticated and may_skip_second_factor(user))
        ),
    }
