"""A followed stream: every message once, in order; and whether any message can have been missed.

An ordered consumer of our own: nats-py's needs ten seconds to notice that its consumer is gone. Here a
heartbeat comes every second; a gap or a new connection opens another consumer after the last message, and
until that one is open :attr:`Follow.keeps_up` is false.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Protocol

import structlog
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from voltgate.gateway.bus.bus import Bus
from voltgate.gateway.bus.subscriptions import Subscription, parse_headers
from voltgate.gateway.interfaces import Clock, Stored

log = structlog.get_logger()

HEARTBEAT = 1.0
SILENT = 3.0  # seconds without even a heartbeat
_AGAIN = 1.0
_FORGOTTEN = 30.0  # seconds after which the server removes a consumer without a subscription

Took = Callable[[str, Stored], None]


class Feed(Protocol):
    """What users of a followed stream need of it."""

    stream: str
    caught_up: asyncio.Event
    """Set once all messages from before the start were delivered."""

    @property
    def keeps_up(self) -> bool:
        """Whether every change of the stream is known here, except for messages on their way."""

    def listen(self, took: Took, anew: Callable[[], None] = ...) -> None:
        """Once: ``took(subject, stored)`` for each message; ``anew()`` when another stream has taken its
        place.

        What was delivered before ``anew`` counts no more, and everything is delivered again.
        """

    def read_anew(self) -> None:
        """Deliver everything again, after ``anew()``: the stream does not hold what it did."""

    async def run(self) -> None:
        """Follow for the life of the process."""


class Follow:
    """See Feed. ``whole``: begin with the last message of each subject, else with new messages only."""

    def __init__(self, bus: Bus, clock: Clock, stream: str, whole: bool = False) -> None:
        self._bus, self._clock, self.stream, self._whole = bus, clock, stream, whole
        self._took: Took | None = None
        self._anew: Callable[[], None] = lambda: None
        self.caught_up = asyncio.Event()
        self.opened = 0  # consumers so far
        self._at: int | None = None  # the last sequence seen
        self._created: datetime | None = None  # the stream
        self._consumed = 0  # by this consumer
        self._received_at = 0.0
        self._open_on: int | None = None  # the number of the bus's connection, while a consumer is open
        self._lost = asyncio.Event()
        self._subscription: Subscription | None = None

    def listen(self, took: Took, anew: Callable[[], None] = lambda: None) -> None:
        """See Feed."""
        if self._took is not None:
            raise RuntimeError(f"{self.stream} has its listener already")
        self._took, self._anew = took, anew

    @property
    def keeps_up(self) -> bool:
        """See Feed."""
        return (
            self._open_on == self._bus.connections
            and self._bus.connected
            and not self._lost.is_set()
            and self._clock.now - self._received_at < SILENT
        )

    def read_anew(self) -> None:
        """See Feed."""
        self._created = None
        self._lost.set()

    async def run(self) -> None:
        """Follow, and open another consumer whenever one was lost."""
        while True:
            try:
                await self._open()
                while self.keeps_up:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(HEARTBEAT):
                            await self._lost.wait()
            except Exception as error:  # whatever it is, the stream cannot be followed now
                log.debug("follow.failed", stream=self.stream, error=str(error) or type(error).__name__)
                await asyncio.sleep(_AGAIN)
            finally:
                await self._close()

    async def _open(self) -> None:
        connection, jetstream = self._bus.connections, self._bus.jetstream()
        self.opened += 1
        info = await jetstream.stream_info(self.stream)
        last, created, self._created = info.state.last_seq, self._created, info.created
        whole = self._whole and not self.caught_up.is_set()  # a first try that failed has delivered nothing
        if self._at is None:
            self._at = last
        elif self._at > last or created != info.created:
            self._at = 0
            self._anew()
        self._consumed = 0
        self._lost.clear()
        self._subscription = subscription = await self._bus.open_inbox(self._received)
        consumer = await jetstream.add_consumer(
            self.stream,
            ConsumerConfig(
                deliver_subject=subscription.subject,
                deliver_policy=(DeliverPolicy.LAST_PER_SUBJECT if whole else DeliverPolicy.BY_START_SEQUENCE),
                opt_start_seq=None if whole else self._at + 1,
                filter_subject=">" if whole else None,
                ack_policy=AckPolicy.NONE,
                idle_heartbeat=HEARTBEAT,
                inactive_threshold=_FORGOTTEN,
                mem_storage=True,
                num_replicas=1,
            ),
        )
        self._received_at = self._clock.now
        self._open_on = connection
        if not consumer.num_pending and not self._consumed:
            self.caught_up.set()

    async def _close(self) -> None:
        self._open_on = None
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await self._bus.close_inbox(subscription)

    def _received(self, subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
        try:
            if not self._lost.is_set():
                self._received_at = self._clock.now
                self._take(subject, reply, parse_headers(headers), bytes(data))
        except Exception:  # the connection, and the other messages, go on
            log.exception("follow.message_failed", stream=self.stream)

    def _take(self, subject: bytes, reply: bytes, headers: dict[str, str], data: bytes) -> None:
        if headers.get("Status"):
            if headers["Status"] != "100" or headers.get("Nats-Last-Consumer", "0") != str(self._consumed):
                self._lost.set()
            return
        # $JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<delivered>.<seq>.<consumer seq>.<ns>.<pending>
        tokens = reply.split(b".")
        numbers = tokens[5:9] if len(tokens) == 9 else tokens[7:11]
        stream = tokens[2] if len(tokens) == 9 else tokens[4] if len(tokens) > 4 else b""
        if len(numbers) < 4 or not all(map(bytes.isdigit, numbers)) or stream != self.stream.encode():
            self._bus.garbage("stream", f"a message of {len(data)} bytes that {self.stream} did not deliver")
            return
        seq, consumed, at_ns, pending = map(int, numbers)
        self._consumed += 1
        if consumed != self._consumed:
            self._lost.set()
            return
        self._at = seq
        if self._took is not None:
            self._took(subject.decode(errors="replace"), Stored(seq, headers, data, at_ns / 1e9))
        if not pending:
            self.caught_up.set()
