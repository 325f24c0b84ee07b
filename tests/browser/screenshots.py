"""Pictures of the real site: ``python -m tests.browser.screenshots``, or ``make screenshots``.

Starts the shipped server with the starter clinic and some demo bookings, drives Debian's Chromium
over it, and writes the two pictures of the README to docs/images/. With ``--all``, every main page
at 390 and 1280 pixels goes to reports/screenshots/ as well.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile
from datetime import timedelta
from itertools import cycle

from playwright.sync_api import sync_playwright

from tests.factories import make_request
from tests.server import ROOT, Server, person

IMAGES = ROOT / "docs" / "images"
REPORTS = ROOT / "reports" / "screenshots"
WIDE, NARROW = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
LARGEST = 250_000  # bytes of a picture in the README

PUBLIC = {
    "home": "/",
    "conditions": "/conditions/",
    "condition-approved": "/conditions/chronic-migraine/",
    "condition-off-label": "/conditions/bruxism/",
    "condition-advice": "/conditions/restless-legs/",
    "guide": "/guides/safety/",
    "practitioners": "/practitioners/",
    "contact": "/contact/",
    "privacy": "/privacy/",
    "accessibility": "/accessibility/",
    "lost-link": "/booking/lost/",
    "not-found": "/no-such-page/",
    "sign-in": "/account/login/",
}
PATIENTS = (
    "Nora Whitfield", "Javier Solís", "Grace Okafor", "Emre Yıldız", "Helen Marsh", "Luis Ortega",
    "Priya Raman", "Tom Becker", "Ana Lucía Paz", "Walter Finch", "Mei Tanaka", "Ruth Abrams",
)  # fmt: skip


def demo_day():
    """Book the first busy day of the coming two weeks and return it; runs inside the server's Django.

    Eight requests are confirmed and two wait, beside one person who asked to be called.
    """
    from django.utils import timezone

    from bookings.lifecycle import answers
    from clinic.models import Practitioner, VisitType
    from conditions import editions
    from tests.factories import here, slot_search

    zone, now = here().zone, timezone.now()
    by_day = {}
    today = timezone.localdate(now, zone)
    for slot in slot_search(visit_type=VisitType.PHONE).free(
        today + timedelta(1), today + timedelta(14)
    ):
        people = by_day.setdefault(timezone.localdate(slot.starts_at, zone), {})
        people.setdefault(slot.practitioner.pk, []).append(slot)
    day = next(day for day, people in sorted(by_day.items()) if len(people) >= 3)

    patients, kinds = iter(enumerate(PATIENTS)), cycle(VisitType.values)
    for slots in by_day[day].values():
        practitioner = Practitioner.objects.get(pk=slots[0].practitioner.pk)
        concerns = cycle(practitioner.conditions.all())
        for slot in slots[1:13:3][:4]:
            number, name = next(patients, (None, None))
            if number is None or number == 10:
                break
            kind, concern = next(kinds), next(concerns)
            booking = make_request(
                start=slot.starts_at,
                practitioner=practitioner,
                condition=concern,
                asked=editions.emergency_signs(concern),
                visit_type=kind if kind in practitioner.visit_types else VisitType.PHONE,
                now=now - timedelta(hours=20 - 1.5 * number),
                **_contact(number, name),
            )
            if number not in (3, 7):
                answers.confirm(booking, by="system")
    make_request(
        visit_type=VisitType.PHONE,
        call_when="Weekday mornings",
        asked=editions.emergency_signs(None),
        now=now - timedelta(hours=3),
        **_contact(11, PATIENTS[11]),
    )
    return day.isoformat()


def _contact(number, name):
    contact = person(number)
    return {
        "name": name,
        "email": contact["email"],
        "phone": contact["phone"],
        "consent_version": "demo",
    }


class Camera:
    """One page of Chromium; ``take`` writes what it shows."""

    def __init__(self, browser, address, size):
        self.address = address
        self.page = browser.new_page(viewport=size, base_url=address, reduced_motion="reduce")

    def visit(self, path):
        answer = self.page.goto(path, wait_until="networkidle")
        if answer.status >= 500:
            sys.exit(f"{path} answered {answer.status}: no picture of that.")
        self.page.evaluate("document.fonts.ready")

    def take(self, path, *, whole=False):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path, full_page=whole)

    def press_continue(self):
        self.page.locator("main form button[type=submit]").last.click()
        self.page.wait_for_load_state("networkidle")


def sign_in(camera, server):
    """As the front desk, with the password that the starter made."""
    logins = (server.folder / "staff-logins.txt").read_text()
    password = re.search(r"^frontdesk\s+(\S+)$", logins, re.MULTILINE).group(1)
    camera.visit("/admin/")
    camera.page.fill("input[name=login]", "frontdesk")
    camera.page.fill("input[name=password]", password)
    camera.press_continue()


def for_the_readme(browser, server, day):
    """The home page and the day board. Returns the files."""
    files = IMAGES / "home.png", IMAGES / "desk.png"
    camera = Camera(browser, server.env["SITE_URL"], WIDE)
    camera.visit("/")
    camera.take(files[0])
    sign_in(camera, server)
    camera.visit(f"/admin/bookings/booking/desk/?day={day}")
    camera.take(files[1])
    return files


def everything(browser, server, day):
    """Every main page and every step of booking, whole, at both widths."""
    for size in (NARROW, WIDE):
        folder = REPORTS / str(size["width"])
        camera = Camera(browser, server.env["SITE_URL"], size)
        for name, path in PUBLIC.items():
            camera.visit(path)
            camera.take(folder / f"{name}.png", whole=True)
        book(camera, folder)
        staff = Camera(browser, server.env["SITE_URL"], size)
        sign_in(staff, server)
        pages = {
            "desk-index": "/admin/",
            "desk-board": f"/admin/bookings/booking/desk/?day={day}",
            "desk-bookings": "/admin/bookings/booking/",
            "desk-phone": "/admin/bookings/booking/add/",
            "desk-messages": "/admin/bookings/message/",
        }
        for name, path in pages.items():
            staff.visit(path)
            staff.take(folder / f"{name}.png", whole=True)


def book(camera, folder):
    """Walk through the steps as a patient does, with a picture of each."""
    page = camera.page
    camera.visit("/book/?condition=bruxism")
    camera.take(folder / "book-1-concern.png", whole=True)
    page.check("input[name=visit_type][value=in_person]", force=True)
    camera.press_continue()
    camera.take(folder / "book-2-signs.png", whole=True)
    page.check("input[name=signs][value=none]", force=True)
    camera.press_continue()
    camera.take(folder / "book-3-time.png", whole=True)
    page.locator("button.earliest").click()
    page.wait_for_load_state("networkidle")
    camera.press_continue()
    camera.take(folder / "book-4-details-errors.png", whole=True)
    for name, value in person(0).items():
        if name in ("name", "email", "phone"):
            page.fill(f"input[name={name}]", value)
    page.check("input[name=consent]", force=True)
    camera.press_continue()
    camera.take(folder / "book-5-check.png", whole=True)
    camera.press_continue()
    camera.take(folder / "book-6-done.png", whole=True)
    camera.visit("/booking/")
    camera.take(folder / "manage.png", whole=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="every main page, to reports/")
    choices = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        sys.exit("Chromium is missing: install the package chromium.")
    server = Server(
        tempfile.mkdtemp(prefix="clinic-pictures-"),
        env={"ABUSE_LIMITS": "false"},  # the browser here is faster than people
    )
    try:
        server.prepare().start()
        day = server.python(
            "from tests.browser.screenshots import demo_day\nprint(demo_day())"
        ).strip()
        with sync_playwright() as playwright:
            arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
            files = for_the_readme(browser, server, day)
            if choices.all:
                everything(browser, server, day)
            browser.close()
    finally:
        server.close()
    for file in files:
        size = file.stat().st_size
        print(f"{file.relative_to(ROOT)}: {size // 1000} kB")
        if size > LARGEST:
            sys.exit(f"{file.name} is larger than {LARGEST // 1000} kB.")


if __name__ == "__main__":
    main()
