"""A PostgreSQL cluster that tests may hurt. It ends with the test's process."""

import os
import shutil
import subprocess
from pathlib import Path

import psutil
import pytest

from faults.process import Process
from jetstream import until

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


class PostgresServer(Process):
    """On a socket in a folder of its own, with a database for whoever asks."""

    def __init__(self) -> None:
        assert BINARIES, "PostgreSQL is not installed (Debian package postgresql)"
        self.folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
        # It refuses to run as root.
        user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups") if os.geteuid() == 0 else ()
        if user:
            os.chown(self.folder, 65534, 65534)
        self._bin, data = BINARIES[-1], f"{self.folder}/data"
        initdb = [str(self._bin / "initdb"), "-D", data, "-A", "trust", "-U", "test", "-E", "UTF8"]
        subprocess.run([*user, *initdb], check=True, capture_output=True, cwd=self.folder)
        command = [
            *user, str(self._bin / "postgres"), "-D", data, "-c", "listen_addresses=",
            "-c", f"unix_socket_directories={self.folder}", "-c", "fsync=off",
        ]  # fmt: skip
        super().__init__("PostgreSQL", self.folder / "log", command)

    def start(self) -> None:
        """Start it; it answers afterwards."""
        super().start()
        ready = [str(self._bin / "pg_isready"), "-q", "-h", str(self.folder)]
        until(lambda: subprocess.run(ready, check=False).returncode == 0, "PostgreSQL answers")

    def kill(self) -> int:
        """SIGKILL to it and to its children, which would keep the next one from its memory."""
        children = self.process.children(recursive=True) if self.runs else []
        code = super().kill()
        for child in children:
            if child.is_running():
                child.kill()
        psutil.wait_procs(children, 10)
        return code

    def remove(self) -> None:
        """It leaves nothing."""
        self.kill()
        shutil.rmtree(self.folder)

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"t{os.urandom(6).hex()}"
        psql = [str(self._bin / "psql"), "-h", str(self.folder), "-U", "test", "-d", "postgres", "-qc"]
        subprocess.run([*psql, f"CREATE DATABASE {name}"], check=True)
        return f"postgresql://test@/{name}?host={self.folder}"


def installed() -> None:
    """Skip the test where there is no PostgreSQL, but not in CI."""
    if not BINARIES:
        assert "CI" not in os.environ, "CI installs postgresql"
        pytest.skip("PostgreSQL is not installed (Debian package postgresql)")
