"""One stream, every message once and in order: a push consumer that forgets nothing and acknowledges nothing.

The database is the only memory of progress. The server's flow control is answered when what came was taken,
so a replay of millions of messages does not pile up here. A gap, a silence or a new connection opens another
consumer behind the last message.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from voltgate.csms.ledger.facts import Message
from voltgate.csms.ledger.streams import Input
from voltgate.ending import ended, uncancelled

log = structlog.get_logger()

HEARTBEAT = 2.0
_SILENT = 3 * HEARTBEAT
_AGAIN = 1.0
_FORGOTTEN = 60.0  # seconds after which the server removes a consumer without a subscription
# What waits here at most when the server may send more: messages, and bytes of their bodies.
_LOW, _LIGHT = 4000, 8 << 20
_TOKENS = 9  # of a reply subject without a domain


class Feed:
    """``waiting``: not taken yet. ``caught_up``: all from before the start were delivered."""

    def __init__(
        self, client: Client, jetstream: JetStreamContext, source: Input, arrived: Callable[[], None]
    ) -> None:
        self._client, self._jetstream, self._arrived = client, jetstream, arrived
        self.stream, self._subjects = source.stream, source.subjects
        self.waiting: deque[Message] = deque()
        self.caught_up = False
        self.seq = 0
        """The last one delivered."""
        self._consumed = 0
        self._lost = asyncio.Event()
        self._heard_at = 0.0
        self._owed, self._weight = "", 0
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, after: int) -> None:
        """Deliver what follows this sequence."""
        self.seq = after
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """End."""
        if self._task is not None:
            await ended([self._task])

    def has(self, seq: int) -> bool:
        """Whether every message up to this one was delivered, if it is still there."""
        return self.caught_up or self.seq >= seq

    @property
    def stalled(self) -> bool:
        """Whether the server waits until enough is taken."""
        return bool(self._owed)

    def take(self) -> Message:
        """The next message."""
        message = self.waiting.popleft()
        self._weight -= len(message.data)
        if self._owed and self._is_low:
            owed, self._owed = self._owed, ""
            asyncio.get_running_loop().create_task(self._client.publish(owed))
        return message

    @property
    def _is_low(self) -> bool:
        return len(self.waiting) < _LOW and self._weight < _LIGHT

    async def _run(self) -> None:
        while True:
            try:
                await self._open()
                await self._watch()
            except (Error, TimeoutError) as error:
                log.warning("feed.failed", stream=self.stream, error=str(error) or type(error).__name__)
                await asyncio.sleep(_AGAIN)
            finally:
                await self._leave()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() - self._heard_at < _SILENT:
            uncancelled()
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT):
                    await self._lost.wait()
                    return
        log.warning("feed.silent", stream=self.stream)

    async def _open(self) -> None:
        self._consumed, self._owed = 0, ""
        self._lost.clear()
        inbox = self._client.new_inbox()
        self._subscription = await self._client.subscribe(
            inbox, cb=self._received, pending_msgs_limit=-1, pending_bytes_limit=-1
        )
        consumer = await self._jetstream.add_consumer(
            self.stream,
            ConsumerConfig(
                deliver_subject=inbox,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=self.seq + 1,
                filter_subjects=list(self._subjects) or None,
                ack_policy=AckPolicy.NONE,
                max_deliver=1,
                flow_control=True,
                idle_heartbeat=HEARTBEAT,
                inactive_threshold=_FORGOTTEN,
                mem_storage=True,
                num_replicas=1,
            ),
        )
        self._heard_at = asyncio.get_running_loop().time()
        if not consumer.num_pending and not self._consumed:
            self._catch_up()

    async def _leave(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with suppress(Error):
                await subscription.unsubscribe()

    async def _received(self, msg: Msg) -> None:
        if self._lost.is_set():
            return
        self._heard_at = asyncio.get_running_loop().time()
        headers = msg.headers or {}
        if "Status" in headers:
            await self._status(msg, headers)
            return
        # $JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<delivered>.<seq>.<consumer seq>.<ns>.<pending>
        tokens = msg.reply.split(".")
        numbers = tokens[5:9] if len(tokens) == _TOKENS else tokens[7:11]
        seq, consumed, at_ns, pending = map(int, numbers) if len(numbers) == 4 else (0, 0, 0, 0)
        self._consumed += 1
        if consumed != self._consumed:
            self._lost.set()
            return
        self.seq = seq
        self._weight += len(msg.data)
        self.waiting.append(Message(self.stream, seq, msg.subject, headers, msg.data, at_ns / 1e9))
        if not pending:
            self._catch_up()
        self._arrived()

    async def _status(self, msg: Msg, headers: dict[str, str]) -> None:
        stalled = headers.get("Nats-Consumer-Stalled")
        if stalled or (msg.reply and "Nats-Last-Consumer" not in headers):
            self._owed = stalled or msg.reply
            if self._is_low:
                owed, self._owed = self._owed, ""
                await self._client.publish(owed)
        elif headers["Status"] != "100" or headers.get("Nats-Last-Consumer", "0") != str(self._consumed):
            self._lost.set()
        elif not stalled:
            self._catch_up()  # nothing follows, also where the last ones were removed

    def _catch_up(self) -> None:
        self.caught_up = True
        self._arrived()
