"""What the programs connect to: NATS, a gateway, and the reference backend, without Authorize."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from faults.process import Process
from jetstream import NatsServer, free_port
from processes import VOLTGATE, run_voltgate, status

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
        config = folder / "voltgate.toml"
        config.write_text(_CONFIG.format(nats=json.dumps(self.nats.url), admin=self._admin, port=port))
        self._given = ["--config", str(config)]
        backend = [*VOLTGATE, "backend", *self._given, "--except", "Authorize"]
        self.processes = [
            Process("gateway", folder / "gateway.log", [*VOLTGATE, "serve", *self._given]),
            Process("backend", folder / "backend.log", backend),
        ]

    async def start(self) -> None:
        await asyncio.to_thread(run_voltgate, "streams", "apply", *self._given)
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
