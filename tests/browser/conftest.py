"""A real Chromium and the shipped server with the starter clinic, one of each for a test process."""

import json
import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.server import Server

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
PHONE, DESKTOP = (390, 844), (1280, 900)


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker("browser")


@pytest.fixture(scope="session")
def site():
    pg_url = os.environ.get("TEST_PG_URL", "") if os.environ.get("DATABASE_URL") else ""
    made = Server(tempfile.mkdtemp(prefix="clinic-site-"), pg_url=pg_url)
    try:
        made.prepare().start()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def guarded(site):
    """A second server on the same database, with the limits on: a count would be a trace, too."""
    made = Server(site.folder, workers=1, env={"ABUSE_LIMITS": "true", "TRUSTED_PROXIES": "1"})
    if "DATABASE_URL" in site.env:
        made.env["DATABASE_URL"] = site.env["DATABASE_URL"]
    try:
        yield made.start(log=site.folder / "guarded.log")
    finally:
        made.stop()


@pytest.fixture(scope="session")
def stage(site):
    """``stage("named()")`` runs a function of staging.py beside the server; returns its answer."""

    def run(call):
        code = "import json\nfrom tests.browser import staging\n"
        return json.loads(site.python(f"{code}print(json.dumps(staging.{call}))"))

    return run


@pytest.fixture(scope="session")
def logins(site):
    """Passwords of the demo accounts by user name."""
    lines = (site.folder / "staff-logins.txt").read_text().splitlines()
    return dict(line.split()[:2] for line in lines if len(line.split()) >= 2)


@pytest.fixture(scope="session")
def chromium():
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "Chromium is missing: `make test` installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


class Watched:
    """A page that remembers what it should not have seen: other hosts, script errors, CSP reports."""

    def __init__(self, page, site):
        self.page, self.origin = page, f"http://127.0.0.1:{site.port}"
        self.foreign, self.complaints = [], []
        page.on("request", self._request)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _request(self, request):
        if not request.url.startswith(self.origin):
            self.foreign.append(request.url)

    def _console(self, message):
        # A form with errors answers 422, a lost time 409, a limit 429; Chromium notes all of them
        # as failed loads.
        expected = re.search("status of (409|422|429)", message.text)
        if message.type in ("error", "warning") and not expected:
            self.complaints.append(message.text)

    def open(self, path):
        return self.page.goto(self.origin + path)

    def axe(self, *, best_practice=True):
        """Fail on any violation of WCAG 2.2 A and AA, and of axe's best practices if asked."""
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
        self.page.wait_for_load_state()
        heard = len(self.complaints)
        # As tall as the page: a sticky bar covers a target only until one scrolls.
        size = self.page.viewport_size
        tall = self.page.evaluate("document.documentElement.scrollHeight")
        self.page.set_viewport_size({"width": size["width"], "height": max(tall, size["height"])})
        self.page.evaluate(AXE)
        found = self.page.evaluate(
            "async tags => (await axe.run(document, {resultTypes: ['violations'],"
            " runOnly: {type: 'tag', values: tags}})).violations"
            ".map(v => v.id + ': ' + v.nodes.map(n => n.target.join(' ')).slice(0, 3).join(' | '))",
            tags + ["best-practice"] * best_practice,
        )
        # axe probes with inline styles on some pages, which the policy rightly blocks and notes.
        self.page.wait_for_timeout(50)
        self.page.set_viewport_size(size)
        del self.complaints[heard:]
        assert found == [], f"{self.page.url}: {found}"

    def fits(self):
        """No sideways scroll."""
        wide = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0, f"{self.page.url} is {wide} px too wide"

    def check(self):
        assert self.foreign == []
        assert self.complaints == []


@pytest.fixture(scope="session")
def signed_in(chromium, site, logins):
    """``signed_in("frontdesk")``: the cookies of that demo account, from one sign-in a run."""
    kept = {}

    def cookies(user):
        if user not in kept:
            context = chromium.new_context(base_url=f"http://127.0.0.1:{site.port}")
            page = context.new_page()
            page.goto("/admin/")
            page.locator("[name=login]").fill(user)
            page.locator("[name=password]").fill(logins[user])
            page.keyboard.press("Enter")
            page.wait_for_url("**/admin/")
            kept[user] = context.storage_state()
            context.close()
        return kept[user]

    return cookies


@pytest.fixture
def visit(chromium, site, request):
    """``visit(size=PHONE, js=True, dark=False)`` opens a fresh browser profile; ``user`` names the
    demo account that it is signed in as, ``at`` another server than the usual one.
    """
    contexts, pages = [], []

    def open_page(size=DESKTOP, *, js=True, dark=False, zone=None, user="", at=None):
        context = chromium.new_context(
            storage_state=request.getfixturevalue("signed_in")(user) if user else None,
            viewport={"width": size[0], "height": size[1]},
            java_script_enabled=js,
            color_scheme="dark" if dark else "light",
            timezone_id=zone,
        )
        context.set_default_timeout(15_000)
        contexts.append(context)
        pages.append(Watched(context.new_page(), at or site))
        return pages[-1]

    yield open_page
    for watched in pages:
        watched.check()
    for context in contexts:
        context.close()


class Quiet(list):
    """The page of an unopened link answers 404, which Chromium notes as a failed load."""

    def append(self, text):
        if "status of 404" not in text:
            super().append(text)
