"""The processes of a run: the shipped web server, the bare one, workers, and how much they hold."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.server import ROOT, Server, free_port

CODE = "from bench import inside; inside.{}(**__import__('json').loads({!r}))"


class Site(Server):
    """A database with the starter content, and the web server exactly as ``manage.py serve`` runs it.

    The bare server runs beside it: the same command line, without middleware.
    """

    def __init__(self, folder, **options):
        super().__init__(folder, **options)
        self.bare_port = free_port()
        self.processes = []
        self.log = open(self.folder / "processes.log", "ab")  # noqa: SIM115 - closed in close()

    def inside(self, function, **values):
        """Call bench.inside.``function`` with Django set up; returns what it answers."""
        printed = self.python(CODE.format(function, json.dumps(values)))
        return json.loads(printed.strip().splitlines()[-1])

    def start(self):
        printed = self.python(
            "import json; from clinic.management.commands import serve;"
            f"print(json.dumps([serve.commands('127.0.0.1', port)['web server']"
            f" for port in ({self.port}, {self.bare_port})]))"
        )
        shipped, bare = json.loads(printed.strip().splitlines()[-1])
        self.process = self.spawn(shipped)
        bare = ["bench.bare_wsgi:application" if "wsgi:" in part else part for part in bare]
        _wait(self.process, self.port, "/health/live")
        self.bare_process = self.spawn(bare)
        _wait(self.bare_process, self.bare_port, "/ok")
        return self

    def spawn(self, command, **environment):
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.env | environment,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def worker(self, **environment):
        return self.spawn([sys.executable, "manage.py", "run_worker"], **environment)

    def end(self, process):
        """Stop one process and what it started."""
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait(20)

    def close(self):
        for process in self.processes:
            self.end(process)
        self.process = None
        self.log.close()
        super().close()


def _wait(process, port, path, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with (
            contextlib.suppress(OSError, http.client.HTTPException),
            contextlib.closing(connection),
        ):
            connection.request("GET", path, headers={"Host": "127.0.0.1"})
            if connection.getresponse().status == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"no answer on {path}, which had {seconds} s for it")


class Talk:
    """A module that answers lines with JSON, in a process of its own: the driver, the mail sink."""

    def __init__(self, module):
        self.process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self):
        return self.process.stdout.readline()

    def ask(self, **question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.line())

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.process.stdout.close()


def memory(*processes):
    """Megabytes that the processes and their children hold: (shares of shared pages, RSS added up).

    None where the system does not tell (it needs Linux).
    """
    total = {"Pss": 0, "Rss": 0}
    for process in processes:
        for pid in _family(process.pid):
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            except OSError:
                return None
            for line in lines:
                name, _, rest = line.partition(":")
                if name in total:
                    total[name] += int(rest.split()[0])
    return total["Pss"] / 1024, total["Rss"] / 1024


def cpu(pids, database):
    """Milliseconds of CPU that processes, their children and a database's sessions have used so far.

    None where the system does not tell. The sessions of a PostgreSQL on another machine are
    not seen.
    """
    total = 0
    members = [member for pid in pids for member in _family(pid)]
    for member in [*members, *_sessions(database)]:
        for task in Path(f"/proc/{member}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):  # a thread that has just ended
                total += int(task.read_text().split()[0])
    return total / 1e6 or None


def _sessions(database):
    """Processes that PostgreSQL has named after the database they work in."""
    if not database:
        return
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split()
            if words[:1] == [b"postgres:"] and database.encode() in words:
                yield int(path.parent.name)


def _family(pid):
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _family(int(child))
