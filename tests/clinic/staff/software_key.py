"""A passkey made of software: it answers the sign-in pages as a hardware key would."""

import json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.urls import reverse
from fido2.cose import ES256
from fido2.utils import sha256, websafe_encode
from fido2.webauthn import (
    Aaguid,
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    CollectedClientData,
)

HOST = "testserver"
PRESENT_AND_VERIFIED = AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.UV


class SoftwareKey:
    """``counts`` is what tells a copy: each answer carries a number, one higher than the last."""

    def __init__(self, *, counts=True):
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.credential_id = b"software-key-0001"
        self.counter, self.step, self.owner = 0, int(counts), b""

    def enrol(self, client):
        """Become the key of whoever is signed in in ``client``."""
        page = client.get(reverse("mfa_add_webauthn"))
        options = page.context["js_data"]["creation_options"]["publicKey"]
        self.owner = options["user"]["id"]
        public = ES256.from_cryptography_key(self.private.public_key())
        data = AttestedCredentialData.create(Aaguid.NONE, self.credential_id, public)
        flags = PRESENT_AND_VERIFIED | AuthenticatorData.FLAG.AT
        facts = AuthenticatorData.create(sha256(HOST.encode()), flags, self._next(), data)
        answer = {
            "clientDataJSON": self._client_data("webauthn.create", options["challenge"]),
            "attestationObject": websafe_encode(AttestationObject.create("none", facts, {})),
        }
        form = {"name": "Key", "credential": self._credential(answer), "passwordless": "on"}
        return client.post(reverse("mfa_add_webauthn"), form)

    def sign_in(self, client):
        """Sign in with the key alone."""
        options = client.get(
            reverse("mfa_login_webauthn"), headers={"x-requested-with": "XMLHttpRequest"}
        ).json()["request_options"]["publicKey"]
        facts = AuthenticatorData.create(
            sha256(HOST.encode()), PRESENT_AND_VERIFIED, self._next(), b""
        )
        told = self._client_data("webauthn.get", options["challenge"])
        signed = bytes(facts) + sha256(bytes(told))
        answer = {
            "clientDataJSON": told,
            "authenticatorData": websafe_encode(bytes(facts)),
            "signature": websafe_encode(self.private.sign(signed, ec.ECDSA(hashes.SHA256()))),
            "userHandle": self.owner,
        }
        form = {"credential": self._credential(answer)}
        return client.post(reverse("mfa_login_webauthn"), form, follow=True)

    def _next(self):
        self.counter += self.step
        return self.counter

    def _client_data(self, kind, challenge):
        return CollectedClientData.create(kind, challenge, f"https://{HOST}")

    def _credential(self, answer):
        told = answer["clientDataJSON"]
        return json.dumps(
            {
                "id": websafe_encode(self.credential_id),
                "rawId": websafe_encode(self.credential_id),
                "type": "public-key",
                "response": answer | {"clientDataJSON": websafe_encode(bytes(told))},
                "clientExtensionResults": {"credProps": {"rk": True}},
            }
        )
