"""A passkey that was copied betrays itself: of two keys that count, one repeats the other's number.

Many keys do not count and always say 0; of those nobody can tell (WebAuthn, section 6.1.1).
"""

from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal.auth import parse_authentication_response
from django.db import transaction


@transaction.atomic
def count(authenticator, answer):
    """Keep the number in a key's answer; False when it did not rise, as that of a copy does not."""
    row = Authenticator.objects.select_for_update().get(pk=authenticator.pk)
    last = row.data.get("counter", row.wrap().authenticator_data.counter)
    number = parse_authentication_response(answer).response.authenticator_data.counter
    if (number or last) and number <= last:
        return False
    row.data["counter"] = number
    row.save(update_fields=["data"])
    authenticator.data = row.data
    return True
