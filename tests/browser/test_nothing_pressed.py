"""R-10: opening our addresses in a browser that runs scripts, and pressing nothing, changes nothing."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PHONE, Watched

TABLES = (
    "bookings_booking", "bookings_message", "bookings_managelink", "bookings_ratecount",
    "clinic_auditevent",
)  # fmt: skip
AHEAD = {  # what browsers and mail scanners say when they fetch before anybody presses
    "Sec-Purpose": "prefetch;prerender",
    "Purpose": "prefetch",
    "X-Purpose": "preview",
    "X-Moz": "prefetch",
    "User-Agent": "Mozilla/5.0 (compatible; LinkScanner/1.0)",
}
LOST = "/booking/lost/"


@pytest.fixture
def reader(chromium, guarded):
    """Opens a fresh profile on the guarded server; nothing it does may send anything but GET."""
    contexts, posted = [], []

    def open_profile():
        context = chromium.new_context(viewport={"width": PHONE[0], "height": PHONE[1]})
        context.set_default_timeout(15_000)
        context.on(
            "request",
            lambda r: posted.append((r.method, r.url)) if r.method not in ("GET", "HEAD") else None,
        )
        contexts.append(context)
        return Watched(context.new_page(), guarded)

    yield open_profile, posted
    for context in contexts:
        context.close()


def rows(site, *, but=()):
    """Everything in the tables that a visit could change."""
    return {
        table: sorted(map(repr, site.rows(f"SELECT * FROM {table}")))
        for table in TABLES
        if table not in but
    }


def look(watched, path):
    """Open it, let a minute pass, point at everything; returns the addresses it links to."""
    page = watched.page
    watched.open(path)
    page.clock.run_for(60_000)
    for control in page.locator("main :is(a, button, summary):visible").all()[:12]:
        control.hover()
    return set(
        page.evaluate(
            "[...document.querySelectorAll('main a[href]')]"
            ".map(e => new URL(e.href)).filter(u => u.origin === location.origin)"
            ".map(u => u.pathname + u.search)"
        )
    )


def fetch(watched, path):
    """In advance, with the cookies of the page that links there."""
    for method in ("GET", "HEAD", "OPTIONS"):
        watched.page.request.fetch(
            watched.origin + path, method=method, headers=AHEAD, max_redirects=3
        )


def test_links_of_mails_change_nothing_by_being_opened(reader, site, stage):
    open_profile, posted = reader
    mailed = stage("links_of_mails()")
    assert {state for state, _kind, path in mailed if path.startswith("/booking/")} >= {
        "pending", "booked", "offered", "unverified", "lapsed", "cancelled", "abroad", "call-back",
    }  # fmt: skip
    before = rows(site)
    watched, looked = open_profile(), set()
    watched.page.clock.install()
    for state, kind, path in mailed:
        fetch(watched, path)
        door = state, path.split("/")[1]
        if door not in looked:  # two mails of one booking lead to the same page
            looked.add(door)
            for found in look(watched, path):
                fetch(watched, found)
        assert rows(site) == before, (state, kind)
    assert posted == []


def test_pages_of_a_booking_change_nothing_by_being_opened(reader, site, stage):
    """Also where the second fact was given, so that the page offers everything that it can."""
    open_profile, posted = reader
    opened = stage("links_of_states()")
    for state in ("booked", "offered", "call-back"):
        watched = open_profile()
        page = watched.page
        watched.open(opened[state])
        page.locator("[name=fact]").fill("0119")
        page.get_by_role("button", name="Show my booking").click()
        expect(page.get_by_text("Staged Patient")).to_be_visible()
        posted.clear()
        before = rows(site)
        page.clock.install()
        paths, seen, looked = {"/booking/", LOST}, set(), set()
        while paths:
            path = paths.pop()
            seen.add(path)
            fetch(watched, path)
            plain = path.partition("?")[0]
            if plain.startswith("/booking/") and plain not in looked and ".ics" not in plain:
                looked.add(plain)
                paths |= look(watched, path) - seen
        assert "/booking/cancel/" in seen
        assert any("/booking/reschedule/?day=" in path for path in seen) or state == "call-back"
        assert rows(site) == before, state
    assert posted == []


def test_a_dead_link_leaves_a_count_and_nothing_else(reader, site, stage):
    open_profile, posted = reader
    path = stage("dead_link()")
    before = rows(site, but=["bookings_ratecount"])
    watched = open_profile()
    watched.page.clock.install()
    fetch(watched, path)
    look(watched, path)
    expect(watched.page.get_by_role("heading", level=1)).to_have_text(
        "This link does not open a booking"
    )
    assert rows(site, but=["bookings_ratecount"]) == before
    assert posted == []
