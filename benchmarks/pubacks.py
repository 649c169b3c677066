"""The cost of a PubAck, from the bytes of NATS to its store's callback: by the core, and by nats-py's parser.

A thousand different PubAcks, spelled as nats-server does, in chunks of 1, 8 and 64; the rounds of both ways
are interleaved, so that a busy machine slows both. The gateway uses both: the core takes plain PubAcks,
nats-py parses whatever else comes. Compare the ratios, not the times.
Run: ``python benchmarks/pubacks.py``
"""

import asyncio
import gc
import statistics
import time
from typing import Any

from codec import ROUNDS

from voltgate import _core
from voltgate.config import load
from voltgate.gateway.bus.bus import Bus
from voltgate.gateway.bus.subscriptions import Client, Subscription
from voltgate.gateway.bus.uplink import Uplink
from voltgate.gateway.clock import Wheel
from voltgate.gateway.telemetry.metrics import Metrics

COUNT = 1024
BOUND = 32 * 1024  # bytes of a read


class Way:
    """A bus without a server, and the reader of its connection."""

    def __init__(self, native: bool) -> None:
        self.bus = Bus(load().nats, Wheel(time.monotonic, time.time), Metrics())
        self.stored = 0
        self.client, connection = Client(), self.bus._connection
        connection.client, connection.connected = self.client, True
        connection.outgoing.opened(1 << 20, 1 << 30)
        inbox = Subscription(self.client, "inbox", self.bus._received)
        acks = (
            (_core.PubAcks(connection.inbox, inbox.id, connection.outgoing), self.bus._acked)
            if native
            else ()
        )
        self.transport = Uplink(*acks)
        self.id = inbox.id

    def _done(self, _: Any, result: Any) -> None:
        self.stored += result.seq > 0

    def chunks(self, size: int) -> list[bytes]:
        """Stores that wait, and their PubAcks."""
        lines = []
        for seq in range(1, COUNT + 1):
            ticket = self.bus.ticket(self._done, None)
            self.bus.store(ticket, _core.publish("ocpp.tx.v16.X.CP", ticket.reply, [], b"x"), tx=True)
            body = f'{{"stream":"OCPP_TX", "seq":{seq}}}'
            lines.append(f"MSG {ticket.reply} {self.id} {len(body)}\r\n{body}\r\n".encode())
        return [b"".join(lines[at : at + size]) for at in range(0, COUNT, size)]

    async def read(self, chunks: list[bytes]) -> float:
        """Seconds to read them, as nats-py's reading task does."""
        self.transport._io_reader = reader = asyncio.StreamReader()
        self.stored = 0
        parser = self.client._ps
        begin = time.perf_counter()
        for chunk in chunks:
            reader.feed_data(chunk)
            await parser.parse(await self.transport.read(BOUND))
        taken = time.perf_counter() - begin
        assert self.stored == COUNT
        return taken


async def main() -> None:
    """Print the table."""
    gc.disable()
    ways = {"core": Way(native=True), "nats-py": Way(native=False)}
    print(f"{COUNT} PubAcks, {ROUNDS} interleaved rounds; us a PubAck: median (quartiles), ratio to nats-py")
    for size in (1, 8, 64):
        times: dict[str, list[float]] = {name: [] for name in ways}
        for round_ in range(-1, ROUNDS):  # the round before the first warms up
            for name, way in ways.items():
                spent = await way.read(way.chunks(size))
                if round_ >= 0:
                    times[name].append(spent / COUNT * 1e6)
        alone = statistics.median(times["nats-py"])
        for name, rounds in times.items():
            low, median, high = statistics.quantiles(rounds, n=4)
            what = f"{name}, {size} a read"
            print(f"  {what:22}{median:9.3f} ({low:.3f}-{high:.3f}){median / alone:9.2f} x")


if __name__ == "__main__":
    asyncio.run(main())
