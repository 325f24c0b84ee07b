"""Prepare the database and the static files, then run the web server and the worker together.

What `make run` calls. The two children live and die with this process: it restarts a child that
ends by itself, gives up with a message when that does not help, and passes on SIGTERM and SIGINT.
"""

import contextlib
import ctypes
import errno
import hashlib
import http.client
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.checks import Tags
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor

from clinic import starter_clinic
from clinic.database_waiting import THREADS

WEB_PROCESSES = 2
READY_SECONDS = 30
STOP_SECONDS = 12  # requests in progress may take this long; a page takes no second
GIVE_UP_AFTER = 5  # ends of one child within a minute
PR_SET_PDEATHSIG = 1


class Command(BaseCommand):
    help = "Prepare everything and run the site: web server and worker."

    def add_arguments(self, parser):
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument(
            "--prepare", action="store_true", help="Only prepare; do not start anything."
        )
        parser.add_argument(
            "--demo-week", action="store_true", help="On loopback, show the demo clinic at work."
        )

    def handle(self, *, host, port, prepare, demo_week, **options):
        if not prepare:
            refuse_open_door(host)
            refuse_busy_port(host, port)
        self.prepare()
        if demo_week and settings.ON_LOOPBACK:
            call_command("load_demo_week", verbosity=0)
        if prepare:
            return
        connections.close_all()
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        children = Children(commands(host, port), environment(address), self.stderr.write)
        children.start()
        try:
            wait_until_it_answers(host, port, children)
            self.announce(address)
            children.watch()
        finally:
            children.stop()
        self.stdout.write("Stopped.")

    def prepare(self):
        """Bring database and static files up to date; quick when nothing changed."""
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self.stdout.write("Preparing the database …")
            call_command("migrate", interactive=False, verbosity=0, skip_checks=False)
        call_command("createcachetable", verbosity=0)
        self.check(tags=[Tags.database], databases=["default"])
        collect_static_files(self.stdout.write)
        call_command("load_starter", verbosity=0, stdout=self.stdout)

    def announce(self, address):
        site = settings.SITE_URL if "SITE_URL" in os.environ else address
        lines = ["", f"  The site    {site}/", f"  Admin       {site}/admin/"]
        logins = starter_clinic.logins_path()
        if logins.exists() and settings.ON_LOOPBACK:
            lines += ["", "  Staff sign-ins (demo accounts, on this machine only)"]
            lines += [f"    {line}" for line in logins.read_text().splitlines()]
        if getattr(settings, "EMAIL_FILE_PATH", None):
            lines += ["", f"  Mails are written to {settings.EMAIL_FILE_PATH}/"]
        else:
            lines += ["", f"  Mails go to {settings.EMAIL_HOST}:{settings.EMAIL_PORT}"]
        lines += ["", "  Stop with Ctrl-C.", ""]
        self.stdout.write("\n".join(lines))
        self.stdout.flush()


def refuse_open_door(host):
    """Raise CommandError for an address that others can reach while SITE_URL has no https."""
    with contextlib.suppress(ValueError):
        if host == "localhost" or ipaddress.ip_address(host).is_loopback:
            return
    if not settings.HTTPS:
        raise CommandError(
            f"HOST={host} can be reached from outside this machine, and SITE_URL is not https.\n"
            "Health data must not travel in the clear. Put a proxy with TLS in front and set\n"
            "SITE_URL=https://your.clinic, or leave HOST at 127.0.0.1 to try the site."
        )


def refuse_busy_port(host, port):
    """Raise CommandError when nothing can listen at this address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CommandError(
                    f"Port {port} is in use. Stop what uses it, or choose another: "
                    f"make run PORT={port + 1}"
                ) from error
            raise CommandError(f"Cannot listen on {host}:{port}: {error.strerror}.") from error


def static_fingerprint():
    """Return a digest of name, size and time of every static source file."""
    digest = hashlib.sha256(settings.STORAGES["staticfiles"]["BACKEND"].encode())
    for finder in get_finders():
        for path, storage in finder.list(ignore_patterns=None):
            stat = os.stat(storage.path(path))
            digest.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def collect_static_files(say):
    """Run collectstatic unless its sources are as they were the last time."""
    mark = settings.VAR_DIR / "static.fingerprint"
    fingerprint = static_fingerprint()
    manifest = settings.STATIC_ROOT / "staticfiles.json"
    if manifest.exists() and mark.exists() and mark.read_text() == fingerprint:
        return
    say("Collecting static files …")
    shutil.rmtree(settings.STATIC_ROOT, ignore_errors=True)
    call_command("collectstatic", interactive=False, verbosity=0)
    mark.write_text(fingerprint)


def commands(host, port):
    """Return the command line of each child by name."""
    return {
        "web server": [
            sys.executable, "-m", "granian", "clinic.wsgi:application",
            "--interface", "wsgi", "--http", "1", "--no-ws",
            "--host", host, "--port", str(port),
            "--workers", str(WEB_PROCESSES), "--blocking-threads", str(THREADS),
            "--backlog", "1024", "--respawn-failed-workers", "--respawn-interval", "1",
            "--workers-kill-timeout", str(STOP_SECONDS - 4), "--http1-header-read-timeout", "10000",
            "--no-access-log", "--log-level", "warning",
        ],
        "worker": [sys.executable, "manage.py", "run_worker"],
    }  # fmt: skip


def environment(address):
    """Return the children's environment: ours, with the site's address where none is set."""
    return os.environ | {
        "SITE_URL": os.environ.get("SITE_URL") or address,
        "VAR_DIR": str(settings.VAR_DIR),
        "PYTHONUNBUFFERED": "1",
    }


def _end_with_parent():
    """Let Linux end this child when the process that started it is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Children:
    """The two child processes, each leader of a group of its own."""

    def __init__(self, commands, environment, say):
        self.commands, self.environment, self.say = commands, environment, say
        self.running, self.ends = {}, {name: [] for name in commands}
        self.stopping = False

    def start(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_stop)
        for name in self.commands:
            self._start(name)

    def _start(self, name):
        self.running[name] = subprocess.Popen(  # noqa: S603 - our own command lines
            self.commands[name],
            cwd=settings.BASE_DIR,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # safe: this process has one thread
        )

    def _asked_to_stop(self, number, frame):
        self.stopping = True

    def watch(self):
        """Until asked to stop: start again what ended. CommandError when that does not help."""
        while not self.stopping:
            self.look_after()
            time.sleep(0.2)

    def look_after(self):
        for name, process in list(self.running.items()):
            if process.poll() is None or self.stopping:
                continue
            now = time.monotonic()
            self.ends[name] = [at for at in self.ends[name] if now - at < 60] + [now]
            if len(self.ends[name]) >= GIVE_UP_AFTER:
                raise CommandError(f"The {name} keeps ending (status {process.returncode}).")
            self.say(f"The {name} ended (status {process.returncode}); starting it again.")
            _signal_group(process, signal.SIGKILL)  # what it may have left behind
            time.sleep(0.5 * len(self.ends[name]))
            self._start(name)

    def stop(self):
        """End both, waiting for requests and mails in progress; then without asking."""
        for process in self.running.values():
            if process.poll() is None:
                process.terminate()
        until = time.monotonic() + STOP_SECONDS
        for name, process in self.running.items():
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.say(f"The {name} did not stop in time.")
            _signal_group(process, signal.SIGKILL)
            process.wait()


def _signal_group(process, number):
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def wait_until_it_answers(host, port, children):
    """Return when the web server answers. CommandError when it does not within READY_SECONDS."""
    until = time.monotonic() + READY_SECONDS
    name = settings.ALLOWED_HOSTS[0].lstrip(".").replace("*", "localhost")
    while not children.stopping:
        children.look_after()
        visit = http.client.HTTPConnection(host, port, timeout=2)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(visit):
            visit.request("GET", "/health/live", headers={"Host": name})
            visit.getresponse()
            return
        if time.monotonic() > until:
            raise CommandError(f"The web server did not answer on {host}:{port}.")
        time.sleep(0.1)
