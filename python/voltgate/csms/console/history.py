"""The facts of the streams, read backwards: the newest first, as many as are wanted and no more.

JetStream reads forwards only. A consumer says how many messages follow its start, so the start is moved until
enough follow, and only those are read. Consumers here are forgotten by the server after a few seconds.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from nats.aio.client import Client
from nats.errors import Error
from nats.errors import TimeoutError as NoMessage
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from voltgate.config import Config
from voltgate.csms.console.problems import Kind, Problem
from voltgate.csms.ledger import streams
from voltgate.csms.ledger.facts import Message
from voltgate.csms.ledger.streams import Input

SPANS = [timedelta(minutes=10), *(timedelta(hours=hours) for hours in (2, 24, 24 * 8, 24 * 60))]
ROUNDS = 24  # of halving a span: the longest one comes down to a second
_PAGE = 500
_FORGOTTEN = 10.0  # seconds after which the server removes a consumer that nobody reads
_PATIENCE = 5.0  # seconds for a page of messages that are there
NOW = datetime.max.replace(tzinfo=UTC)


class Reading:
    """What follows the start of one consumer. ``pending``: how many there were when it was made."""

    def __init__(self, subscription: JetStreamContext.PullSubscription, stream: str, pending: int) -> None:
        self._subscription, self._stream, self.pending = subscription, stream, pending

    async def next(self, seconds: float) -> Message | None:
        """The next one, waited for; None: there was none in this time."""
        return next(iter(await self._fetched(1, seconds)), None)

    async def take(self, count: int) -> list[Message]:
        """So many that are there already; fewer where the stream has dropped some since."""
        found: list[Message] = []
        while len(found) < count:
            page = await self._fetched(min(_PAGE, count - len(found)), _PATIENCE)
            found += page
            if not page:
                break
        return found

    async def _fetched(self, count: int, seconds: float) -> list[Message]:
        try:
            page = await self._subscription.fetch(count, timeout=seconds)
        except NoMessage:
            return []
        return [
            Message(
                self._stream,
                one.metadata.sequence.stream,
                one.subject,
                one.headers or {},
                one.data,
                one.metadata.timestamp.timestamp(),
            )
            for one in page
        ]


class History:
    """Reads the streams of one configuration. Raises Problem while NATS does not answer."""

    def __init__(self, client: Client, config: Config) -> None:
        self._jetstream = streams.jetstream(client, config)

    @asynccontextmanager
    async def since(
        self, source: Input, start: datetime | int, *, headers_only: bool = False, lasts: float = _FORGOTTEN
    ) -> AsyncIterator[Reading | None]:
        """What the source has from a time, or from a sequence, on. None: there is no such stream.

        It can be read as long as nobody has waited ``lasts`` seconds before reading on.
        """
        by_time = isinstance(start, datetime)
        try:
            info = await self._jetstream.add_consumer(
                source.stream,
                ConsumerConfig(
                    deliver_policy=DeliverPolicy.BY_START_TIME
                    if by_time
                    else DeliverPolicy.BY_START_SEQUENCE,
                    opt_start_time=start if isinstance(start, datetime) else None,
                    opt_start_seq=start if isinstance(start, int) else None,
                    filter_subjects=list(source.subjects) or None,
                    ack_policy=AckPolicy.NONE,
                    headers_only=headers_only or None,
                    inactive_threshold=lasts,
                    mem_storage=True,
                    num_replicas=1,
                ),
            )
            subscription = await self._jetstream.pull_subscribe_bind(info.name, source.stream)
        except NotFoundError:
            yield None
            return
        except (Error, TimeoutError) as error:
            raise _away(error) from None
        try:
            yield Reading(subscription, source.stream, info.num_pending or 0)
        except Error as error:
            raise _away(error) from None
        finally:
            await subscription.unsubscribe()

    async def latest(
        self, source: Input, count: int, most: int, before: datetime = NOW, back: timedelta = SPANS[-1]
    ) -> list[Message]:
        """The last ``count`` before a time, oldest first: at least, where so many are there.

        Reads at most ``most`` messages.
        """
        end = min(before, datetime.now(UTC))
        after = 0 if before is NOW else await self._count(source, before)
        short, long, there = timedelta(), min(SPANS[0], back), 0
        for span in SPANS:
            long = min(span, back)
            there = await self._count(source, end - long) - after
            if there >= count or long == back:
                break
            short = long
        for _ in range(ROUNDS):
            if there <= most:
                break
            half = short + (long - short) / 2
            nearer = await self._count(source, end - half) - after
            if nearer < count:
                short = half
            else:
                long, there = half, nearer
        if there <= 0:
            return []
        async with self.since(source, end - long) as reading:
            if reading is None:
                return []
            wanted = min(reading.pending - after, most)
            found = await reading.take(wanted) if wanted > 0 else []
        limit = before.timestamp()
        return [one for one in found if one.stored_at < limit]

    async def tail(self, source: Input, count: int, since: datetime) -> list[Message]:
        """At most the last ``count`` of a stream, from a time on; without their bodies."""
        start: datetime | int = since
        if await self._count(source, since) > count:
            start = await self._last(source.stream) - count + 1
        async with self.since(source, start, headers_only=True) as reading:
            return [] if reading is None else await reading.take(min(reading.pending, count))

    async def newest(
        self, sources: Sequence[Input], count: int, most: int, before: datetime
    ) -> list[Message]:
        """The last ``count`` of several sources together, newest first."""
        parts = await asyncio.gather(*(self.latest(one, count, most, before) for one in sources))
        found = [one for part in parts for one in part]
        found.sort(key=lambda one: (one.stored_at, one.seq), reverse=True)
        return found[:count]

    async def _count(self, source: Input, start: datetime) -> int:
        async with self.since(source, start) as reading:
            return 0 if reading is None else reading.pending

    async def _last(self, stream: str) -> int:
        try:
            return (await self._jetstream.stream_info(stream)).state.last_seq
        except (Error, TimeoutError) as error:
            raise _away(error) from None


def _away(error: Exception) -> Problem:
    return Problem(Kind.UNAVAILABLE, f"NATS: {str(error) or type(error).__name__}")
