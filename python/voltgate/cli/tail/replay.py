"""Reads the streams for ``voltgate tail --since``: stored messages from a time on, then new ones.

One consumer per stream delivers both, so no message is missed or repeated in between. It is pulled page by
page: however long the history is, memory holds one page per stream. Not here: class live, which no stream
keeps (docs/contract.md 3.2).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

import orjson

from voltgate.cli.check.subjects import uncovered
from voltgate.cli.faults import USAGE, Failure
from voltgate.config import Nats

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

# Class -> the end of the name of the stream that keeps it (docs/contract.md 3.7).
STREAMS = {
    "tx": "TX",
    "event": "EVENTS",
    "command": "COMMANDS",
    "reject": "REJECTS",
    "security": "REJECTS",
    "violation": "REJECTS",
    "link": "LINKS",
}
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

PAGE = 256  # messages
_PAGE_BYTES = 8 << 20
_NANO = 1_000_000_000
_EXPIRES, _HEARTBEAT = 30 * _NANO, 5 * _NANO
_SILENT = 12.0  # seconds without even a heartbeat: the consumer, or its server, is gone
_FORGOTTEN = 60.0  # seconds after which the server forgets an unused consumer
_RETRY = 1.0


def moment(text: str) -> datetime:
    """``10m`` ago, or an RFC 3339 time. Raises Failure (usage)."""
    now = datetime.now(UTC)
    at = None
    with suppress(ValueError, OverflowError):
        if text[-1:] in UNITS:
            at = now - timedelta(**{UNITS[text[-1]]: float(text[:-1])})
        else:
            given = datetime.fromisoformat(text)
            at = given.astimezone(UTC) if given.tzinfo is not None else None
    if at is None or at > now:
        raise Failure(
            f"--since {text}: must be a duration (90s, 10m, 2h, 7d), or a past time with its zone "
            "(2026-01-31T12:00:00Z)",
            USAGE,
        )
    return at


@dataclass(frozen=True, slots=True)
class Source:
    """A stream and the subjects wanted from it."""

    stream: str
    subjects: list[str]


def sources(nats: Nats, patterns: list[str]) -> list[Source]:
    """The streams that keep what these patterns ask for."""
    wanted: dict[str, list[str]] = {}
    for class_, suffix in STREAMS.items():
        wanted.setdefault(f"{nats.stream_prefix}_{suffix}", []).extend(narrowed(patterns, class_))
    return [Source(stream, subjects) for stream, subjects in wanted.items() if subjects]


def narrowed(patterns: list[str], class_: str) -> list[str]:
    """The patterns as they read within one class, none covered by another."""
    within = []
    for pattern in patterns:
        prefix, first, *rest = pattern.split(".")
        if first == ">":
            rest = [">"]
        elif first not in (class_, "*"):
            continue
        if class_ == "link":  # has one token behind it
            rest = ["*"] if rest == [">"] else rest if len(rest) == 1 else []
        if rest:
            within.append(".".join((prefix, class_, *rest)))
    return uncovered(within)


_ROUNDED = timedelta(milliseconds=1)  # more than the servers' nanoseconds lose in a datetime


class Reader:
    """One stream, read in order from a time on."""

    def __init__(self, client: "Client", source: Source, since: datetime) -> None:
        self._client, self._source, self._since = client, source, since
        self._last, self._last_at = 0, since  # sequence and time of what was read last
        self._left = -1  # of the past; -1: not known yet
        self._consumer = ""
        self._taken = 0  # from this consumer
        self._asked = 0  # messages of the page still to come
        self._page = ""  # the subject of the server's status messages about this page
        self._pages = 0
        self._inbox = ""
        self._arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._subscription: Subscription | None = None

    async def open(self) -> None:
        """Make the consumer. Raises Failure."""
        from nats.errors import Error  # noqa: PLC0415
        from nats.js.errors import NotFoundError  # noqa: PLC0415

        from voltgate.gateway.preflight import jetstream_fault  # noqa: PLC0415

        try:
            await self._open()
        except NotFoundError:
            raise Failure(f"stream {self._source.stream} is missing: run `voltgate streams apply`") from None
        except (Error, TimeoutError) as error:
            raise Failure(jetstream_fault(error)) from None

    async def past(self) -> "Msg | None":
        """The next message that was stored when the reader was opened; None at the end of these."""
        message = await self._take(waiting=False) if self._left else None
        # Fewer may come than were counted: old messages leave a stream meanwhile.
        self._left = min(self._left - 1, message.metadata.num_pending) if message else 0
        return message

    async def present(self) -> "Msg":
        """The next message after :meth:`past`, waited for."""
        while True:
            if message := await self._take(waiting=True):
                return message

    def reopen(self) -> None:
        """After a reconnect: continue with a new consumer."""
        self._arrived.put_nowait(None)

    async def close(self) -> None:
        """Delete the consumer, if the server answers."""
        from nats.errors import Error  # noqa: PLC0415

        if self._client.is_connected:  # else the server deletes it by itself
            with suppress(Error, TimeoutError):
                await self._client.jsm(timeout=1).delete_consumer(self._source.stream, self._consumer)

    async def _open(self) -> None:
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy  # noqa: PLC0415

        consumer = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            filter_subjects=self._source.subjects,
            inactive_threshold=_FORGOTTEN,
            mem_storage=True,
            num_replicas=1,
            # Not by sequence: a stream that was restored from a backup has other messages at those of before.
            deliver_policy=DeliverPolicy.BY_START_TIME,
            opt_start_time=self._since,
        )
        info = await self._client.jsm().add_consumer(self._source.stream, consumer)
        self._consumer, self._taken, self._asked = info.name, 0, 0
        pending = info.num_pending or 0
        self._left = pending if self._left < 0 else min(self._left, pending)
        if self._subscription:
            await self._subscription.unsubscribe()
        # A new inbox: what the previous consumer still sends is not received.
        self._inbox, self._arrived = self._client.new_inbox(), asyncio.Queue()
        self._subscription = await self._client.subscribe(f"{self._inbox}.*", cb=self._arrived.put)

    async def _take(self, waiting: bool) -> "Msg | None":
        """The next message; None when a page has ended short, or nothing more is stored."""
        while True:
            if not self._asked:
                await self._pull(waiting)
            if (message := await self._next()) is None:
                await self._read_on()
            elif message.subject.startswith(self._inbox):  # a status of the server, not a message
                if message.subject != self._page:
                    continue  # "Batch Completed", behind a page that was full
                status = (message.headers or {}).get("Status", "")
                if status == "503" or "Deleted" in (message.headers or {}).get("Description", ""):
                    await self._read_on()
                elif status != "100":
                    self._asked = 0
                    if status == "404" or waiting:
                        return None
            else:
                at = message.metadata.sequence
                self._taken += 1
                if at.consumer != self._taken:  # some were lost on the way: they are still in the stream
                    await self._read_on()
                    continue
                self._asked -= 1
                stored_at = message.metadata.timestamp
                if at.stream <= self._last and stored_at <= self._last_at:
                    continue  # read by the consumer before this one
                self._last, self._last_at, self._since = at.stream, stored_at, stored_at - _ROUNDED
                return message

    async def _next(self) -> "Msg | None":
        """The next arrival; None after a reconnect, or if nothing arrives for too long."""
        if not self._arrived.empty():  # a timer for each message of a page would cost more than the message
            return self._arrived.get_nowait()
        with suppress(TimeoutError):
            return await asyncio.wait_for(self._arrived.get(), _SILENT)
        return None

    async def _pull(self, waiting: bool) -> None:
        page: dict[str, Any] = {"max_bytes": max(_PAGE_BYTES, 2 * self._client.max_payload)}
        if waiting:
            page |= {"batch": PAGE, "expires": _EXPIRES, "idle_heartbeat": _HEARTBEAT}
        else:
            page |= {"batch": min(PAGE, max(self._left, 1)), "no_wait": True}
        self._asked = page["batch"]
        self._pages += 1
        self._page = f"{self._inbox}.{self._pages}"
        api = self._client.jsm()._prefix  # noqa: SLF001 - nats-py's pull subscriptions take a page at a time
        subject = f"{api}.CONSUMER.MSG.NEXT.{self._source.stream}.{self._consumer}"
        await self._client.publish(subject, orjson.dumps(page), reply=self._page)

    async def _read_on(self) -> None:
        """Make a new consumer behind what was read, as soon as a server answers."""
        from nats.errors import Error  # noqa: PLC0415

        while True:
            try:
                return await self._open()
            except (Error, TimeoutError):
                await asyncio.sleep(_RETRY)


async def merged(readers: list[Reader]) -> AsyncIterator["Msg"]:
    """The stored messages of all readers by the servers' time; one message of each is held at a time."""
    heads = []
    for number, reader in enumerate(readers):
        if message := await reader.past():
            heads.append((message.metadata.timestamp, number, message))
    heapify(heads)
    while heads:
        _, number, message = heappop(heads)
        yield message
        if following := await readers[number].past():
            heappush(heads, (following.metadata.timestamp, number, following))
