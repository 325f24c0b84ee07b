"""Every public page: no violation of the accessibility rules, light and dark; nothing too wide."""

import pytest

from tests.browser.conftest import DESKTOP, PHONE, Quiet

CONDITIONS = [
    "bruxism", "sleep-apnea", "chronic-migraine", "tmj-disorders", "overactive-bladder",
    "upper-limb-spasticity", "cervical-dystonia", "myofascial-pain", "restless-legs",
]  # fmt: skip
GUIDES = [
    "botulinum-toxin-and-sleep", "botulinum-toxin-for-chronic-pain", "how-it-works",
    "is-it-right-for-me", "your-free-consultation", "safety",
]  # fmt: skip
PAGES = [
    "/", "/conditions/", *(f"/conditions/{slug}/" for slug in CONDITIONS),
    *(f"/guides/{slug}/" for slug in GUIDES),
    "/practitioners/", "/contact/", "/privacy/", "/accessibility/", "/book/", "/book/urgent/",
    "/booking/lost/", "/booking/", "/account/login/",
]  # fmt: skip


@pytest.mark.parametrize(
    ("size", "dark"),
    [(PHONE, False), (DESKTOP, True)],
    ids=["phone-light", "desktop-dark"],
)
def test_every_page(visit, size, dark):
    watched = visit(size, dark=dark)
    watched.complaints = Quiet()
    for path in PAGES:
        watched.open(path)
        watched.axe()
        watched.fits()


def test_320_pixels(visit):
    watched = visit((320, 640))
    watched.complaints = Quiet()
    for path in PAGES:
        watched.open(path)
        watched.fits()


def test_text_twice_as_large_on_a_phone(visit):
    """Whoever sets their browser's text to 200 % scrolls no page sideways; a table has its box."""
    watched = visit(PHONE)
    watched.complaints = Quiet()
    for path in PAGES:
        watched.open(path)
        watched.page.evaluate(
            """() => {
                const larger = new CSSStyleSheet();
                larger.replaceSync("html {font-size: 200%}");
                document.adoptedStyleSheets = [larger];
            }"""
        )
        watched.fits()


def test_help_is_in_the_same_place_on_each_step(visit):
    watched = visit(DESKTOP)
    places = set()
    for path in ("/book/", "/booking/lost/", "/book/urgent/"):
        watched.open(path)
        box = watched.page.locator("header a[href^='tel:']").bounding_box()
        places.add((round(box["x"]), round(box["y"])))
    assert len(places) == 1
