"""Staff at work: the desk confirms a request; an editor changes a page, a reviewer signs, it is live."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE
from tests.server import Visitor

SIZES = pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])


def sign_in(watched, logins, user):
    watched.open("/admin/")
    page = watched.page
    page.get_by_label("Username or email", exact=False).or_(
        page.locator("[name=login]")
    ).first.fill(user)
    page.locator("[name=password]").fill(logins[user])
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/**")
    return page


def request_a_time(site, number):
    """Somebody asks for the last free time of the first day; returns the spoken reference."""
    visitor = Visitor(site.port)
    visitor.get("/book/")
    visitor.post("/book/", {"condition": "other", "visit_type": "in_person"})
    visitor.get("/book/signs/")
    visitor.post("/book/signs/", {"signs": "none"})
    visitor.get("/book/time/")
    start = visitor.free_times()[-1]
    visitor.up_to_check(number=number, start=start, condition="other")
    assert visitor.book().status == 302
    page = visitor.get("/book/done/").text
    return page.partition("Reference</span><b>")[2][:9], visitor


@SIZES
def test_the_desk_confirms_a_request(visit, site, logins, size):
    reference, patient = request_a_time(site, 60 + size[0] % 7)
    watched = visit(size)
    page = sign_in(watched, logins, "frontdesk")
    expect(page.get_by_text("Demo account: no second factor")).to_be_visible()
    page.get_by_role("link", name="Day board").click()
    expect(page.get_by_role("heading", name="Waiting for an answer")).to_be_visible()
    watched.axe()
    watched.fits()
    watched.open(f"/admin/bookings/booking/?q={reference}")
    page.locator("#result_list tbody th a").first.click()
    expect(page.get_by_role("heading", name=f"Booking {reference}")).to_be_visible()
    watched.axe(best_practice=False)
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("Confirmed", exact=True).first).to_be_visible()
    assert "Confirmed" in patient.get("/booking/").text
    assert "Waiting for the clinic" not in patient.get("/booking/").text


def test_an_editor_changes_a_page_and_publishes_it(visit, site, logins):
    public = Visitor(site.port)
    words = "This sentence was changed in the admin."
    assert words not in public.get("/conditions/restless-legs/").text

    editor = visit(DESKTOP)
    page = sign_in(editor, logins, "editor")
    editor.axe(best_practice=False)
    editor.open("/admin/conditions/page/")
    editor.axe(best_practice=False)
    page.get_by_role("link", name="Restless legs").first.click()
    lead = page.get_by_label("Lead", exact=False).first
    lead.fill(f"{lead.input_value()} {words}")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_label("Lead", exact=False).first).to_have_value(lead.input_value())
    assert words not in public.get("/conditions/restless-legs/").text, "a draft never leaks"
    page.get_by_role("button", name="Send for review").click()
    expect(page.locator(".messagelist")).to_be_visible()
    editor.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    page.get_by_role("link", name="Compare with edition").click()
    expect(page.get_by_role("heading", name="Other words")).to_be_visible()
    expect(page.locator("ins").get_by_text(words)).to_be_visible()
    editor.axe()
    editor.fits()
    editor.page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    editor.open("/admin/conditions/edition/?q=restless-legs")
    page.locator("#result_list tbody th a").first.click()
    edition = page.url.partition(editor.origin)[2]
    expect(page.get_by_role("button", name="Sign", exact=True)).to_have_count(0)

    reviewer = visit(DESKTOP)
    page_r = sign_in(reviewer, logins, "reviewer")
    reviewer.open(edition)
    page_r.get_by_label("I have read the whole text", exact=False).check()
    page_r.get_by_role("button", name="Sign", exact=True).click()
    expect(page_r.locator(".messagelist")).to_be_visible()
    assert words not in public.get("/conditions/restless-legs/").text

    editor.open(edition)
    page.get_by_role("button", name="Publish").click()
    expect(page.locator(".messagelist .success")).to_be_visible()
    assert words in public.get("/conditions/restless-legs/").text


@SIZES
def test_a_manager_hands_over_and_erases_what_is_stored_about_a_person(visit, site, logins, size):
    reference, patient = request_a_time(site, 70 + size[0] % 7)
    watched = visit(size)
    page = sign_in(watched, logins, "manager")
    watched.open(f"/admin/bookings/booking/?q={reference}")
    page.locator("#result_list tbody th a").first.click()
    booking = page.url
    watched.axe(best_practice=False)
    page.get_by_role("link", name="Export what is stored").click()
    page.get_by_label("Password").fill(logins["manager"])
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("checkbox", name=reference)).to_be_checked()
    watched.axe()
    watched.fits()
    page.get_by_label("Why").select_option("asked")
    page.get_by_role("button", name="Export").click()
    expect(page.get_by_role("heading", name=reference)).to_be_visible()
    watched.axe()
    watched.fits()
    page.goto(booking)
    page.get_by_role("link", name="Erase the personal details").click()
    expect(page.get_by_text("Cancel it first")).to_be_visible()
    page.get_by_role("link", name="Back to it").click()
    page.get_by_role("link", name="Refuse").click()
    page.get_by_role("button", name="Refuse").click()
    page.get_by_role("link", name="Erase the personal details").click()
    watched.axe()
    watched.fits()
    page.get_by_label("Why").select_option("asked")
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_text("the personal details are erased")).to_be_visible()
    expect(page.get_by_text("Pat Example")).to_have_count(0)
    assert patient.get("/booking/").status == 404
