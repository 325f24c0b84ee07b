"""What staff write about people and places for everybody to read must not promise too much.

Which words do is for the app of medical content to say: it adds its check in its AppConfig.
"""

from collections.abc import Callable

from django.core.exceptions import ValidationError

# Each takes a text and returns the phrases in it that say more than the evidence.
CHECKS: list[Callable[[str], list[str]]] = []


def require_sound(row):
    """Raise ValidationError for each field of ``row.PUBLIC_WORDS`` that claims too much."""
    errors = {}
    for name in row.PUBLIC_WORDS:
        phrases = [phrase for check in CHECKS for phrase in check(getattr(row, name) or "")]
        if phrases:
            quoted = ", ".join(f"“{phrase}”" for phrase in phrases)
            errors[name] = f"This says more than the evidence holds: {quoted}. Please reword it."
    if errors:
        raise ValidationError(errors)
