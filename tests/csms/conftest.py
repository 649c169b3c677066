"""Databases of both kinds, each test with its own."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jetstream import until
from voltgate.csms.ledger import store
from voltgate.csms.ledger.store import Database

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


# The shell is the server's parent: its end of the pipe closes however the test's process ends.
_KEEPER = '"$@" >>"$0" 2>&1 & read -r _; kill -QUIT $!; wait $!'


def _user() -> tuple[str, ...]:
    """PostgreSQL refuses to run as root."""
    return ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups") if os.geteuid() == 0 else ()


def _as_user(folder: Path, *argv: str) -> None:
    subprocess.run([*_user(), *argv], check=True, capture_output=True, cwd=folder)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The folder with the socket of a cluster of this process's own."""
    if not BINARIES:
        assert "CI" not in os.environ, "CI installs postgresql"
        pytest.skip("PostgreSQL is not installed (Debian package postgresql)")
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
    bin_, data = BINARIES[-1], f"{folder}/data"
    _as_user(folder, str(bin_ / "initdb"), "-D", data, "-A", "trust", "-U", "test", "-E", "UTF8")
    server = [
        *_user(), str(bin_ / "postgres"), "-D", data, "-c", "listen_addresses=",
        "-c", f"unix_socket_directories={folder}", "-c", "fsync=off",
    ]  # fmt: skip
    pipe = subprocess.PIPE
    keeper = subprocess.Popen(
        ["sh", "-c", _KEEPER, f"{folder}/log", *server], stdin=pipe, stdout=pipe, text=True, cwd=folder
    )
    ready = [str(bin_ / "pg_isready"), "-q", "-h", str(folder)]
    until(lambda: subprocess.run(ready, check=False).returncode == 0, "PostgreSQL answers")
    yield str(folder)
    keeper.communicate()  # closes its input
    shutil.rmtree(folder)


@pytest.fixture
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Make a new, empty database, ``sqlite`` or ``postgres``, and give its URL."""

    def url(kind: str) -> str:
        name = f"t{os.urandom(6).hex()}"
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / name}.db"
        folder = request.getfixturevalue("postgres_server")
        psql = [str(BINARIES[-1] / "psql"), "-h", folder, "-U", "test", "-d", "postgres", "-qc"]
        subprocess.run([*psql, f"CREATE DATABASE {name}"], check=True)
        return f"postgresql://test@/{name}?host={folder}"

    return url


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, new_database: Callable[[str], str]) -> str:
    """A new, empty database."""
    return new_database(request.param)


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
