"""A patient's way from the home page to a confirmation, as a person takes it."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE

SIZES = pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])


def look(watched, js=True):
    """What must hold on every page and step."""
    if js:
        watched.axe()
        watched.fits()


def fill_details(page):
    page.get_by_label("Full name").fill("Ayşe Demir")
    page.get_by_label("E-mail").fill("ayse.demir@example.org")
    page.get_by_label("Phone, with country code").fill("+1 323 555 0119")
    page.get_by_label("I agree").check()


@SIZES
@pytest.mark.parametrize("js", [True, False], ids=["js", "no-js"])
def test_from_home_to_confirmation(visit, size, js):
    watched = visit(size, js=js)
    page = watched.page
    watched.open("/")
    look(watched, js)
    page.get_by_role("navigation", name="Conditions by part of the body").get_by_role(
        "link", name="Bruxism"
    ).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Bruxism")
    look(watched, js)
    page.locator("a[href*='/book/?condition=bruxism']:visible").first.click()

    expect(page.get_by_role("heading", level=1)).to_have_text("What would you like help with?")
    expect(page.get_by_role("radio", name="Bruxism")).to_be_checked()
    look(watched, js)
    page.get_by_role("radio", name="Video call").check()
    page.get_by_role("button", name="Continue").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Do you have any of these signs now?")
    look(watched, js)
    page.get_by_role("radio", name="No, none of these").check()
    page.get_by_role("button", name="Continue to times").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Choose a time")
    look(watched, js)
    page.get_by_role("button", name="Continue with this time").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()
    look(watched, js)
    page.get_by_role("link", name="Next week").click()
    page.locator("a.day").last.click()  # so far ahead that it may be changed online
    page.locator("label.time").nth(1).click()
    page.get_by_role("button", name="Continue with this time").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Your details")
    look(watched, js)
    page.get_by_role("button", name="Check your answers").click()
    expect(page.get_by_role("link", name="Enter your name")).to_be_visible()
    look(watched, js)
    fill_details(page)
    page.get_by_role("button", name="Check your answers").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Check your answers")
    look(watched, js)
    page.get_by_role("button", name="Book this consultation").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("We are holding your time")
    look(watched, js)
    page.get_by_role("link", name="Change or cancel").click()
    expect(page.get_by_text("Waiting for the clinic to confirm")).to_be_visible()
    expect(page.get_by_text("Ayşe Demir")).to_be_visible()
    look(watched, js)
    page.get_by_role("link", name="Change the time").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Choose another time")
    look(watched, js)
    page.locator("label.time").last.click()
    page.get_by_role("button", name="Move to this time").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your consultation")
    page.get_by_role("link", name="Cancel this consultation").click()
    look(watched, js)
    page.get_by_role("button", name="Yes, cancel it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your consultation is cancelled")
    look(watched, js)


@SIZES
def test_an_emergency_and_a_call_back(visit, size):
    watched = visit(size)
    page = watched.page
    watched.open("/book/")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("link", name="Choose what you would like help with")).to_be_visible()
    look(watched)
    page.get_by_role("radio", name="Something else, or not sure").check()
    page.get_by_role("radio", name="Phone call").check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("radio", name="Yes, or I am not sure").check()
    page.get_by_role("button", name="Continue to times").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Get medical help now")
    look(watched)

    watched.open("/book/")
    page.get_by_role("radio", name="Something else, or not sure").check()
    page.get_by_role("radio", name="Phone call").check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("radio", name="No, none of these").check()
    page.get_by_role("button", name="Continue to times").click()
    page.get_by_role("link", name="Ask us to call me").click()
    look(watched)
    page.get_by_role("button", name="Ask for a call").click()
    look(watched)
    page.get_by_label("When is a good time to call?").fill("Weekday mornings")
    fill_details(page)
    page.get_by_role("button", name="Ask for a call").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("We will call you")
    look(watched)


def test_by_keyboard_alone(visit):
    """Tab, arrows, space and Enter reach every control, and focus is always visible."""
    watched = visit(DESKTOP)
    page = watched.page
    watched.open("/book/?condition=bruxism")

    def tab_to(name):
        for _ in range(80):
            page.keyboard.press("Tab")
            focused = page.evaluate(
                "(() => { const e = document.activeElement;"
                " const r = e.getBoundingClientRect();"
                " const label = e.labels && e.labels[0] ? e.labels[0].innerText : '';"
                " return [(label || e.innerText || '').trim(), r.top, r.bottom, innerHeight] })()"
            )
            if name in focused[0]:
                assert focused[1] < focused[3], "the focused control is on screen"
                assert focused[2] > 0, "the focused control is on screen"
                return
        raise AssertionError(f"Tab never reached {name}")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to main content"
    tab_to("At the clinic")
    page.keyboard.press("Space")
    tab_to("Continue")
    page.keyboard.press("Enter")
    page.wait_for_url("**/book/signs/")
    tab_to("No, none of these")
    page.keyboard.press("Space")
    tab_to("Continue to times")
    page.keyboard.press("Enter")
    page.wait_for_url("**/book/time/")
    tab_to("Choose")
    page.keyboard.press("Enter")
    page.wait_for_url("**/book/details/")
    for name, text in [
        ("Full name", "Kay Board"), ("E-mail", "kay@example.org"), ("Phone", "+1 323 555 0119")
    ]:  # fmt: skip
        tab_to(name)
        page.keyboard.type(text)
    tab_to("I agree")
    page.keyboard.press("Space")
    tab_to("Check your answers")
    page.keyboard.press("Enter")
    page.wait_for_url("**/book/check/")
    tab_to("Book this consultation")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("We are holding your time")


def test_errors_take_the_focus(visit):
    watched = visit(DESKTOP)
    watched.open("/book/")
    watched.page.get_by_role("button", name="Continue").click()
    expect(watched.page.locator(".error-summary")).to_be_focused()


@pytest.mark.parametrize("zone", ["Europe/Istanbul", "Asia/Kolkata"])
def test_times_abroad(visit, zone):
    watched = visit(PHONE, zone=zone)
    page = watched.page
    watched.open("/book/?condition=bruxism")
    page.get_by_role("radio", name="Video call").check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("radio", name="No, none of these").check()
    page.get_by_role("button", name="Continue to times").click()
    expect(page.get_by_text("Times in Los Angeles")).to_be_visible()
    page.get_by_text("Change the time zone").click()
    page.get_by_role("button", name="Use the time zone of this device").click()
    expect(page.locator("label.time small").first).to_contain_text("in Los Angeles")
    look(watched)


def test_a_zone_can_be_chosen_without_javascript(visit):
    watched = visit(PHONE, js=False)
    page = watched.page
    watched.open("/book/?condition=bruxism")
    page.get_by_role("radio", name="Video call").check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("radio", name="No, none of these").check()
    page.get_by_role("button", name="Continue to times").click()
    page.get_by_text("Change the time zone").click()
    expect(page.get_by_role("button", name="Use the time zone of this device")).to_be_hidden()
    page.get_by_label("Show times in").select_option("Europe/Istanbul")
    page.get_by_role("button", name="Update").first.click()
    expect(page.locator("label.time small").first).to_contain_text("in Los Angeles")
