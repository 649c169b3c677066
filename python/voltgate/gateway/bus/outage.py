"""Whether the message bus can take what chargers say (CONTRACT 2.3), and the gateway's own sign of life.

An outage begins when NATS is away or ``OCPP_TX`` cannot store; it ends when NATS is up, ``OCPP_TX`` has a
leader and room, and this process's liveness key is stored. Tried every two seconds.
"""

import asyncio
import contextlib
from collections.abc import Callable

import orjson
import structlog

from voltgate import __version__, _core
from voltgate.config import Config
from voltgate.gateway.bus.bus import Bus
from voltgate.gateway.clock import TICK, Wheel
from voltgate.gateway.interfaces import Ack, NotStored
from voltgate.gateway.metrics import Metrics

log = structlog.get_logger()

PROBE_EVERY = 2.0
LIVENESS_EVERY = 5.0  # CONTRACT 3.6; dead after 15 s
ROOM = 0.95
AWAY = "NATS is away"
TIMEOUTS_IN_A_ROW = 3


class Outage:
    """``reason`` is "" while all is well; ``on_change`` is called when that changes."""

    def __init__(self, config: Config, bus: Bus, clock: Wheel, metrics: Metrics, gateway: str) -> None:
        self.reason = "starting"
        self.since = clock.now
        self.on_change: Callable[[], None] = lambda: None
        self._bus, self._clock, self._gateway = bus, clock, gateway
        self._tx = f"{config.nats.stream_prefix}_TX"
        self._streams = [
            f"{config.nats.stream_prefix}_{name}" for name in ("TX", "EVENTS", "COMMANDS", "REJECTS")
        ]
        self._liveness = f"$KV.{config.nats.stream_prefix.lower()}_gateways.{gateway}"
        self._fill: dict[str, float] = {}
        self._alive = False  # our key was stored since the last look
        self.over = asyncio.Event()
        self._begun = asyncio.Event()
        bus.on_change = self._bus_changed
        bus.on_tx = self._tx_failed
        metrics.stream_fill.read = lambda: [((stream,), fill) for stream, fill in self._fill.items()]

    def _bus_changed(self, connected: bool) -> None:
        if not connected:
            self._begin(AWAY)

    def _tx_failed(self, cause: str) -> None:
        if cause == "full":
            self._begin(f"{self._tx} is full")
        elif cause == "no_responders":
            self._begin(f"{self._tx} has no leader or does not exist")
        elif cause == "timeout" and self._bus.tx_late >= TIMEOUTS_IN_A_ROW:
            self._begin(f"{self._tx} does not acknowledge")

    def _begin(self, reason: str) -> None:
        if not self.reason:
            log.error("outage.begins", reason=reason)
            self.since = self._clock.now
            self.reason, self._alive = reason, False
            self.over.clear()
            self._begun.set()
            self.on_change()

    def _end(self) -> None:
        if self.reason:
            log.info("bus.ready", was=self.reason, seconds=round(self._clock.now - self.since, 1))
            self._bus.tx_late = 0
            self.reason = ""
            self.over.set()
            self.on_change()

    async def watch(self) -> None:
        """Run for the life of the process: liveness key, fill of the streams, end of an outage."""
        while True:
            began = self._clock.now
            await self._probe()
            self._begun.clear()
            due = began + (PROBE_EVERY if self.reason else LIVENESS_EVERY)
            with contextlib.suppress(TimeoutError):
                # An outage that begins is probed after PROBE_EVERY, not when the next sign of life is due.
                await asyncio.wait_for(self._begun.wait(), max(due - self._clock.now, TICK))
                await asyncio.sleep(PROBE_EVERY)

    def farewell(self) -> None:
        """Take our liveness key away: the gateways that stay need not find out."""
        purge = [("KV-Operation", "PURGE"), ("Nats-Rollup", "sub")]
        self._bus.emit(_core.publish(self._liveness, "", purge, b""))

    async def _probe(self) -> None:
        if not self._bus.connected:
            return
        alive = await self._store_liveness()
        if alive:
            await asyncio.gather(*(self._measure(stream) for stream in self._streams))
        room = self._fill.get(self._tx, 1.0) <= ROOM
        if alive and room and self._bus.connected:
            self._end()
        elif self.reason:
            if self.reason == AWAY and self._bus.connected:
                # Else /readyz sends the operator to the wrong place.
                self.reason = self._still(alive)
            log.warning(
                "outage.goes_on", reason=self.reason, liveness_stored=alive, tx_fill=self._fill.get(self._tx)
            )

    def _still(self, alive: bool) -> str:
        """Why NATS cannot be used though it is back: its store may be empty."""
        if not alive:
            return "NATS does not store our liveness key: do the streams exist (voltgate streams plan)?"
        if self._tx not in self._fill:
            return f"{self._tx} has no leader or does not exist"
        return f"{self._tx} is full"

    async def _measure(self, stream: str) -> None:
        """The fill of a stream; unknown (and so no room) where it has no leader or does not answer."""
        fill = None
        try:
            info = await self._bus.client.jsm(timeout=PROBE_EVERY).stream_info(stream)
            if info.cluster is None or info.cluster.leader:
                have, most = info.state, info.config
                bounds = ((have.bytes, most.max_bytes), (have.messages, most.max_msgs))
                fill = max((now / limit for now, limit in bounds if limit and limit > 0), default=0.0)
        except Exception as error:  # whatever it is, the stream does not answer
            log.debug("outage.stream_info", stream=stream, error=str(error))
        if fill is None:
            self._fill.pop(stream, None)
        else:
            self._fill[stream] = fill

    async def _store_liveness(self) -> bool:
        """Whether our key is stored. A PubAck that takes longer than PROBE_EVERY counts at the next try."""
        tried = asyncio.Event()
        ticket = self._bus.ticket(self._liveness_tried, tried)
        body = orjson.dumps({"gateway": self._gateway, "release": __version__, "at": self._clock.time_ms})
        self._bus.store(ticket, _core.publish(self._liveness, ticket.reply, [], body))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(tried.wait(), PROBE_EVERY)
        alive, self._alive = self._alive, False
        return alive

    def _liveness_tried(self, tried: asyncio.Event, ack: Ack | NotStored) -> None:
        self._alive = self._alive or isinstance(ack, Ack)
        tried.set()
