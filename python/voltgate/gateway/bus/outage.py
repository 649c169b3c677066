"""Whether NATS can store what chargers send (docs/contract.md 2.3), and this gateway's sign of life.

An outage begins when NATS is away or ``OCPP_TX`` cannot store; it ends when NATS is connected, ``OCPP_TX``
has a leader and room, and this process's liveness key is stored. Checked every two seconds.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

import orjson
import structlog

from voltgate import __version__, _core
from voltgate.config import Nats
from voltgate.gateway.clock import TICK
from voltgate.gateway.interfaces import Ack, Bus, Clock, NotStored

log = structlog.get_logger()

PROBE_EVERY = 2.0
LIVENESS_EVERY = 5.0  # docs/contract.md 3.6; dead after 15 s
ROOM = 0.95
STARTING = "starting"
AWAY = "NATS is away"
TIMEOUTS_IN_A_ROW = 3


class Watched(Bus, Protocol):
    """What an outage is judged by."""

    @property
    def connected(self) -> bool:
        """Whether NATS answers."""

    tx_acks: int
    """PubAcks of class tx so far."""

    def listen(self, changed: Callable[[bool], None], tx_failed: Callable[[str], None]) -> None:
        """See bus.Bus."""

    async def fill(self, stream: str, within: float) -> float | None:
        """See bus.Bus."""


class Outage:
    """``reason`` is "" while there is no outage; ``changed`` is called when one begins or ends."""

    def __init__(
        self, config: Nats, bus: Watched, clock: Clock, gateway: str, changed: Callable[[], None]
    ) -> None:
        self.reason = STARTING
        self.since = clock.now
        self._bus, self._clock, self._gateway, self._changed = bus, clock, gateway, changed
        self._tx = f"{config.stream_prefix}_TX"
        self._others = [f"{config.stream_prefix}_{name}" for name in ("EVENTS", "COMMANDS", "REJECTS")]
        self._liveness = f"$KV.{config.stream_prefix.lower()}_gateways.{gateway}"
        self._alive = False  # our key was stored since the last check
        self._late = 0  # stores of class tx without PubAck in time, in a row
        self._acks = 0  # of the bus, when the last one of these was late
        self.over = asyncio.Event()
        self._begun = asyncio.Event()
        bus.listen(self._bus_changed, self._tx_failed)

    def _bus_changed(self, connected: bool) -> None:
        if not connected:
            self._begin(AWAY)

    def _tx_failed(self, cause: str) -> None:
        if cause == "full":
            self._begin(f"{self._tx} is full")
        elif cause == "no_responders":
            self._begin(f"{self._tx} has no leader or does not exist")
        elif cause == "timeout":
            self._late = self._late + 1 if self._acks == self._bus.tx_acks else 1
            self._acks = self._bus.tx_acks
            if self._late >= TIMEOUTS_IN_A_ROW:
                self._begin(f"{self._tx} does not acknowledge")

    def _begin(self, reason: str) -> None:
        if not self.reason:
            log.error("outage.began", reason=reason)
            self.since = self._clock.now
            self.reason, self._alive = reason, False
            self.over.clear()
            self._begun.set()
            self._changed()

    def _end(self) -> None:
        if self.reason:
            seconds = round(self._clock.now - self.since, 1)
            event = "bus.ready" if self.reason == STARTING else "outage.ended"
            log.info(event, reason=self.reason, seconds=seconds)
            self._late = 0
            self.reason = ""
            self.over.set()
            self._changed()

    async def watch(self) -> None:
        """Run for the life of the process: liveness key, fill of the streams, end of an outage."""
        while True:
            began = self._clock.now
            await self.check()
            self._begun.clear()
            due = began + (PROBE_EVERY if self.reason else LIVENESS_EVERY)
            with contextlib.suppress(TimeoutError):
                # An outage that begins is checked after PROBE_EVERY, not when the next sign of life is due.
                async with asyncio.timeout(max(due - self._clock.now, TICK)):
                    await self._begun.wait()
                await asyncio.sleep(PROBE_EVERY)

    def remove_liveness(self) -> None:
        """Remove our liveness key: the other gateways need not wait until it is too old."""
        purge = [("KV-Operation", "PURGE"), ("Nats-Rollup", "sub")]
        self._bus.emit(_core.publish(self._liveness, "", purge, b""))

    async def check(self) -> None:
        """Store the liveness key, measure the streams; end the outage where both say so."""
        if not self._bus.connected:
            return
        fill = None
        alive = await self._store_liveness()
        if alive:
            fill, *_ = await asyncio.gather(
                *(self._bus.fill(stream, PROBE_EVERY) for stream in (self._tx, *self._others))
            )
        if alive and fill is not None and fill <= ROOM and self._bus.connected:
            self._end()
        elif self.reason:
            if self.reason == AWAY and self._bus.connected:
                # Else /readyz sends the operator to the wrong place.
                self.reason = self._still(alive, fill)
            log.warning("outage.continues", reason=self.reason, liveness_stored=alive, tx_fill=fill)

    def _still(self, alive: bool, fill: float | None) -> str:
        """Why NATS cannot be used though it is back: its store may be empty."""
        if not alive:
            return "NATS does not store our liveness key: do the streams exist (voltgate streams plan)?"
        if fill is None:
            return f"{self._tx} has no leader or does not exist"
        return f"{self._tx} is full"

    async def _store_liveness(self) -> bool:
        """Whether our key is stored. A PubAck that takes longer than PROBE_EVERY counts at the next check."""
        tried = asyncio.Event()
        ticket = self._bus.ticket(self._liveness_tried, tried)
        body = orjson.dumps({"gateway": self._gateway, "release": __version__, "at": self._clock.time_ms})
        self._bus.store(ticket, _core.publish(self._liveness, ticket.reply, [], body))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PROBE_EVERY):
                await tried.wait()
        alive, self._alive = self._alive, False
        return alive

    def _liveness_tried(self, tried: asyncio.Event, ack: Ack | NotStored) -> None:
        self._alive = self._alive or isinstance(ack, Ack)
        tried.set()
