"""Random bytes from NATS, on the real connection of a bus: after its login, in place of its messages.

A byte of :data:`WHOLE` stands for a whole protocol line, which chance does not find. Whatever came, nothing
is raised on the loop, and the bus works again on its next connection, where the server is sane: it stores.
"""

import asyncio
import re
import time
from contextlib import suppress
from functools import cache
from typing import Any

from listening import listening
from voltgate import _core
from voltgate.config import load
from voltgate.gateway.bus.bus import Bus
from voltgate.gateway.clock import Wheel
from voltgate.gateway.interfaces import Ack, NotStored, Request
from voltgate.gateway.telemetry.metrics import Metrics

INFO = b'INFO {"server_id":"x","version":"2.15.1","proto":1,"headers":true,"max_payload":1048576}\r\n'
SUBJECT, COMMANDS = "ocpp.event.v16.X.CP", "ocpprpc.send.*.CP"
ACK = b'{"stream":"OCPP_EVENTS","seq":1}'
PATIENCE = 20.0
CHUNK = 0xEF
WHOLE: dict[int, bytes] = {
    0xE0: b"MSG ~inbox~ 1 %d\r\n%s\r\n" % (len(ACK), ACK),
    0xE1: b"MSG ~inbox~ 1 2\r\n{}\r\n",
    0xE2: b"HMSG ~inbox~ 1 34 34\r\nNATS/1.0 503 No Responders\r\nX: \r\n\r\n\r\n",
    0xE3: b"MSG ocpprpc.send.Reset.CP 2 _INBOX.x 2\r\n{}\r\n",
    0xE4: b"HMSG ocpprpc.send.Reset.CP 2 _INBOX.x 12 14\r\nNATS/1.0\r\n\r\n{}\r\n",
    0xE5: b"PING\r\n",
    0xE6: b"PONG\r\n",
    0xE7: b"-ERR 'Slow Consumer'\r\n",
    0xE8: INFO,
    0xE9: b"+OK\r\n",
}


class Server:
    """A NATS of one client: its first connection gets the bytes after a store, later ones are sane."""

    def __init__(self, data: bytes) -> None:
        self._data, self._connections = data, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self._connections += 1
        first = self._connections == 1
        writer.write(INFO)
        with suppress(OSError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                verb, *words = line.split()
                if verb == b"PING":
                    writer.write(b"PONG\r\n")
                elif verb in (b"PUB", b"HPUB"):
                    await reader.readexactly(int(words[-1]) + 2)
                    inbox = words[1]
                    if first:
                        await self._lie(writer, inbox)
                        break
                    writer.write(b"MSG %s 1 %d\r\n%s\r\n" % (inbox, len(ACK), ACK))
        writer.close()

    async def _lie(self, writer: asyncio.StreamWriter, inbox: bytes) -> None:
        for chunk in re.split(rb"\xef", self._data):
            lines = b"".join(WHOLE.get(byte, bytes([byte])) for byte in chunk)
            writer.write(lines.replace(b"~inbox~", inbox))
            await writer.drain()
            await asyncio.sleep(0)


async def _play(data: bytes) -> None:
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    heard: list[Request] = []
    async with listening(Server(data).serve) as port:
        clock = Wheel(time.monotonic, time.time)
        nats = load(nats={"url": f"nats://127.0.0.1:{port}", "publish_timeout": 1.0}).nats
        bus = Bus(nats, clock, Metrics())
        await bus.start()
        # A client is gentler with its servers.
        bus._connection.client.options["reconnect_time_wait"] = 0  # noqa: SLF001
        try:
            bus.subscribe(COMMANDS, heard.append)
            async with asyncio.timeout(PATIENCE):
                while not isinstance(await _stored(bus, clock), Ack) or bus.connections < 2:
                    await asyncio.sleep(0)
        finally:
            await bus.stop()
    assert all(request.reply.startswith("_INBOX.") for request in heard)
    assert not faults, faults


async def _stored(bus: Bus, clock: Wheel) -> Ack | NotStored:
    """What becomes of one store; time passes meanwhile."""
    results: list[Ack | NotStored] = []
    ticket = bus.ticket(lambda _, result: results.append(result), None)
    bus.store(ticket, _core.publish(SUBJECT, ticket.reply, [], b"{}"))
    while not results:
        await asyncio.sleep(0.001)
        clock.advance()
    return results[0]


@cache
def _runner() -> asyncio.Runner:
    return asyncio.Runner()


def one(data: bytes) -> None:
    """Raises where a rule does not hold for ``data``."""
    _runner().run(_play(data))
