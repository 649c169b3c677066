"""What the supervisor decides without its workers; with them: tests/e2e/test_workers.py."""

import asyncio
import sys
from pathlib import Path

import pytest

from voltgate.config import Config, Listener
from voltgate.gateway.pool import sockets
from voltgate.gateway.pool.member import Argv
from voltgate.gateway.pool.supervisor import Backoff, Supervisor

# A worker that accepts at once; the second one only when it may, or it ends.
WORKER = """
import json, os, pathlib, sys, time
fd, folder, hello = int(sys.argv[2][10:]), pathlib.Path(sys.argv[1]), b""
while hello[-1:] != b"\\n":
    hello += os.read(fd, 1 << 16)
while json.loads(hello)[1]["worker"] == 1 and not (folder / "go").exists():
    if (folder / "end").exists():
        sys.exit(3)
    time.sleep(0.01)
checks = {"draining": "", "listeners": ""}
os.write(fd, json.dumps(["beat", {"checks": checks, "open": True}]).encode() + b"\\n")
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("lives", "pauses", "expectation"),
    [
        ([0] * 9, [0.5, 1, 2, 4, 8, 16, 30, 30, 30], "doubles from half a second to half a minute"),
        ([59, 59, 60, 59], [0.5, 1, 0.5, 1], "a minute of life is forgiven"),
    ],
)
def test_the_pause_before_a_restart_grows(lives: list[float], pauses: list[float], expectation: str) -> None:
    backoff = Backoff()
    for lived, pause in zip(lives, pauses, strict=True):
        assert pause * 0.75 <= backoff.after(lived) <= pause * 1.25, expectation


@pytest.mark.parametrize("then", ["go", "end"])
async def test_a_gateway_takes_chargers_when_every_worker_has_started(tmp_path: Path, then: str) -> None:
    """Else the first one gets the chargers of all. One whose first process has ended is not waited for."""
    config = Config(listeners=[Listener(host="127.0.0.1", port=0, allow_unauthenticated=True)])
    with sockets.kept(config.listeners, 2) as kept:
        supervisor = Supervisor(Argv([sys.executable, "-c", WORKER, str(tmp_path)]), kept, config)
        running = asyncio.create_task(supervisor.run())
        async with asyncio.timeout(30):
            await supervisor.opened.wait()
            while len(supervisor.readiness().pids) < 2:
                await asyncio.sleep(0)
            now = supervisor.readiness()
            assert (now.ready, now.turned_away) == (False, "workers are starting")
            await asyncio.to_thread((tmp_path / then).touch)
            await supervisor.started.wait()
        now = supervisor.readiness()
        assert (now.ready, now.turned_away) == (True, "")
        supervisor.leave()
        supervisor.kill()
        await running
