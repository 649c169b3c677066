"""What the programs connect to: NATS, a gateway, and the reference backend, without Authorize."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from faults.process import Process
from jetstream import NatsServer, free_port
from processes import status

VOLTGATE = (sys.executable, "-m", "voltgate")

_CONFIG = """
[nats]
url = {nats}
publish_timeout = 3.0
outage_close = 4.0
[registry]
required = false
[limits]
calls_per_second = 200
[drain]
grace = 0.0
[admin]
port = {admin}
[streams]
tx_max_bytes = 268435456
events_max_bytes = 268435456
commands_max_bytes = 268435456
[[listeners]]
host = "127.0.0.1"
port = {port}
allow_unauthenticated = true
"""


class Network:
    """Made by :func:`running`. ``url``: what chargers dial; ``nats``: a server that can be restarted."""

    def __init__(self, folder: Path) -> None:
        self.nats = NatsServer(folder / "nats")
        self._admin, port = free_port(), free_port()
        self.url = f"ws://127.0.0.1:{port}"
        self._config = folder / "voltgate.toml"
        self._config.write_text(_CONFIG.format(nats=json.dumps(self.nats.url), admin=self._admin, port=port))
        given = ["--config", str(self._config)]
        self.processes = [
            Process("gateway", folder / "gateway.log", [*VOLTGATE, "serve", *given]),
            Process(
                "backend", folder / "backend.log", [*VOLTGATE, "backend", *given, "--except", "Authorize"]
            ),
        ]

    async def start(self) -> None:
        apply = [*VOLTGATE, "streams", "apply", "--config", str(self._config)]
        await asyncio.to_thread(subprocess.run, apply, check=True, capture_output=True)
        for process in self.processes:
            process.start()

    async def ready(self) -> bool:
        """Whether the gateway takes chargers."""
        return (await asyncio.to_thread(status, self._admin, "/readyz"))[0] == 200

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
        self.nats.kill()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Network]:
    network = Network(folder)
    try:
        yield network
    finally:
        await asyncio.to_thread(network.stop)
