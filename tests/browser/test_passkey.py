"""The passkey of docs/running.md, on a public site: https by a proxy, a virtual authenticator."""

import base64
import hashlib
import shutil
import tempfile

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.public_site import NAME, PASSWORD, PublicSite

AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def fingerprint(certificate):
    """How Chromium is told to trust this one key: a site with TLS errors may ask for no passkey."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()


@pytest.fixture
def public(chromium):
    """A public site with its first account; and a page of a browser that knows the way to it."""
    site = PublicSite(tempfile.mkdtemp(prefix="clinic-public-"))
    try:
        site.start()
        site.first_account()
        browser = chromium.browser_type.launch(
            executable_path=shutil.which("chromium") or shutil.which("chromium-browser"),
            args=[
                "--no-sandbox",
                f"--host-resolver-rules=MAP {site.host}:443 127.0.0.1:{site.proxy.port}",
                f"--ignore-certificate-errors-spki-list={fingerprint(site.certificate)}",
            ],
        )
        try:
            yield browser.new_context(base_url=f"https://{site.host}").new_page()
        finally:
            browser.close()
    finally:
        site.close()


def test_a_passkey_is_added_and_signs_in(public):
    page = public
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    page.goto("/admin/")
    page.locator("#id_login").fill(NAME)
    page.locator("#id_password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/account/2fa/")
    page.locator('a[href="/account/2fa/webauthn/add/"]').click()
    page.locator("#id_passwordless").check()
    page.get_by_role("button", name="Add", exact=True).click()
    page.wait_for_url("**/account/2fa/recovery-codes/")
    assert all(cookie["secure"] for cookie in page.context.cookies())

    page.context.clear_cookies()
    page.goto("/account/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url("**/admin/")
    assert page.get_by_role("heading", level=1).is_visible()
