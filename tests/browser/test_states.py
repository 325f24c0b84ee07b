"""Pages that only some bookings have, and errors: no violation of the rules, nothing too wide."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE, Quiet
from tests.server import Visitor, person


def look(watched, heading):
    """Light on a desk and dark on a phone, of the same page."""
    page = watched.page
    page.emulate_media(reduced_motion="reduce")  # colors change at once
    expect(page.get_by_role("heading", level=1).first).to_contain_text(heading)
    watched.axe()
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    page.emulate_media(color_scheme="dark")
    watched.axe()
    watched.fits()
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    page.emulate_media(color_scheme="light")


def press(watched, words):
    with watched.page.expect_navigation():
        watched.page.get_by_role("button", name=words, exact=True).click()


@pytest.fixture(scope="module")
def opened(stage):
    """Fresh manage links by state."""
    return stage("links_of_states()")


def prove_it_is_mine(watched):
    watched.page.locator("[name=fact]").fill("0119")
    press(watched, "Show my booking")


def test_manage_pages(visit, opened):
    watched = visit()
    watched.complaints = Quiet()
    watched.open(opened["offered"])
    look(watched, "Your consultation")
    press(watched, "Show my booking")
    expect(watched.page.locator(".error-summary")).to_be_focused()
    look(watched, "Your consultation")
    prove_it_is_mine(watched)
    expect(watched.page.get_by_role("radio")).to_have_count(2)
    look(watched, "Your consultation")

    watched.open(opened["abroad"])
    prove_it_is_mine(watched)
    watched.open("/booking/reschedule/")
    press(watched, "Move to this time")
    expect(watched.page.locator(".error-summary")).to_be_focused()
    look(watched, "Choose another time")
    watched.open("/booking/cancel/")
    look(watched, "Cancel your consultation")
    press(watched, "Yes, cancel it")
    look(watched, "Your consultation is cancelled")

    watched.open(opened["unverified"])
    look(watched, "Is this your booking?")
    watched.open(opened["lapsed"])
    look(watched, "This time is no longer held")
    watched.open("/booking/of-nobody/")
    look(watched, "This link does not open a booking")
    watched.open("/booking/lost/")
    press(watched, "E-mail me a new link")
    expect(watched.page.locator(".error-summary")).to_be_focused()
    look(watched, "My booking")


def at_the_last_step(watched, server, number, **details):
    """Continue in the browser what a fast visitor began; the last press is left."""
    visitor = Visitor(server.port)
    visitor.get("/book/?condition=bruxism")
    visitor.post("/book/", {"condition": "bruxism", "visit_type": "phone"})
    visitor.get("/book/signs/")
    visitor.post("/book/signs/", {"signs": "none"})
    visitor.get("/book/time/")
    start = visitor.free_times()[-1]
    visitor.post("/book/time/", {"start": start, "practitioner": ""})
    visitor.get("/book/details/")
    visitor.post("/book/details/", person(number) | details)
    visitor.get("/book/check/")
    cookies = [{"name": n, "value": v, "url": watched.origin} for n, v in visitor.cookies.items()]
    watched.page.context.add_cookies(cookies)
    watched.open("/book/check/")
    return start


def test_what_the_last_press_may_answer(visit, site, guarded, opened):
    watched = visit(at=guarded)
    at_the_last_step(watched, guarded, 70, website="filled by a program")
    press(watched, "Book this consultation")
    look(watched, "Please confirm your e-mail")

    watched = visit()
    start = at_the_last_step(watched, site, 72)
    faster = Visitor(site.port)
    faster.up_to_check(number=73, start=start, visit_type="phone")
    assert faster.book().status == 302
    press(watched, "Book this consultation")
    look(watched, "That time has just gone")


def test_a_mailbox_that_has_proved_two(visit, stage, guarded):
    watched = visit(at=guarded)
    watched.open(stage("third_to_verify()"))
    press(watched, "Yes, this is my booking")
    look(watched, "You already have two consultations")


def test_desk_pages(visit, stage):
    found = stage("desk()")
    watched = visit(user="frontdesk")
    page, booking = watched.page, "/admin/bookings/booking/"
    watched.open(f"{booking}desk/?day={found['day']}")
    expect(page.get_by_text("Could not be reached by e-mail")).to_be_visible()
    expect(page.locator(".appointment-offer").first).to_be_visible()
    look(watched, "")
    watched.open(f"{booking}outside/")
    look(watched, "Outside opening hours")
    watched.open(f"{booking}{found['offered']}/change/")
    expect(page.get_by_role("heading", name="Offered times")).to_be_visible()
    look(watched, "Booking")
    watched.open(f"{booking}{found['offered']}/offer/")
    look(watched, "Offer times")
    page.locator("[name=times]:checked").first.uncheck()
    page.locator("[name=times]:checked").first.uncheck()
    press(watched, "Offer what is ticked")
    expect(page.get_by_role("status")).to_be_focused()
    look(watched, "Offer times")
    watched.open(f"{booking}{found['moved']}/move/")
    look(watched, "Move")
    press(watched, "Take this time")
    expect(page.get_by_role("status")).to_contain_text("Choose a time first")
    watched.open(f"{booking}{found['moved']}/cancel/")
    look(watched, "Cancel")
    watched.open(f"{booking}{found['moved']}/change/")
    look(watched, "Booking")
    watched.open("/admin/bookings/message/")
    look(watched, "Messages")

    watched.open(f"{booking}add/")
    look(watched, "Book by phone")
    press(watched, "Show free times")
    with page.expect_navigation():
        page.locator("button.day, button[aria-label='Next week']").last.click()
    if not page.locator("[name=start]").count():  # a new week opens at its first day
        with page.expect_navigation():
            page.locator("button.day").first.click()
    look(watched, "Book by phone")
    page.locator("[name=start]").first.check()
    press(watched, "Next: who is it for")
    press(watched, "Book")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_text("Leave this field empty")).to_have_count(0)
    look(watched, "Book by phone")
