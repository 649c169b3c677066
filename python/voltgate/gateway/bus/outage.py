"""Whether NATS can store what chargers send (docs/contract.md 2.3), and this gateway's sign of life.

An outage begins when NATS is away or ``OCPP_TX`` cannot store; it ends with the first check that finds NATS
connected, ``OCPP_TX`` with a leader and room, and this process's liveness key stored. Checked when NATS comes
back, and every two seconds.
"""

import asyncio
import contextlib
from collections.abc import Callable
from enum import Enum
from typing import Protocol

import orjson
import structlog

from voltgate import __version__, _core
from voltgate.config import Nats
from voltgate.gateway.clock import TICK
from voltgate.gateway.interfaces import Ack, Bus, Clock, NotStored
from voltgate.gateway.telemetry.metrics import Metrics

log = structlog.get_logger()

PROBE_EVERY = 2.0
LIVENESS_EVERY = 5.0  # docs/contract.md 3.6; dead after 15 s
ROOM = 0.95
TIMEOUTS_IN_A_ROW = 3
REMIND_EVERY = 60.0  # seconds between log lines about an outage that has the same cause as before


class Cause(Enum):
    """Why NATS cannot store what chargers send; ``label`` is the ``reason`` of the outage metrics."""

    STARTING = "starting"
    AWAY = "NATS is away"
    FULL = "{tx} is full"
    NO_LEADER = "{tx} has no leader or does not exist"
    SILENT = "{tx} does not acknowledge"
    NO_LIVENESS = "NATS does not store our liveness key: do the streams exist (voltgate streams plan)?"

    @property
    def label(self) -> str:
        """The ``reason`` label of ``voltgate_outage`` and ``voltgate_outages_total``."""
        return self.name.lower()


_CAUSE_OF = {"full": Cause.FULL, "no_responders": Cause.NO_LEADER}  # of a store of class tx that failed


class Watched(Bus, Protocol):
    """What an outage is judged by."""

    @property
    def connected(self) -> bool:
        """Whether NATS answers."""

    @property
    def tx_acks(self) -> int:
        """PubAcks of class tx so far."""

    def listen(self, changed: Callable[[bool], None], tx_failed: Callable[[str], None]) -> None:
        """See bus.Bus."""

    async def fill(self, stream: str, within: float) -> float | None:
        """See bus.Bus."""


class Outage:
    """``cause`` is None while there is no outage; ``changed`` is called when one begins or ends."""

    def __init__(  # noqa: PLR0913, PLR0917 - made in one place
        self,
        config: Nats,
        bus: Watched,
        clock: Clock,
        metrics: Metrics,
        gateway: str,
        changed: Callable[[], None],
    ) -> None:
        self.cause: Cause | None = Cause.STARTING
        self.since = clock.now
        self._bus, self._clock, self._gateway, self._changed = bus, clock, gateway, changed
        self._tx = f"{config.stream_prefix}_TX"
        self._others = [f"{config.stream_prefix}_{name}" for name in ("EVENTS", "COMMANDS", "REJECTS")]
        self._liveness = f"$KV.{config.stream_prefix.lower()}_gateways.{gateway}"
        self._alive = False  # our key was stored since the last check
        self._late = 0  # stores of class tx without PubAck in time, in a row
        self._acks = 0  # of the bus, when the last one of these was late
        self._logged_at = clock.now
        self.over = asyncio.Event()
        self._due = clock.now  # the next check
        self._sooner = asyncio.Event()  # it was brought forward
        self._was_ready = False
        self._begun = {cause: metrics.outages.cell(cause.label) for cause in Cause}
        metrics.outage.read = lambda: [((cause.label,), float(cause is self.cause)) for cause in Cause]
        bus.listen(self._bus_changed, self._tx_failed)

    @property
    def reason(self) -> str:
        """The cause for people; "" while there is no outage."""
        return self.cause.value.format(tx=self._tx) if self.cause is not None else ""

    def _bus_changed(self, connected: bool) -> None:
        if connected:
            self._check_in(0)
        else:
            self._begin(Cause.AWAY)

    def _tx_failed(self, cause: str) -> None:
        if cause in _CAUSE_OF:
            self._begin(_CAUSE_OF[cause])
        elif cause == "timeout":
            self._late = self._late + 1 if self._acks == self._bus.tx_acks else 1
            self._acks = self._bus.tx_acks
            if self._late >= TIMEOUTS_IN_A_ROW:
                self._begin(Cause.SILENT)

    def _begin(self, cause: Cause) -> None:
        if self.cause is None:
            self.cause, self._alive = cause, False
            self._begun[cause][0] += 1
            log.error("outage.began", reason=self.reason)
            self.since = self._logged_at = self._clock.now
            self.over.clear()
            self._check_in(PROBE_EVERY)
            self._changed()

    def _end(self) -> None:
        if self.cause is not None:
            seconds = round(self._clock.now - self.since, 1)
            event = "outage.ended" if self._was_ready else "bus.ready"
            log.info(event, reason=self.reason, seconds=seconds)
            self._late, self._was_ready = 0, True
            self.cause = None
            self.over.set()
            self._changed()

    async def watch(self) -> None:
        """Run for the life of the process: liveness key, fill of the streams, end of an outage."""
        while True:
            self._due = self._clock.now + (LIVENESS_EVERY if self.cause is None else PROBE_EVERY)
            await self.check()
            while (left := self._due - self._clock.now) > 0:
                self._sooner.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(left, TICK)):
                        await self._sooner.wait()

    def _check_in(self, seconds: float) -> None:
        """Do not wait longer than that with the next check."""
        self._due = min(self._due, self._clock.now + seconds)
        self._sooner.set()

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
        elif self.cause is not None:
            self._continues(alive, fill)

    def _continues(self, alive: bool, fill: float | None) -> None:
        """NATS is connected, and cannot be used."""
        before = self.cause
        if before in (Cause.AWAY, Cause.STARTING) and self._bus.connected:
            # Else /readyz sends the operator to the wrong place: its store may be empty.
            self.cause = Cause.NO_LIVENESS if not alive else Cause.NO_LEADER if fill is None else Cause.FULL
        if self.cause is not before or self._clock.now - self._logged_at >= REMIND_EVERY:
            self._logged_at = self._clock.now
            log.warning("outage.continues", reason=self.reason, liveness_stored=alive, tx_fill=fill)

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
