"""Databases of both kinds, each test with its own."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from voltgate.csms.ledger import store
from voltgate.csms.ledger.store import Database

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def _as_user(folder: Path, *argv: str) -> None:
    """PostgreSQL refuses to run as root."""
    user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups") if os.geteuid() == 0 else ()
    subprocess.run([*user, *argv], check=True, capture_output=True, cwd=folder)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The folder with the socket of a cluster of this process's own."""
    if not BINARIES:
        assert "CI" not in os.environ, "CI installs postgresql"
        pytest.skip("PostgreSQL is not installed (Debian package postgresql)")
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
    bin_ = BINARIES[-1]
    _as_user(folder, str(bin_ / "initdb"), "-D", f"{folder}/data", "-A", "trust", "-U", "test", "-E", "UTF8")
    control = (str(bin_ / "pg_ctl"), "-D", f"{folder}/data", "-w")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    _as_user(folder, *control, "-l", f"{folder}/log", "-o", options, "start")
    yield str(folder)
    _as_user(folder, *control, "-m", "immediate", "stop")
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new, empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'csms.db'}"
    folder = request.getfixturevalue("postgres_server")
    name = f"t{os.urandom(6).hex()}"
    psql = [str(BINARIES[-1] / "psql"), "-h", folder, "-U", "test", "-d", "postgres", "-qc"]
    subprocess.run([*psql, f"CREATE DATABASE {name}"], check=True)
    return f"postgresql://test@/{name}?host={folder}"


@pytest.fixture
def open_database(database_url: str) -> Iterator[Callable[[], Database]]:
    """Open the database, any number of times."""
    opened: list[Database] = []

    def one() -> Database:
        opened.append(store.opened(database_url))
        return opened[-1]

    yield one
    for database in opened:
        database.close()
