"""A patient at a browser of their own, who takes as long as people take."""

import re
from datetime import timedelta

from bookings import manage_links
from bookings.models import ManageLink
from tests.bookings.conftest import FormClient

NINE = "2027-01-04T17:00:00Z"
PERSON = {
    "name": "Ayşe Demir",
    "email": "ayse@example.org",
    "phone": "+1 323 555 0119",
    "language": "English",
    "message": "",
    "consent": "on",
}


def answer(client, *, start=NINE, person=PERSON, until="check", condition="jaw-pain"):
    """Go through the steps before ``until``."""
    client.post("/book/", {"condition": condition, "visit_type": "in_person"})
    client.post("/book/signs/", {"signs": "none"})
    if until == "time":
        return client.get("/book/time/")
    client.post("/book/time/", {"start": start})
    if until == "details":
        return client.get("/book/details/")
    client.post("/book/details/", person)
    return client.get("/book/check/")


def key_of(page):
    return re.search(r'name="key"\s+value="([^"]+)"', page.content.decode()).group(1)


class Guest:
    """Somebody at a browser: their network, who they are, and how long they take."""

    def __init__(self, clock, number=0, *, network=None, pause=10, **person):
        self.clock, self.pause = clock, pause
        self.client = FormClient(REMOTE_ADDR=network or f"198.51.{number % 250}.7")
        self.person = {
            "name": f"Guest {number}",
            "email": f"guest{number}@example.org",
            "phone": f"+1 323 555 {number:04}",
            "language": "English",
            "message": f"Note {number}",
            "website": "",
            "consent": "on",
        } | person

    def wait(self, seconds=None):
        self.clock.shift(timedelta(seconds=self.pause if seconds is None else seconds))

    def send(self, step, data):
        """Look at a page, take the time that one takes, and send its form."""
        self.client.get(f"/book/{step}")
        self.wait()
        return self.client.post(f"/book/{step}", data)

    def choose(self, start=None):
        self.send("", {"condition": "jaw-pain", "visit_type": "in_person"})
        self.send("signs/", {"signs": "none"})
        return start and self.send("time/", {"start": f"{start:%Y-%m-%dT%H:%M:%SZ}"})

    def press(self):
        page = self.client.get("/book/check/").content.decode()
        self.key = re.search(r'name="key"\s+value="([^"]+)"', page).group(1)
        self.wait()
        return self.client.post("/book/check/", {"key": self.key})

    def book(self, start):
        """The whole way; returns the answer to the last press."""
        self.choose(start)
        self.send("details/", self.person)
        return self.press()

    def ask_for_call(self, **person):
        self.choose()
        return self.send("call/", self.person | {"call_when": "Mornings"} | person)

    def made(self):
        browser = manage_links.browser_digest(self.client.session)
        return ManageLink.objects.filter(browser=browser).order_by("-pk").first().booking

    def page(self, path):
        return self.client.get(path).content.decode()
