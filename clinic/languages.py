"""Which languages the site speaks and which address is in which, from the settings alone.

Addresses in settings.LANGUAGE_CODE have no prefix; those in another of settings.LANGUAGES begin
with its code. A code is kept as the settings write it, also where a row stores it.
"""

from django.conf import settings
from django.urls import translate_url
from django.utils.translation import get_language, get_language_from_path


def default() -> str:
    return settings.LANGUAGE_CODE


def active() -> str:
    """Return the code of the language of this request or mail."""
    return get_language() or default()


def spoken(code: str) -> str:
    """Return ``code`` if the site speaks it, else the default language."""
    return code if code in dict(settings.LANGUAGES) else default()


def codes() -> list[str]:
    """Return the codes of all languages that the site speaks."""
    return [code for code, _name in settings.LANGUAGES]


def others() -> list[str]:
    """Return the codes that stand in addresses: of all languages but the default one."""
    return [code for code in codes() if code != default()]


def reserved() -> list[str]:
    """Return codes whose addresses lead to the default language while they are not spoken."""
    return [code for code in settings.RESERVED_LANGUAGES if code not in codes()]


def without_prefix(path: str) -> str:
    """Return ``path`` as it is in the default language, whatever language it is in."""
    first, slash, rest = path.removeprefix("/").partition("/")
    if slash and (first in reserved() or get_language_from_path(path)):
        return f"/{rest}"
    return path


def menu(path: str) -> list[dict[str, str]]:
    """Return the languages in which the page at ``path`` can be read: code, name and address.

    Empty where there is no choice: one language, or an address that is the same in all.
    """
    found = [
        {"code": code, "name": name, "url": translate_url(path, code)}
        for code, name in settings.LANGUAGES
    ]
    return found if len({entry["url"] for entry in found}) > 1 else []
