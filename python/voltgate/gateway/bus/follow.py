"""A stream followed: every message once, in order; and whether nothing can have been missed.

An ordered consumer of our own: nats-py's needs ten seconds to notice that it has gone deaf. Here a heartbeat
comes every second, a gap or a new connection opens another consumer behind the last message, and until that
stands :attr:`Follow.keeps_up` is false.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import structlog
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from voltgate.gateway.bus.bus import Bus
from voltgate.gateway.bus.client import Client, Subscription, parse_headers
from voltgate.gateway.bus.uplink import hand_over
from voltgate.gateway.interfaces import Clock, Stored

log = structlog.get_logger()

HEARTBEAT = 1.0
DEAF = 3.0  # seconds without even a heartbeat
_AGAIN = 1.0
_FORGOTTEN = 30.0  # seconds after which the server forgets a consumer nobody listens to


class Follow:
    """``took(subject, stored)`` is called for each message; :meth:`run` runs for the life of the process.

    ``whole``: the last message of each subject first, as it was before; ``caught_up`` is set once they were
    told. Else only what comes from now on.
    """

    def __init__(
        self, bus: Bus, clock: Clock, stream: str, took: Callable[[str, Stored], None], whole: bool = False
    ) -> None:
        self._bus, self._clock, self._stream, self._took = bus, clock, stream, took
        self._whole = whole
        self.caught_up = asyncio.Event()
        self.on_anew: Callable[[], None] = lambda: None
        """The stream is not the one it was: what was told of it counts no more, and all is told again."""
        self.opened = 0  # how often
        self._at: int | None = None  # the last sequence seen
        self._made: datetime | None = None  # the stream
        self._consumed = 0  # by this consumer
        self._heard_at = 0.0
        self._client: Client | None = None
        self._reconnects = 0
        self._lost = asyncio.Event()
        self._subscription: Subscription | None = None

    @property
    def keeps_up(self) -> bool:
        """Whether every change of the stream is known here, but for what is on its way."""
        client = self._client
        return (
            client is not None
            and client is self._bus.client
            and client.stats["reconnects"] == self._reconnects
            and self._bus.connected
            and not self._lost.is_set()
            and self._clock.now - self._heard_at < DEAF
        )

    async def run(self) -> None:
        """Follow, and open again whenever it was lost."""
        while True:
            try:
                await self._open()
                while self.keeps_up:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(HEARTBEAT):
                            await self._lost.wait()
            except Exception as error:  # whatever it is, the stream cannot be followed now
                log.debug("follow.failed", stream=self._stream, error=str(error) or type(error).__name__)
                await asyncio.sleep(_AGAIN)
            finally:
                await self._close()

    async def _open(self) -> None:
        client = self._bus.client
        self.opened += 1
        self._reconnects = client.stats["reconnects"]
        info = await client.jsm().stream_info(self._stream)
        last, made, self._made = info.state.last_seq, self._made, info.created
        begins = self._whole and not self.caught_up.is_set()  # a first try that failed has told nothing
        if self._at is None:
            self._at = last
        elif self._at > last or made != info.created:
            self._at = 0
            self.on_anew()
        self._consumed = 0
        self._lost.clear()
        inbox = client.new_inbox()
        self._subscription = subscription = Subscription(client, inbox, self._heard)
        await hand_over(client, subscription.command)
        consumer = await client.jsm().add_consumer(
            self._stream,
            ConsumerConfig(
                deliver_subject=inbox,
                deliver_policy=(
                    DeliverPolicy.LAST_PER_SUBJECT if begins else DeliverPolicy.BY_START_SEQUENCE
                ),
                opt_start_seq=None if begins else self._at + 1,
                filter_subject=">" if begins else None,
                ack_policy=AckPolicy.NONE,
                idle_heartbeat=HEARTBEAT,
                inactive_threshold=_FORGOTTEN,
                mem_storage=True,
                num_replicas=1,
            ),
        )
        self._heard_at = self._clock.now
        self._client = client
        if not consumer.num_pending and not self._consumed:
            self.caught_up.set()

    async def _close(self) -> None:
        self._client = None
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.drop()
            if subscription.client is self._bus.client and self._bus.connected:
                with suppress(Exception):  # of a connection that is going
                    await hand_over(subscription.client, subscription.end)

    def _heard(self, subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
        try:
            if not self._lost.is_set():
                self._heard_at = self._clock.now
                self._look_at(subject, reply, parse_headers(headers), bytes(data))
        except Exception:  # the connection, and the other messages, go on
            log.exception("follow.failed", stream=self._stream)

    def _look_at(self, subject: bytes, reply: bytes, headers: dict[str, str], data: bytes) -> None:
        if headers.get("Status"):
            if headers["Status"] != "100" or int(headers.get("Nats-Last-Consumer", 0)) != self._consumed:
                self._lost.set()
            return
        # $JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<delivered>.<seq>.<consumer seq>.<ns>.<pending>
        tokens = reply.split(b".")
        seq, consumed, at_ns, pending = map(int, tokens[5:9] if len(tokens) == 9 else tokens[7:11])
        self._consumed += 1
        if consumed != self._consumed:
            self._lost.set()
            return
        self._at = seq
        self._took(subject.decode(errors="replace"), Stored(seq, headers, data, at_ns / 1e9))
        if not pending:
            self.caught_up.set()
