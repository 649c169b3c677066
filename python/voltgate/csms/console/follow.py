"""Follows ``OPS_PEOPLE``: the whole stream, then every change; the whole again after NATS was away."""

import asyncio
from contextlib import suppress

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js import JetStreamContext

from voltgate.csms.console.people import People
from voltgate.ending import uncancelled

log = structlog.get_logger()

HEARTBEAT = 2.0  # seconds; nats-py opens another consumer after two without one
PATIENCE = 5.0  # seconds to wait for a revision of one's own
_AGAIN, _POLL = 1.0, 0.02


async def _pause(seconds: float) -> None:
    uncancelled()
    await asyncio.sleep(seconds)


class Following:
    """Fills ``people``; :meth:`run` for the life of the process."""

    def __init__(self, client: Client, stream: str, prefix: str, people: People) -> None:
        self._client, self._stream, self._people = client, stream, people
        self._subject = f"{prefix}.person.>"
        self._seen = -1
        self._subscription: JetStreamContext.PushSubscription | None = None  # once all was read
        self._news = asyncio.Condition()

    async def run(self) -> None:
        """Follow, and begin again whenever the connection was lost."""
        while True:
            reconnects = self._client.stats["reconnects"]
            try:
                await self._follow(reconnects)
            except (Error, TimeoutError, OSError) as error:
                log.warning("people.unfollowed", error=str(error) or type(error).__name__)
                await _pause(_AGAIN)

    async def _follow(self, reconnects: int) -> None:
        people, seen = self._people.fresh(), 0

        async def take(message: Msg) -> None:
            nonlocal seen
            seen = message.metadata.sequence.stream
            people.take(message.subject, seen, message.data)
            if people is self._people:
                await self._reached(seen)

        subscription = await self._client.jetstream().subscribe(
            self._subject, stream=self._stream, cb=take, ordered_consumer=True, idle_heartbeat=HEARTBEAT
        )
        try:
            while not await _is_read(subscription, seen):
                await _pause(_POLL)
            self._people.follow(people)
            people = self._people
            await self._reached(seen)
            self._subscription = subscription
            while self._client.stats["reconnects"] == reconnects:
                await _pause(_AGAIN)
        finally:
            self._subscription = None
            with suppress(Error, TimeoutError):
                await subscription.unsubscribe()

    async def _reached(self, revision: int) -> None:
        async with self._news:
            self._seen = max(self._seen, revision)
            self._news.notify_all()

    async def reached(self, revision: int) -> None:
        """Wait until a revision is known here (0: everything from before the start), though not for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE), self._news:
                await self._news.wait_for(lambda: self._seen >= revision)

    async def caught_up(self) -> None:
        """Wait until all is known here that the stream holds now, though not for ever."""
        with suppress(Error, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while self._subscription is None or not await _is_read(self._subscription, self._seen):
                    await _pause(_POLL)


async def _is_read(subscription: JetStreamContext.PushSubscription, seen: int) -> bool:
    """Whether ``seen`` is the last that the stream holds for it."""
    info = await subscription.consumer_info()
    return info.num_pending == 0 and seen >= ((info.delivered and info.delivered.stream_seq) or 0)
