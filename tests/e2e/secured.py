"""Chargers with TLS: their certificates, and mobilityhouse's client on a websocket of its own."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import ocpp.v16
import websockets
from ocpp.v16 import call
from websockets.asyncio.client import ClientConnection

from certificates import Authority, Issued
from e2e.logins import login

OPERATOR = "Operator"
# What a charger sees of a handshake that failed: an alert, a reset, or the end of the stream.
CUT_OFF = (OSError, EOFError, websockets.InvalidMessage)


@dataclass(frozen=True)
class Pki:
    """The authority of the gateway's certificates, and that of the chargers'."""

    servers: Authority
    chargers: Authority

    @classmethod
    def made_in(cls, folder: Path) -> "Pki":
        """New ones."""
        return cls(Authority(folder, "servers"), Authority(folder, "chargers"))

    def context(self, own: Issued | None = None) -> ssl.SSLContext:
        """Of a charger that trusts the gateway; ``own``: its certificate."""
        context = ssl.create_default_context(cafile=self.servers.file)
        if own is not None:
            context.load_cert_chain(*own.pair)
        return context


@asynccontextmanager
async def charger(
    port: int, identity: str, context: ssl.SSLContext | None, password: bytes = b"", **options: Any
) -> AsyncIterator[ClientConnection]:
    """A websocket to ``port``, over TLS where there is a context."""
    scheme = "ws" if context is None else "wss"
    headers = {"Authorization": login(identity, password)} if password else {}
    fixed = {"subprotocols": ["ocpp1.6"], "additional_headers": headers, "ssl": context}
    settings: dict[str, Any] = {"host": "127.0.0.1"} | fixed | options
    url = f"{scheme}://localhost:{port}/ocpp/{quote(identity, safe='')}"
    async with websockets.connect(url, **settings) as socket:
        yield socket


async def beats(socket: ClientConnection, identity: str) -> bool:
    """Whether a heartbeat of mobilityhouse's charger is answered."""
    point = ocpp.v16.ChargePoint(identity, socket)
    reading = asyncio.create_task(point.start())
    try:
        answer = await point.call(call.Heartbeat())
    finally:
        reading.cancel()
        await asyncio.wait({reading})
    return answer is not None and bool(answer.current_time)


async def status(
    port: int, identity: str, context: ssl.SSLContext | None, password: bytes = b"", **options: Any
) -> int:
    """The status of the answer to an upgrade: 101 where it was accepted."""
    try:
        async with charger(port, identity, context, password, **options):
            return 101
    except websockets.InvalidStatus as refusal:
        return refusal.response.status_code
