"""``make locust``: a gateway of its own, Locust without its web page against it, and the report that stays.

Run: ``python benchmarks/locusts.py [--users 200] [--seconds 30] [--host ws://...]``. Further options are
Locust's. The exit code is Locust's: 1 if a threshold does not hold.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HERE = Path(__file__).parent
REPORT = HERE.parent / ".cache" / "locust.html"
START_SECONDS, STOP_SECONDS = 60.0, 30.0
# Wide enough for a busy machine of two cores; a gateway that stands still for a moment misses them.
THRESHOLDS = ("CALL.p99_ms<2000", "connect.p99_ms<4000", "command.p99_ms<2000", "error_share<0.02")


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description="Run Locust against a gateway that this program starts.")
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--host", help="a running gateway, instead of one that is started here")
    parser.add_argument("--nats", default="", help="NATS of --host, for commands")
    parser.add_argument("--threshold", action="append", help=f"default: {', '.join(THRESHOLDS)}")
    parser.add_argument("--html", type=Path, default=REPORT)
    given, more = parser.parse_known_args()
    if given.host:
        return _locust(given, given.host, given.nats, more)
    with gateway() as (host, nats):
        return _locust(given, host, nats, more)


def _locust(given: argparse.Namespace, host: str, nats: str, more: list[str]) -> int:
    given.html.parent.mkdir(parents=True, exist_ok=True)
    thresholds = given.threshold or [one for one in THRESHOLDS if nats or not one.startswith("command")]
    options = {
        "--locustfile": HERE / "locustfile.py",
        "--host": host,
        "--users": given.users,
        "--spawn-rate": max(given.users / 10, 1),
        "--run-time": f"{given.seconds}s",
        "--processes": given.processes,
        "--html": given.html,
        "--nats": nats,
    }
    command = [sys.executable, "-m", "locust", "--headless", "--only-summary", *more]
    command += [f"{name}={value}" for name, value in options.items()]
    command += [f"--threshold={one}" for one in thresholds]
    code = subprocess.run(command, check=False).returncode
    print(f"report: {given.html}", file=sys.stderr)
    return code


@contextmanager
def gateway() -> Iterator[tuple[str, str]]:
    """`voltgate dev` with a data folder of its own: the URL of the gateway, and that of NATS."""
    port, admin, nats = _free(3)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VOLTGATE_")}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "voltgate", "dev", f"--port={port}", f"--admin-port={admin}"]
        command += [f"--nats-port={nats}", f"--data-dir={folder}/data", "--no-csms"]
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            _ready(process, f"http://127.0.0.1:{admin}/readyz", Path(folder, "log"))
            yield f"ws://127.0.0.1:{port}/ocpp", f"nats://127.0.0.1:{nats}"
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)


def _ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(url, timeout=1):
            return
        time.sleep(0.1)
    sys.exit(f"the gateway does not start:\n{log.read_text()}")


def _free(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


if __name__ == "__main__":
    sys.exit(main())
