"""What NATS is asked now and then for metrics alone: a ping, and how far chosen consumers are behind."""

import asyncio
from collections.abc import Iterator

import structlog
from nats.js.errors import NotFoundError

from voltgate.config import Nats
from voltgate.gateway.bus.connection import Connection
from voltgate.gateway.telemetry.metrics import Metrics

log = structlog.get_logger()

EVERY = 10.0  # seconds
_PATIENCE = 2.0  # seconds for an answer
_FOREVER = 86_400


class Gauges:
    """See :meth:`run`. A value that could not be read is absent: an old one would look current."""

    def __init__(self, config: Nats, connection: Connection, metrics: Metrics) -> None:
        self._connection = connection
        self._consumers = [tuple(name.split("/")) for name in config.watched_consumers]
        self._rtt: float | None = None
        self._pending: dict[tuple[str, ...], float] = {}
        self._ping: asyncio.Task[float] | None = None
        self._ping_number = 0  # of the connection it was sent on
        metrics.bus_rtt.read = self._seconds
        metrics.consumer_pending.read = lambda: list(self._pending.items())

    def _seconds(self) -> Iterator[tuple[tuple[str, ...], float]]:
        if self._rtt is not None:
            yield (), self._rtt

    async def run(self) -> None:
        """Measure for the life of the process."""
        try:
            while True:
                await self.measure()
                await asyncio.sleep(EVERY)
        finally:
            self._forget_ping()

    async def measure(self) -> None:
        """Once."""
        self._rtt = await self._round_trip()
        for consumer in self._consumers:
            pending = await self._behind(*consumer)
            if pending is None:
                self._pending.pop(consumer, None)
            else:
                self._pending[consumer] = pending

    async def _round_trip(self) -> float | None:
        """Seconds; None while NATS is away, or has not answered for ``_PATIENCE``."""
        connection = self._connection
        if self._ping_number != connection.number or not connection.connected:
            self._forget_ping()
        if not connection.connected:
            return None
        if self._ping is None:
            # Not with a timeout of ours: nats-py ends its connection on the pong of a ping it gave up.
            self._ping = asyncio.create_task(connection.client.rtt(_FOREVER))
            self._ping_number = connection.number
        await asyncio.wait({self._ping}, timeout=_PATIENCE)
        if not self._ping.done():
            return None
        ping, self._ping = self._ping, None
        return None if ping.cancelled() or ping.exception() is not None else ping.result()

    def _forget_ping(self) -> None:
        """Its pong cannot come any more."""
        if self._ping is not None:
            self._ping.cancel()
            self._ping = None

    async def _behind(self, stream: str, consumer: str) -> float | None:
        """Messages that a consumer has not acknowledged; None where that cannot be read."""
        if not self._connection.connected:
            return None
        try:
            info = await self._connection.jetstream(_PATIENCE).consumer_info(stream, consumer)
        except NotFoundError:
            log.warning("consumer.missing", stream=stream, consumer=consumer, key="nats.watched_consumers")
            return None
        except Exception as error:  # whatever it is, NATS does not say
            log.debug("consumer.unanswered", stream=stream, consumer=consumer, error=str(error))
            return None
        return float((info.num_pending or 0) + (info.num_ack_pending or 0))
