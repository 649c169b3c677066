"""A whole network for the pages: ``voltgate dev`` as a process, and obedient chargers in a thread."""

import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from jetstream import free_port
from processes import PATIENCE, Voltgate
from scripted_csms import QUICK
from voltgate.charger import Charger, Endpoint, Settings

T = TypeVar("T")

# No vehicles come by themselves: what charges was started by a test.
OBEDIENT = replace(QUICK, second=1.0, meter_interval=0.5)
VERSIONS = ("v16", "v201", "v21")


class Crew:
    """Simulated chargers on a loop of their own: Playwright's synchronous API has the test's thread."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.chargers: dict[str, Charger] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Something else, on their loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def start(self, identity: str, version: str = "v16") -> Charger:
        """A charger that dials the gateway."""

        async def begin() -> Charger:
            charger = Charger(
                Settings(
                    identity=identity,
                    version=version,
                    endpoints=[Endpoint(url=self.url)],
                    behaviour=OBEDIENT,
                )
            )
            charger.start()
            return charger

        self.chargers[identity] = self.run(begin())
        return self.chargers[identity]

    def stop(self, identity: str) -> None:
        """It leaves."""
        self.run(self.chargers.pop(identity).stop())

    def close(self) -> None:
        """All leave."""
        for identity in [*self.chargers]:
            self.stop(identity)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()


@dataclass(frozen=True)
class Network:
    """What a module of tests shares. ``url``: of the console."""

    process: Voltgate
    url: str
    port: int
    nats_port: int
    crew: Crew
    folder: Path

    def link(self, role: str = "admin", name: str = "boss") -> str:
        """A login link of a person."""
        return self.voltgate("csms", "link", name, "--role", role)

    def voltgate(self, *arguments: str) -> str:
        """What a command of the CSMS prints."""
        environment = {
            "VOLTGATE_NATS__URL": f"nats://127.0.0.1:{self.nats_port}",
            "VOLTGATE_CSMS__PUBLIC_URL": self.url,
            "PATH": "/usr/bin:/bin",
        }
        command = [sys.executable, "-m", "voltgate", *arguments]
        done = subprocess.run(command, env=environment, cwd=self.folder, stdout=subprocess.PIPE, check=True)
        return done.stdout.decode().strip()


@contextmanager
def network(folder: Path, chargers: int) -> Iterator[Network]:
    """Gateway, NATS, backend, ledger and console, and chargers ``CP001`` and so on, for the block."""
    port, admin, nats_port, csms = (free_port() for _ in range(4))
    ports = {"--port": port, "--admin-port": admin, "--nats-port": nats_port, "--csms-port": csms}
    arguments = [str(word) for pair in ports.items() for word in pair]
    process = Voltgate(
        folder, "dev", *arguments, "--data-dir", str(folder / "data"),
        VOLTGATE_CSMS__SETTLE_AFTER="1",
    )  # fmt: skip
    crew = Crew(f"ws://127.0.0.1:{port}/ocpp")
    try:
        process.until(lambda: "/login?link=" in process.out, "the banner")
        for number in range(chargers):
            crew.start(f"CP{number + 1:03}", VERSIONS[number % len(VERSIONS)])
        (url,) = re.findall(r"(http://127\.0\.0\.1:\d+)/login\?link=", process.out)
        yield Network(process, url, port, nats_port, crew, folder)
    finally:
        crew.close()
        process.process.terminate()
        process.process.wait(PATIENCE)
