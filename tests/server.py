"""The shipped server in processes of its own, on a database of its own; and a visitor to it."""

import contextlib
import html
import http.client
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode, urlsplit, urlunsplit

ROOT = Path(__file__).resolve().parent.parent
# Compressing static files takes seconds; `serve` makes them anew when a source has changed.
KEPT_STATIC = ROOT / ".pytest_cache" / "static"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """Web processes as `manage.py serve` starts them; ``python`` runs a command beside them.

    On PostgreSQL (``pg_url`` of a server) a database is made for it and dropped in the end.
    ``like`` is a prepared server, not running, whose data and static files it begins with.
    """

    running = []  # the servers of this process

    def __init__(
        self, folder, *, pg_url="", workers=2, env=None, application="clinic.wsgi", like=None
    ):
        self.folder = Path(folder)
        self.workers, self.application = workers, application
        self.port = free_port()
        self.pg_url, self.database = pg_url, ""
        self.env = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "EMAIL_URL")}
        self.env |= {
            "VAR_DIR": str(self.folder),
            "SITE_URL": f"http://127.0.0.1:{self.port}",
            "DJANGO_SETTINGS_MODULE": "clinic.settings",
            "ABUSE_LIMITS": "false",  # visitors of a test are fast, many, and from one address
        } | (env or {})
        if pg_url:
            self.database = f"clinic_{uuid.uuid4().hex[:12]}"
            template = f" TEMPLATE {like.database}" if like else ""
            self._admin(f"CREATE DATABASE {self.database}{template}")
            parts = urlsplit(pg_url)
            self.env["DATABASE_URL"] = urlunsplit(parts._replace(path=f"/{self.database}"))
        if like:
            shutil.copytree(like.folder, self.folder, dirs_exist_ok=True)
        self.process = None

    def rows(self, sql):
        """What a query finds in the server's database, as a list of tuples; instants in UTC."""
        if self.database:
            import psycopg2

            options = "-c timezone=UTC"
            connection = psycopg2.connect(self.env["DATABASE_URL"], options=options)
        else:
            connection = sqlite3.connect(self.folder / "db.sqlite3", timeout=10)
        try:
            cursor = connection.cursor()
            cursor.execute(sql)
            found = cursor.fetchall() if cursor.description else []
            connection.commit()
            return found
        finally:
            connection.close()

    def _admin(self, sql):
        import psycopg2

        connection = psycopg2.connect(self.pg_url)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
        connection.close()

    def manage(self, *arguments, check=True):
        """Run ``manage.py`` with this server's environment; returns its output."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"manage.py {arguments[0]}: {done.stdout}\n{done.stderr}")
        return done.stdout

    def python(self, code):
        """Run Python with Django set up; returns what it prints."""
        return self.manage("shell", "-v", "0", "-c", code)

    def prepare(self):
        """Tables, static files and the starter clinic."""
        self.reuse_static()
        self.manage("serve", "--prepare")
        self._keep_static()
        return self

    def reuse_static(self):
        if KEPT_STATIC.exists():
            shutil.copytree(KEPT_STATIC, self.folder, dirs_exist_ok=True)

    def _keep_static(self):
        names = ("static", "static.fingerprint")
        new = (self.folder / names[1]).read_text()
        with contextlib.suppress(OSError):  # another process of the same run may do it, too
            if KEPT_STATIC.exists() and (KEPT_STATIC / names[1]).read_text() == new:
                return
            KEPT_STATIC.parent.mkdir(exist_ok=True)
            fresh = Path(tempfile.mkdtemp(dir=KEPT_STATIC.parent))
            shutil.copytree(self.folder / names[0], fresh / names[0])
            (fresh / names[1]).write_text(new)
            shutil.rmtree(KEPT_STATIC, ignore_errors=True)
            fresh.rename(KEPT_STATIC)

    def start(self, *, log=None):
        self.log = open(log or self.folder / "server.log", "ab")  # noqa: SIM115 - stop() closes it
        self.process = subprocess.Popen(
            self.command(), cwd=ROOT, env=self.env, stdout=self.log, stderr=self.log,
            start_new_session=True,
        )  # fmt: skip
        if self not in self.running:
            self.running.append(self)
        self.wait()
        return self

    def visitor(self):
        return Visitor(self.port)

    def command(self):
        return [
            sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1",
            "--port", str(self.port), "--workers", str(self.workers), "--blocking-threads", "4",
            "--respawn-failed-workers", "--respawn-interval", "1", "--no-access-log",
            # One that is asked to stop while it starts never hears it; without this, granian, which
            # stops all when one place dies twice, would wait for it for ever.
            "--workers-kill-timeout", "5",
            f"{self.application}:application",
        ]  # fmt: skip

    def wait(self, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.visitor().get("/health/live").status == 200:
                    return
            time.sleep(0.1)
        raise AssertionError((self.folder / "server.log").read_text()[-3000:])

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, how)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(20)
            self.log.close()
        if self in self.running:
            self.running.remove(self)
        self.process = None

    def close(self):
        self.stop()
        if self.database:
            self._admin(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
        shutil.rmtree(self.folder, ignore_errors=True)


class Answer:
    def __init__(self, response, body):
        self.status, self.headers = response.status, response.headers
        self.body = body
        self.text = body.decode("utf-8", "replace")
        self.location = response.headers.get("Location", "")


class Visitor:
    """A browser without JavaScript: cookies, forms, no redirects unless asked."""

    def __init__(self, port, timeout=30):
        self.port, self.timeout, self.cookies, self.last = port, timeout, {}, None
        # Of the forms seen last; a person who goes back after an error still has them.
        self.token = self.key = ""

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)

    def send(self, method, path, body=None, headers=None, *, stay=True):
        """Send a request and return its Answer, or None with ``stay`` off: gone before it comes."""
        connection = self.connection()
        headers = dict(headers or {})
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        try:
            connection.request(method, path, body, headers)
            if not stay:
                return None
            response = connection.getresponse()
            answer = Answer(response, response.read())
        finally:
            connection.close()
        for line in answer.headers.get_all("Set-Cookie") or []:
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        self.last = answer
        self.token = self._hidden("csrfmiddlewaretoken") or self.token
        self.key = self._hidden("key") or self.key
        return answer

    def get(self, path):
        return self.send("GET", path)

    def post(self, path, data, *, stay=True):
        """Post a form with the token of the form seen last."""
        data = {"csrfmiddlewaretoken": self.token} | data
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.send("POST", path, urlencode(data, doseq=True), headers, stay=stay)

    def _hidden(self, name):
        found = re.search(rf'name="{name}"\s+value="([^"]*)"', self.last.text)
        return html.unescape(found.group(1)) if found else ""

    def free_times(self):
        """The instants offered on the page seen last."""
        return re.findall(r'<input\s+type="radio"\s+name="start"\s+value="([^"]+)"', self.last.text)

    def up_to_check(self, *, number, start, condition="bruxism", visit_type="in_person", who=""):
        """Answer every step before the last; returns the check page."""
        self.get(f"/book/?condition={condition}")
        self.post("/book/", {"condition": condition, "visit_type": visit_type})
        self.get("/book/signs/")
        self.post("/book/signs/", {"signs": "none"})
        self.get("/book/time/")
        self.post("/book/time/", {"start": start, "practitioner": who})
        self.get("/book/details/")
        self.post("/book/details/", person(number))
        return self.get("/book/check/")

    def up_to_check_again(self, start, who=""):
        """With everything else still answered: another time; returns the check page."""
        self.post("/book/time/", {"start": start, "practitioner": who})
        return self.get("/book/check/")

    def book(self, *, stay=True):
        return self.post("/book/check/", {"key": self.key}, stay=stay)


def person(number):
    return {
        "name": f"Pat Example {number}",
        "email": f"pat{number}@example.org",
        "phone": f"+1 323 555 0{100 + number % 90:03}",
        "language": "English",
        "message": "",
        "consent": "on",
    }
