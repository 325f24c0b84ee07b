"""What every page and mail says: ``python -m tests.walk FOLDER [--without class,style]``.

For changes of structure that must change nothing else: walk before and after, and compare the two
folders with ``diff -r``. Time stands still and secrets are replaced by X, so two walks of the same
code write the same files. Pages are written as their elements and texts, one a line, attributes in
order, with runs of spaces as one; mails and calendar files as they are. Nothing here asserts.
"""

import argparse
import logging
import os
import random
import re
import shutil
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from email import policy
from email.parser import BytesParser
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

NOW = datetime(2026, 11, 25, 18, 30, tzinfo=UTC)  # a Wednesday morning at the clinic
MOST_OF_ONE_PATTERN = 3  # pages of one view, of a role, with other numbers in the address

SECRETS = (
    (r"[A-Za-z0-9_-]{43,}(:[A-Za-z0-9_-]+)*", "X"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "X"),
    (r"(/static/[^\"'? ]*?)\.[0-9a-f]{12}(\.\w+)", r"\1\2"),
    (r"\b[0-9a-f]{32,}\b", "X"),
)
SECRET_FIELDS = {"csrfmiddlewaretoken", "key", "nonce", "initial-key", "_popup_key"}

PUBLIC = [
    "/",
    "/conditions/",
    "/guides/your-free-consultation/",
    "/guides/safety/",
    "/guides/how-it-works/",
    "/practitioners/",
    "/contact/",
    "/privacy/",
    "/accessibility/",
    "/booking/lost/",
    "/booking/",
    "/no-such-page/",
    "/account/login/",
    "/account/password/reset/",
    "/robots.txt",
    "/sitemap.xml",
    "/book/urgent/",
    "/book/done/",
    "/book/time/",
    "/book/call/",
    "/conditions/no-such-condition/",
    "/tr/conditions/",
    "/health/ready",
]
ROLES = "manager", "frontdesk", "practitioner", "editor", "reviewer", "owner"
PATIENT = {
    "name": "Wanda Walker", "email": "wanda@walker.example", "phone": "+1 323 555 0199",
    "patient_timezone": "America/Los_Angeles", "consent": "on", "call_when": "Mornings",
    "language": "English",
}  # fmt: skip


class _Lines(HTMLParser):
    """The elements and texts of a page, one a line."""

    def __init__(self, without):
        super().__init__(convert_charrefs=True)
        self.without, self.lines = set(without), []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if attrs.get("name") in SECRET_FIELDS:
            attrs["value"] = "X"
        if "nonce" in attrs:
            attrs["nonce"] = "X"
        if "class" in attrs:
            attrs["class"] = " ".join(sorted((attrs["class"] or "").split()))
        kept = sorted((k, v) for k, v in attrs.items() if k not in self.without)
        self.lines.append(" ".join([f"<{tag}", *(f'{k}="{v}"' for k, v in kept)]) + ">")

    def handle_endtag(self, tag):
        self.lines.append(f"</{tag}>")

    def handle_data(self, data):
        text = " ".join(data.split())
        if text:
            self.lines.append(text)


def _plain(text):
    for secret, instead in SECRETS:
        text = re.sub(secret, instead, text)
    return text


class Walk:
    """Writes every answer to a file named for who asked and for what."""

    def __init__(self, folder, without):
        self.folder, self.without = folder, without

    def write(self, who, name, response):
        kind = response.get("Content-Type", "")
        body = b"".join(response) if response.streaming else response.content
        text = body.decode(errors="replace")
        if kind.startswith("text/html"):
            page = _Lines(self.without)
            page.feed(text)
            text = "\n".join(page.lines)
        head = f"{response.status_code} {kind} {response.get('Location', '')}"
        self.save(who, name, f"{head}\n{text}\n")
        return response

    def save(self, who, name, text):
        name = re.sub(r"[^a-z0-9.-]+", "_", name.lower()).strip("_")[:120] or "home"
        path = self.folder / who / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_plain(text))


def form_client():
    """A client that posts forms as browsers do; the site takes no files."""
    from django.test import Client

    class FormClient(Client):
        def post(self, path, data=None, **more):
            kind = "application/x-www-form-urlencoded"
            return super().post(path, urlencode(data or {"sent": ""}), content_type=kind, **more)

    return FormClient()


def _hidden(page, *names):
    found = {}
    for name in names:
        match = re.search(rf'name="{name}"[^>]*value="([^"]*)"', page)
        if match:
            found[name] = match.group(1)
    return found


def public(walk, client):
    """Every public page, with the condition pages that the index names."""
    paths = list(PUBLIC)
    index = client.get("/conditions/").content.decode() + client.get("/").content.decode()
    paths += sorted(set(re.findall(r'href="(/(?:conditions|guides)/[a-z-]+/)"', index)))
    for path in dict.fromkeys(paths):
        walk.write("public", path, client.get(path))


def booking(walk, client, name, concern="bruxism", visit="video", signs="none"):
    """One way through the steps with their refusals; True if it ended in a request."""
    who = f"book-{name}"
    walk.write(who, "1 start", client.get("/book/"))
    walk.write(who, "1 nothing chosen", client.post("/book/", {}))
    client.post("/book/", {"condition": concern, "visit_type": visit})
    walk.write(who, "2 signs", client.get("/book/signs/"))
    walk.write(who, "2 nothing chosen", client.post("/book/signs/", {}))
    answer = walk.write(who, "2 answered", client.post("/book/signs/", {"signs": signs}))
    if signs == "yes":
        walk.write(who, "2 urgent", client.get(answer["Location"]))
        return
    page = walk.write(who, "3 times", client.get("/book/time/")).content.decode()
    walk.write(who, "3 nothing chosen", client.post("/book/time/", {}))
    starts = re.findall(r'name="start"[^>]*value="([^"]+)"|value="([^"]+)"[^>]*name="start"', page)
    start = list(filter(None, sum(starts, ())))[-1]  # far enough away to be changed
    walk.write(who, "3 chosen", client.post("/book/time/", {"start": start}))
    walk.write(who, "4 details", client.get("/book/details/"))
    walk.write(who, "4 nothing typed", client.post("/book/details/", {}))
    typed = PATIENT | {"email": f"{name}@walker.example", "phone": "+1 323 555 01" + name[:2]}
    walk.write(who, "4 typed", client.post("/book/details/", typed))
    page = walk.write(who, "5 check", client.get("/book/check/")).content.decode()
    walk.write(who, "5 sent", client.post("/book/check/", _hidden(page, "key")))
    walk.write(who, "6 done", client.get("/book/done/"))


def call_back(walk, client):
    client.post("/book/", {"condition": "other", "visit_type": "phone"})
    client.post("/book/signs/", {"signs": "none"})
    page = walk.write("call", "1", client.get("/book/call/")).content.decode()
    walk.write("call", "1 nothing typed", client.post("/book/call/", _hidden(page, "key")))
    walk.write("call", "1 sent", client.post("/book/call/", PATIENT | _hidden(page, "key")))
    walk.write("call", "2 done", client.get("/book/done/"))


def manage(walk, client, name):
    """The manage page of the browser that just booked, and its changes."""
    who = f"manage-{name}"
    for path in ("", "choose/", "reschedule/", "cancel/", "prove/", "calendar.ics"):
        walk.write(who, f"booking {path}", client.get(f"/booking/{path}"))
    walk.write(who, "reminders", client.post("/booking/reminders/", {}))
    page = client.get("/booking/reschedule/").content.decode()
    start = re.findall(r'name="start"[^>]*value="([^"]+)"|$', page)[0]
    walk.write(who, "moved", client.post("/booking/reschedule/", {"start": start}, follow=True))
    walk.write(who, "cancelled", client.post("/booking/cancel/", {"reason": ""}))
    walk.write(who, "after", client.get("/booking/"))
    walk.write(who, "signed out", client.post("/booking/sign-out/"))


def staff(walk, client, role):
    """Every page that links lead to from the first page of a role's admin, some of each view."""
    from django.urls import Resolver404, resolve

    waiting, seen, patterns = ["/admin/", "/account/2fa/", "/account/sessions/"], set(), {}
    while waiting:
        path = waiting.pop(0)
        bare = path.split("?")[0]
        if path in seen or "logout" in path or "jsi18n" in path:
            continue
        seen.add(path)
        try:
            pattern = resolve(bare).view_name + ("?" if "?" in path else "")
        except Resolver404:
            continue
        patterns[pattern] = patterns.get(pattern, 0) + 1
        if patterns[pattern] > MOST_OF_ONE_PATTERN:
            continue
        response = walk.write(f"staff-{role}", path, client.get(path))
        if response.status_code == 200 and "html" in response["Content-Type"]:
            found = re.findall(r'href="([^"#]+)', response.content.decode())
            for link in found:
                link = re.sub(r"[?&]_changelist_filters=[^&]*$", "", link.replace("&amp;", "&"))
                link = bare + link if link.startswith("?") else link
                if link.startswith(("/admin/", "/account/")):
                    waiting.append(link)
        elif response.status_code == 302 and response["Location"].startswith("/admin/"):
            waiting.append(response["Location"])


def desk(walk, client):
    """Each button that the desk offers on the bookings of the week, pressed once."""
    pressed = set()
    listed = client.get("/admin/bookings/booking/?all=1").content.decode()
    for number in dict.fromkeys(re.findall(r"/admin/bookings/booking/(\d+)/change/", listed)):
        page = client.get(f"/admin/bookings/booking/{number}/change/").content.decode()
        for verb in re.findall(rf'/admin/bookings/booking/{number}/([a-z_-]+)/"', page):
            if verb in pressed or verb in ("change", "history", "delete"):
                continue
            pressed.add(verb)
            path = f"/admin/bookings/booking/{number}/{verb}/"
            walk.write("desk", f"{verb} opened", client.get(path))
            walk.write("desk", f"{verb} pressed", client.post(path, {}, follow=True))
    walk.save("desk", "pressed", "\n".join(sorted(pressed)))


def mails(walk, folder):
    """What was sent, as files of the machine's mail folder: subject, text, page, calendar file."""
    files = sorted((folder / "mail").rglob("*"), key=lambda path: path.name)
    told = []
    for path in (path for path in files if path.is_file()):
        mail = BytesParser(policy=policy.default).parsebytes(path.read_bytes())
        parts = [f"{name}: {mail[name]}" for name in ("From", "To", "Reply-To", "Subject")]
        for part in mail.walk():
            if part.get_content_maintype() == "text":
                parts += [part.get_content_type(), part.get_content()]
        told.append("\n".join(parts))
    for number, text in enumerate(sorted(told)):
        walk.save("mails", f"{number:02}", text)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("folder", type=Path)
    options.add_argument("--without", default="", help="attributes that are left out, by commas")
    asked = options.parse_args()

    folder = Path(tempfile.mkdtemp(prefix="clinic-walk-"))
    os.environ |= {"VAR_DIR": str(folder), "SITE_URL": "http://127.0.0.1:8000"}
    os.environ["DJANGO_SETTINGS_MODULE"] = "clinic.settings"
    chance = random.Random(7)
    os.urandom = random._urandom = chance.randbytes  # the same secrets in each walk

    import django
    import time_machine

    with time_machine.travel(NOW, tick=False) as traveller:
        django.setup()
        from django.contrib.auth import get_user_model
        from django.core.management import call_command
        from django.test.utils import setup_test_environment

        setup_test_environment()
        logging.disable()
        from django.conf import settings

        settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
        call_command("migrate", verbosity=0)
        call_command("load_starter", verbosity=0)
        call_command("load_demo_week", verbosity=0)

        shutil.rmtree(asked.folder, ignore_errors=True)
        walk = Walk(asked.folder, filter(None, asked.without.split(",")))
        public(walk, form_client())
        for name, how in {
            "11 video": {}, "22 phone": {"concern": "chronic-migraine", "visit": "phone"},
            "33 here": {"concern": "other", "visit": "in_person"}, "44 urgent": {"signs": "yes"},
        }.items():  # fmt: skip
            client = form_client()
            booking(walk, client, name.replace(" ", ""), **how)
            if name != "33 here":
                manage(walk, client, name)
        call_back(walk, form_client())
        for role in ROLES:
            client = form_client()
            client.force_login(get_user_model().objects.get(username=role))
            staff(walk, client, role)
        client = form_client()
        client.force_login(get_user_model().objects.get(username="frontdesk"))
        desk(walk, client)
        for later in (timedelta(0), timedelta(minutes=30), timedelta(days=1), timedelta(days=6)):
            traveller.move_to(NOW + later)
            call_command("run_worker", "--once", verbosity=0)
        mails(walk, folder)
    shutil.rmtree(folder)
    print(sum(1 for path in asked.folder.rglob("*.txt")), "files in", asked.folder)


if __name__ == "__main__":
    sys.exit(main())
