"""The desk by keyboard alone: from the sign-in page to a cancelled booking, without a mouse."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP

# What has the focus: its words, whether its ring is drawn (a hidden radio gives it to its label),
# whether it is on screen with nothing in front of it, and whether it comes after the one before.
FOCUS = """() => {
  const e = document.activeElement, before = window.focusedBefore;
  const label = e.labels && e.labels[0], shown = [e, label].filter(Boolean);
  const ring = shown.some(f => { const s = getComputedStyle(f);
    return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2; });
  const r = e.getBoundingClientRect();
  const top = Math.max(r.top, 0), bottom = Math.min(r.bottom, innerHeight);
  const front = document.elementFromPoint(r.left + Math.min(r.width / 2, 40), (top + bottom) / 2);
  const seen = !!front && (e.contains(front) || front.contains(e) || (label && label.contains(front)));
  const back = before && before.isConnected
    && !!(e.compareDocumentPosition(before) & Node.DOCUMENT_POSITION_FOLLOWING);
  window.focusedBefore = e;
  const words = (label && label.innerText) || e.innerText || e.getAttribute('aria-label') || e.name || '';
  return {tag: e.tagName, words: words.replace(/\\s+/g, ' ').trim(), ring, back,
    seen: seen && bottom - top >= Math.min(r.height - 1, innerHeight / 4), role: e.getAttribute('role')};
}"""


class Keys:
    """Hands on the keyboard of one page."""

    def __init__(self, watched):
        self.page, self.press = watched.page, watched.page.keyboard.press

    def focus(self):
        return self.page.evaluate(FOCUS)

    def tab_to(self, words, most=90):
        """Tab on until ``words`` has the focus; every stop on the way must be plain to see."""
        for _ in range(most):
            self.press("Tab")
            at = self.focus()
            if at["tag"] == "BODY":
                continue
            assert at["ring"], f"no ring on {at}"
            assert at["seen"], f"out of sight or covered: {at}"
            assert not at["back"], f"jumps back to {at}"
            if re.search(words, at["words"]):
                return at
        raise AssertionError(f"Tab never reached {words}")

    def enter(self, words, **options):
        """Tab to it, press Enter, and wait for the page that comes."""
        self.tab_to(words, **options)
        with self.page.expect_navigation():
            self.press("Enter")

    def said(self, words):
        """The page says what came of it, aloud, and the focus is there."""
        status = self.page.get_by_role("status")
        expect(status).to_contain_text(words)
        expect(status).to_be_focused()
        at = self.focus()
        assert at["ring"], at
        assert at["seen"], at


@pytest.fixture
def keys(visit, logins):
    """Signed in as the front desk, by typing."""
    watched = visit(DESKTOP)
    watched.open("/admin/")
    keys = Keys(watched)
    keys.tab_to("Login|Username")
    watched.page.keyboard.type("frontdesk")
    keys.tab_to("Password")
    watched.page.keyboard.type(logins["frontdesk"])
    keys.press("Enter")
    watched.page.wait_for_url("**/admin/")
    return keys


def test_a_day_at_the_desk_by_keyboard(keys, stage):
    page = keys.page
    first, second, today = stage("requests()")
    keys.enter("Day board")
    keys.enter(f"Answer {first}")

    keys.enter("^Confirm$")
    keys.said("Confirmed")
    keys.enter("^Move$", most=12)  # the next step is near, not behind the menu again
    expect(page.get_by_role("heading", level=1)).to_contain_text("Move")
    keys.enter("Next week")
    keys.tab_to(r"^\d\d:\d\d")
    keys.press("ArrowDown")
    keys.press("Space")
    keys.enter("Take this time")
    keys.said("now ")

    keys.enter("^Cancel$", most=12)
    keys.tab_to("Reason")
    page.keyboard.type("The doctor is ill")
    keys.enter(f"Cancel {first}")
    keys.said("Cancelled")
    expect(page.locator(".field-cancellation")).to_contain_text("The doctor is ill")

    page.goto(page.url.partition("/admin/")[0] + "/admin/bookings/booking/desk/")
    keys.enter(f"Answer {second}")
    keys.enter("^Offer times$")
    for _ in range(2):
        keys.tab_to(r"^\d\d:\d\d")
        keys.press("Space")
    keys.enter("Offer what is ticked")
    keys.said("ffered")
    expect(page.locator("#offers ~ ul li")).to_have_count(2)

    keys.enter("^Refuse$", most=12)
    keys.enter("Keep it")
    expect(page.get_by_role("heading", level=1)).to_contain_text(second)
    keys.enter("^Refuse$")
    keys.enter(f"Refuse {second}")
    keys.said("Cancelled")

    keys.enter("^Bookings$")
    keys.tab_to("^q$")
    page.keyboard.type(today)
    with page.expect_navigation():
        keys.press("Enter")
    keys.enter(f"^{today}$")
    keys.enter("^Arrived$")
    keys.said("Arrived")
    keys.enter("^Undo$", most=12)
    keys.said("Taken back")
