"""The ledger as a process: streams in, database, outbox and ticks out.

While ``OPS_TICK`` has ticks that are not folded, every stream is folded exactly to a tick's positions before
it acts; a restart and a rebuild do what the first run did. Behind the last tick facts are folded as they
come, and a tick is written when its time has come. Time is that of the facts while some wait, and the
clock's once there are none. The first tick of a process comes before its first fact: from then on an older
ledger cannot write one.
"""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import orjson
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error
from nats.js.api import Header
from nats.js.errors import APIError, NotFoundError

from voltgate.config import Config
from voltgate.csms.alerts.courier import Courier
from voltgate.csms.alerts.mail import Server
from voltgate.csms.ledger import facts, store, streams, ticks, times
from voltgate.csms.ledger.acting import Settings
from voltgate.csms.ledger.asks import UnanswerableError
from voltgate.csms.ledger.books import Books
from voltgate.csms.ledger.facts import Message, UnreadableError
from voltgate.csms.ledger.feed import Feed
from voltgate.csms.ledger.pseudonyms import Pseudonyms
from voltgate.csms.ledger.share import Share
from voltgate.csms.ledger.store import StoreError
from voltgate.csms.ledger.ticks import Position, Tick
from voltgate.ending import ended, uncancelled

log = structlog.get_logger()

T = TypeVar("T")

BATCH = 2000  # facts of one transaction, where so many wait: a page that many change is written once
_SLICE = 0.02  # seconds that a batch waits for company
_AT_ONCE = 1.0  # seconds between two ticks because of decisions
_AGAIN = 1.0
_WAIT = 0.25
_COMES = 10.0  # seconds in which a tick that is stored comes back
_NEVER = 50 * 365 * 86_400.0
_OUT = 200  # entries of the outbox at a time
_ANSWERS = 0.5  # of the writer's time; beyond it no cost is derived: all messages of its session are read
_EXPECTED = "Nats-Expected-Last-Sequence"
_STORED = 10071  # JSStreamWrongLastSequenceErrF: its subject has a message


class MissingError(Exception):
    """A stream is not there; the text says what to do."""


class Ledger:
    """One run. Everything that touches the database happens in its writer thread.

    ``publishes``: whether ticks and the outbox are; a rebuild beside a running ledger only reads.
    """

    def __init__(self, client: Client, config: Config, publishes: bool = True) -> None:
        self._client, self._config, self._publishes = client, config, publishes
        self._streams = streams.of(config)
        self._jetstream = streams.jetstream(client, config)
        self._writer = ThreadPoolExecutor(1, "ledger")
        self._arrived = asyncio.Event()
        self._out = asyncio.Event()
        self._facts: list[Feed] = []
        self._decisions: Feed
        self._ticks: Feed
        self._books: Books
        self._last_tick = times.EPOCH
        self._written = 0  # the last sequence of the stream of ticks when it was opened
        self._first = True
        self._live_at = 0.0
        self._told = 0  # the sum of the positions at the last word on ops.live
        self._touched: set[str] | None = None  # chargers of the facts since then; None: any, a tick has acted
        self._answers = Share(_ANSWERS, burst=1.0)
        self.caught_up = asyncio.Event()
        """Set once everything from before the start is folded."""

    async def run(self, stop: asyncio.Event) -> None:
        """Fold until ``stop``. Raises FencedError, StoreError, and JetStream's errors at the start."""
        await streams.create(self._client, self._config)
        pseudonyms = await pseudonyms_of(self._client, self._config)
        async with AsyncExitStack() as left:
            left.callback(self._writer.shutdown)
            self._books = await self._in_thread(lambda: self._opened(pseudonyms))
            left.push_async_callback(self._in_thread, self._books.close)
            self._last_tick = await self._in_thread(self._books.last_tick)
            for one in self._streams.facts:
                self._facts.append(await self._feed(one, left))
            self._decisions = await self._feed(self._streams.decisions, left)
            self._ticks = await self._feed(self._streams.ticks, left)
            if self._publishes:
                left.push_async_callback((await self._listen()).unsubscribe)
            feeds = [*self._facts, self._decisions, self._ticks]
            log.info("ledger.started", streams=[one.stream for one in feeds])
            async with asyncio.TaskGroup() as tasks:
                out = [tasks.create_task(one) for one in self._outgoing()]
                try:
                    await self._fold(stop)
                finally:
                    await ended(out)

    def _outgoing(self) -> list[Coroutine[Any, Any, None]]:
        """What leaves this process beside the fold."""
        if not self._publishes:
            return []
        mail = Server.configured(self._config.csms)
        return [self._drain(), Courier(self._client, self._config.nats.ops_prefix, mail).run()]

    def _opened(self, pseudonyms: Pseudonyms) -> Books:
        database = store.opened(self._config.csms.database)
        try:
            return Books(database, Settings(self._config.csms, self._config.nats.ops_prefix), pseudonyms)
        except BaseException:
            database.close()
            raise

    async def _feed(self, one: streams.Input, left: AsyncExitStack) -> Feed:
        try:
            info = await self._jetstream.stream_info(one.stream)
        except NotFoundError:
            raise MissingError(f"{one.stream} is missing: `voltgate streams apply` makes it") from None
        created = times.text(info.created) if info.created is not None else ""
        if one is self._streams.ticks:
            self._written = info.state.last_seq
        after = await self._in_thread(lambda: self._books.begin_at(one.stream, created))
        feed = Feed(self._client, self._jetstream, one, self._arrived.set)
        feed.start(after)
        left.push_async_callback(feed.close)
        return feed

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, work)

    # -- the loop -------------------------------------------------------------------------------------------

    async def _fold(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._arrived.clear()
            if self._ticks.waiting:
                await self._act(self._ticks.take(), stop)
            elif not self._ticks.caught_up:
                await self._wait(stop)
            elif self._publishes and (at := self._due()) is not None:
                await self._tick(at, stop)
            elif batch := self._batch():
                await self._in_thread(lambda batch=batch: self._books.fold(batch))  # type: ignore[misc]
                if self._touched is not None:
                    self._touched |= {facts.identity(one.subject.rpartition(".")[2]) for one in batch}
                await self._tell()
            else:
                if self._horizon() is not None:
                    self.caught_up.set()
                await self._tell()
                await self._wait(stop)

    async def _wait(self, stop: asyncio.Event) -> None:
        """Wait for a message, and a moment more for its company."""
        uncancelled()
        with suppress(TimeoutError):
            async with asyncio.timeout(_WAIT):
                await self._arrived.wait()
        full = any(len(feed.waiting) >= BATCH for feed in self._facts)
        if not full and not stop.is_set():
            await asyncio.sleep(_SLICE)

    def _horizon(self) -> datetime | None:
        """Until when everything is folded; None: not known yet."""
        if not all(feed.caught_up or feed.waiting for feed in self._facts):
            return None
        first = min((feed.waiting[0].stored_at for feed in self._facts if feed.waiting), default=None)
        now = datetime.now(UTC)
        return now if first is None else min(now, datetime.fromtimestamp(first, UTC))

    def _due(self) -> datetime | None:
        """The time of a tick that must be written now."""
        at = self._horizon()
        if at is None:
            return None
        at = max(at, self._last_tick)
        since = (at - self._last_tick).total_seconds()
        decided = bool(self._decisions.waiting) and since >= _AT_ONCE
        return at if self._first or decided or since >= self._config.csms.tick_seconds else None

    def _batch(self) -> list[Message]:
        """Facts in the order in which they were stored, but never beyond the next tick's time."""
        batch: list[Message] = []
        step = timedelta(seconds=self._config.csms.tick_seconds if self._publishes else _NEVER)
        until = (max(self._last_tick, times.EPOCH) + step).timestamp()
        heads = [feed for feed in self._facts if feed.waiting]
        while heads and len(batch) < BATCH:
            feed = heads[0] if len(heads) == 1 else min(heads, key=lambda one: one.waiting[0].stored_at)
            if feed.waiting[0].stored_at >= until:
                break
            batch.append(feed.take())
            if not feed.waiting:
                heads.remove(feed)
        return batch

    # -- ticks ----------------------------------------------------------------------------------------------

    async def _tick(self, at: datetime, stop: asyncio.Event) -> None:
        """Write a tick; it acts when it comes back from the stream. One that is not stored is tried again."""
        positions = {feed.stream: self._books.positions[feed.stream] for feed in self._facts}
        decisions = self._books.positions[self._decisions.stream]
        last = self._decisions.waiting[-1].seq if self._decisions.waiting else decisions.seq
        positions[self._decisions.stream] = Position(decisions.created, last)
        subject = f"{self._config.nats.ops_prefix}.tick"
        headers = {_EXPECTED: str(max(self._ticks.seq, self._written))}
        try:
            body = ticks.encoded(at, positions, await self._gauges(at))
            await self._jetstream.publish(subject, body, headers=headers)
        except (Error, TimeoutError) as error:
            if isinstance(error, APIError) and error.err_code == _STORED:
                log.warning("tick.refused", error=str(error))  # another ledger has written one
            else:
                log.warning("tick.failed", error=str(error) or type(error).__name__)
                await asyncio.sleep(_AGAIN)
                return
        with suppress(TimeoutError):
            async with asyncio.timeout(_COMES):
                while not stop.is_set() and not self._ticks.waiting:
                    self._arrived.clear()
                    await self._wait(stop)

    async def _gauges(self, at: datetime) -> dict[str, int]:
        """Seconds that the ledger is late, and percent of the bytes of each stream that has a bound."""
        gauges = {"lag": int((datetime.now(UTC) - at).total_seconds())}
        for feed in self._facts:
            with suppress(Error, TimeoutError):
                info = await self._jetstream.stream_info(feed.stream)
                if (most := info.config.max_bytes or 0) > 0:
                    gauges[feed.stream] = info.state.bytes * 100 // most
        return gauges

    async def _act(self, message: Message, stop: asyncio.Event) -> None:
        """Fold everything to a tick's positions, then act."""
        try:
            tick = ticks.decoded(message)
        except UnreadableError as error:
            log.warning("tick.skipped", seq=message.seq, reason=str(error))
            await self._in_thread(lambda: self._books.skip(message))
            return
        behind = [
            name
            for name, position in tick.positions.items()
            if (have := self._books.positions.get(name)) is not None
            and have.created == position.created
            and have.seq > position.seq
        ]
        if behind:  # somebody wrote it who did not know that these were folded
            log.warning("tick.skipped", seq=message.seq, reason=f"{', '.join(behind)} is folded further")
            await self._in_thread(lambda: self._books.skip(message))
            return
        for feed in self._facts:
            await self._fold_to(feed, tick, stop)
        decided = await self._taken(self._decisions, self._until(self._decisions, tick), stop)
        if stop.is_set():
            return
        await self._in_thread(lambda: self._books.tick(message, decided))
        self._first = False
        self._last_tick = tick.at
        self._out.set()
        self._touched = None
        await self._tell()

    def _until(self, feed: Feed, tick: Tick) -> int:
        position = tick.positions.get(feed.stream)
        have = self._books.positions[feed.stream]
        return position.seq if position is not None and position.created == have.created else 0

    async def _fold_to(self, feed: Feed, tick: Tick, stop: asyncio.Event) -> None:
        seq = self._until(feed, tick)
        while not stop.is_set():
            batch = await self._taken(feed, seq, stop, BATCH)
            if not batch:
                return
            await self._in_thread(lambda batch=batch: self._books.fold(batch))  # type: ignore[misc]

    async def _taken(
        self, feed: Feed, seq: int, stop: asyncio.Event, most: int | None = None
    ) -> Sequence[Message]:
        """Messages up to a sequence; as many as there are, or as are asked for."""
        taken: list[Message] = []
        while not stop.is_set():
            while feed.waiting and feed.waiting[0].seq <= seq and (most is None or len(taken) < most):
                taken.append(feed.take())
            if len(taken) == most or feed.waiting or feed.has(seq):
                break
            self._arrived.clear()
            await self._wait(stop)
        return taken

    # -- questions of backends -------------------------------------------------------------------------------

    async def _listen(self) -> Subscription:
        """Answer ``ops.ask.*``; until all facts from before the start are folded, nothing is known."""
        subject = f"{self._config.nats.ops_prefix}.ask.*"
        return await self._client.subscribe(subject, queue="ledger", cb=self._asked)

    async def _asked(self, message: Msg) -> None:
        what = message.subject.rsplit(".", 1)[1]
        reply: dict[str, Any] = {}
        try:
            question = orjson.loads(message.data)
            if self.caught_up.is_set() and (what != "cost" or self._answers.has()):
                at = datetime.now(UTC)
                reply = await self._in_thread(
                    lambda: self._answers.spend(lambda: self._books.answer(what, question, at))
                )
        except (UnanswerableError, StoreError, orjson.JSONDecodeError) as error:
            log.warning("ask.refused", error=str(error))
        with suppress(Error):
            await message.respond(orjson.dumps(reply))

    # -- out ------------------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        """Publish the outbox: at once after a tick, and what a crash left."""
        while True:
            entries = await self._in_thread(lambda: self._books.outbox(_OUT))
            try:
                for id_, subject, headers, body in entries:
                    await self._publish(subject, orjson.loads(headers) | {Header.MSG_ID.value: id_}, body)
                await self._in_thread(lambda done=[one[0] for one in entries]: self._books.published(done))  # type: ignore[misc]
            except (Error, TimeoutError) as error:
                log.warning("outbox.failed", error=str(error) or type(error).__name__)
                await asyncio.sleep(_AGAIN)
                continue
            if len(entries) < _OUT:
                self._out.clear()
                await self._out.wait()

    async def _publish(self, subject: str, headers: dict[str, str], body: bytes) -> None:
        try:
            await self._jetstream.publish(subject, body, headers=headers)
        except APIError as error:
            if error.err_code != _STORED:  # an earlier run has published it
                raise

    async def _tell(self) -> None:
        """Say on ``ops.live`` that the database has changed, ten times a second at most."""
        now = asyncio.get_running_loop().time()
        if self._publishes and self._touched != set() and now - self._live_at >= 0.1:
            self._live_at = now
            shown = {name: one.seq for name, one in self._books.positions.items()}
            chargers = None if self._touched is None else sorted(self._touched)
            word = {"position": shown, "since": self._told, "chargers": chargers}
            self._told, self._touched = sum(shown.values()), set()
            with suppress(Error):
                await self._client.publish(f"{self._config.nats.ops_prefix}.live", orjson.dumps(word))


async def pseudonyms_of(client: Client, config: Config) -> Pseudonyms:
    """The key of this installation, made when there is none (``ops.person.key.tokens``)."""
    subject = f"{config.nats.ops_prefix}.person.key.tokens"
    stream, js = streams.of(config).people, streams.jetstream(client, config)
    for _ in range(3):
        try:
            found = await js.get_last_msg(stream, subject)
            return Pseudonyms(bytes.fromhex((found.data or b"").decode()))
        except NotFoundError:
            with suppress(APIError):  # another process was first
                await js.publish(
                    subject,
                    secrets.token_hex(32).encode(),
                    headers={"Nats-Expected-Last-Subject-Sequence": "0"},
                )
    raise RuntimeError(f"{subject}: cannot be read")
