"""Server-sent events: the picture of every charger, and what has changed since.

One task reads chargers from the ledger's tables and compares them with the last picture; every listener gets
the same changes. The ledger names the chargers of the facts that it has folded; where it has acted at a tick,
or a word of it was lost, the whole picture is read, in pieces: what is named meanwhile does not wait for it.
The id of an event is a position of the ledger up to which nothing is missing, so that a listener can go on at
another console: a change holds what is so now, and one too many does no harm.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from typing import Any, assert_never

import orjson
import structlog

from voltgate.csms.console import columns, position
from voltgate.csms.console.columns import Difference
from voltgate.csms.console.position import Position
from voltgate.csms.console.reader import Query, Reader
from voltgate.csms.console.roles import Principal
from voltgate.csms.ledger.store import StoreError

log = structlog.get_logger()

Document = dict[str, Any]
Documents = Callable[[list[str]], Awaitable[list[Document]]]
PERIOD = 0.05  # seconds between two looks, at least
LOOK = 1.0  # and without a word of the ledger: one that is said can be lost
SHARE = 10  # the whole picture is followed by so many times as much rest from whole pictures
SCREEN = 24  # chargers at the top of the list
PART = 250  # chargers of one event in columns
PIECE = 250  # chargers that are read at once
KEPT = 600  # rows of changes at least, for listeners that come back; more is longer than a snapshot
_NUMBERS = re.compile(r"([^0-9]*)([0-9]{0,18})")
SILENCE = 15.0  # seconds until a comment shows that the connection is alive
PULSE = 5.0  # seconds until an event does, for pages: they see no comments


class Form(StrEnum):
    """How events are written."""

    DOCUMENTS = "documents"
    COLUMNS = "columns"
    PACKED = "packed"
    """Columns, as blocks of a gzip stream."""


@dataclass(frozen=True, slots=True)
class Word:
    """What the ledger says. ``since``: the sum of its positions when it said something before."""

    streams: dict[str, int]
    since: int
    chargers: frozenset[str] | None
    """None: any may have changed."""

    def after(self, other: "Word") -> "Word":
        """Both in one."""
        both = None if None in (self.chargers, other.chargers) else self.chargers | other.chargers  # type: ignore[operator]
        return Word(self.streams, other.since, both)


def word(data: bytes) -> Word:
    """What cannot be read says that any may have changed."""
    try:
        said = orjson.loads(data)
        chargers = said["chargers"]
        return Word(
            dict(said["position"]), int(said["since"]), None if chargers is None else frozenset(chargers)
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return Word({}, 0, None)


@dataclass(frozen=True, slots=True)
class Change:
    """What is new at ``at``; up to ``sure`` nothing is missing. ``events``: as far as one was written."""

    number: int
    at: Position
    sure: Position
    differences: list[Difference]
    events: dict[Form, bytes] = field(default_factory=dict)


class Live:
    """Follow the tables with :meth:`run`; ``documents``: of charger ids; ``lag``: seconds, of the ledger."""

    def __init__(
        self, reader: Reader, documents: Documents, lag: Callable[[], float] = lambda: 0.0, kept: int = KEPT
    ) -> None:
        self._reader, self._documents, self._lag = reader, documents, lag
        self._changes: deque[Change] = deque()
        self._number = self._lost = 0  # of the last change, and of the last that is not kept any more
        self._least, self._kept = kept, 0  # rows of changes
        self._picture: dict[str, Document] = {}
        self._order: list[str] = []  # of its ids, as pages list them; empty: to be made
        self._at = self._sure = Position("", 0, {})
        self._since = 0  # total before the first change that is kept
        self._snapshot: tuple[int, Form, asyncio.Task[bytes]] | None = None
        self._rest = 0.0  # no whole picture before
        self._word: Word | None = None
        self._due = self._again = True  # a whole picture, and one more
        self._news = asyncio.Condition()
        self._changed = asyncio.Event()
        self._closed = False

    async def run(self) -> None:
        """For the life of the console."""
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            try:
                await self._look()
            except StoreError as error:
                log.debug("live.failed", error=str(error))
            await asyncio.sleep(PERIOD)
            with suppress(TimeoutError):
                async with asyncio.timeout(max(LOOK, self._rest - loop.time())):
                    await self._changed.wait()

    def changed(self, word: Word) -> None:
        """The ledger says that the tables have changed."""
        self._word = word if self._word is None else word.after(self._word)
        self._changed.set()

    @property
    def streams(self) -> Mapping[str, int]:
        """The positions of the picture."""
        return self._at.streams

    async def _look(self) -> None:
        """At the chargers that were named; at all of them after a word that was lost, or of a tick."""
        told = await self._follow()
        loop = asyncio.get_running_loop()
        if (told and not self._due) or loop.time() < self._rest:
            return
        begun = loop.time()
        new = await self._reader.run(position.read)
        if self._due or str(self._at) != str(new):
            await self._all(new)
            self._rest = loop.time() + SHARE * (loop.time() - begun)

    async def _follow(self) -> bool:
        """At the chargers that were named, if any were."""
        word, self._word = self._word, None
        if word is None or not self._at.epoch:
            return False
        if word.chargers is None or word.since > self._at.total:
            self._due = self._again = True
        if (total := sum(word.streams.values())) > self._at.total:
            chargers = await self._documents(sorted(word.chargers)) if word.chargers else []
            self._reach(Position(self._at.epoch, total, word.streams))
            await self._take(chargers)
        return True

    async def _all(self, new: Position) -> None:
        """At every charger; the tables are at ``new`` at least."""
        self._due, self._again = True, False
        ids = await self._reader.run(_ids)
        if new.epoch != self._at.epoch or new.total < self._at.total:
            await self._begin(new, await self._documents(ids))
            self._due = False
        else:
            self._reach(new)
            while len(ids) > PIECE:
                piece, ids = ids[:PIECE], ids[PIECE:]
                await self._take(await self._documents(piece))
                await self._follow()
            last = await self._documents(ids)
            self._due = self._again
            self._reach(self._at)
            await self._take(last)

    async def _begin(self, at: Position, chargers: Iterable[Document]) -> None:
        """A picture that no listener has seen anything of."""
        self._changes.clear()
        self._kept, self._since = 0, at.total
        self._picture, self._order = {one["id"]: one for one in chargers}, []
        self._at = self._sure = at
        await self._next(lost=True)

    def _reach(self, at: Position) -> None:
        self._at = at
        if not self._due:
            self._sure = at

    async def _take(self, chargers: Iterable[Document]) -> None:
        """These chargers are so now."""
        found = (columns.difference(self._picture.get(one["id"]), one) for one in chargers)
        if differences := [one for one in found if one is not None]:
            for one in differences:
                before = self._picture.get(one.charger["id"])
                if before is None or _place(before) != _place(one.charger):
                    self._order = []
                self._picture[one.charger["id"]] = one.charger
            self._changes.append(Change(self._number + 1, self._at, self._sure, differences))
            self._kept += len(differences)
            while self._kept > max(self._least, len(self._picture)):
                first = self._changes.popleft()
                self._kept -= len(first.differences)
                self._since, self._lost = first.at.total, first.number
            await self._next()

    async def _next(self, lost: bool = False) -> None:
        """``lost``: all that listeners have seen."""
        async with self._news:
            self._number += 1
            if lost:
                self._lost = self._number
            self._news.notify_all()

    async def close(self) -> None:
        """End every listener's events."""
        async with self._news:
            self._closed = True
            self._news.notify_all()

    async def events(
        self, principal: Principal, last: str, form: Form = Form.DOCUMENTS
    ) -> AsyncGenerator[bytes]:
        """What a listener is sent, which has seen everything up to the event ``last``."""
        known, seen = position.parsed(last), -1
        if form is Form.PACKED:
            yield columns.HEADER
        # A page that wakes shows at once what it has as live, if nothing is new.
        waking = form is not Form.DOCUMENTS
        loop, quiet = asyncio.get_running_loop(), SILENCE if form is Form.DOCUMENTS else PULSE
        spoken = loop.time()
        while not self._closed:
            if known is not None and self._number:
                seen, known = self._resumed(*known), None
            number = self._number
            if seen == number or not number:
                if not (waking and number) and await self._moved(number, spoken + quiet - loop.time()):
                    continue
                waking, spoken = False, loop.time()
                yield self._pulse(form)
            elif seen < self._lost:
                waking, spoken = False, loop.time()
                top = [] if form is Form.DOCUMENTS else list(islice(self._listed(principal), SCREEN + 1))
                if len(top) > SCREEN:  # to write all of them takes a moment
                    yield self._event("part", None, top[:SCREEN], form)
                seen, whole = self._number, self._whole(principal, form)
                yield await whole
            else:
                news = [one for one in self._changes if one.number > seen]
                seen = number
                for change in news:
                    mine = change if principal.everywhere else _seen(change, principal)
                    if mine.differences:  # it may be of other sites
                        waking, spoken = False, loop.time()
                        yield self._written(mine, form)

    def _resumed(self, epoch: str, total: int) -> int:
        """The last change of those that a listener has seen; -1: it needs a snapshot."""
        if epoch != self._at.epoch or total < self._since:
            return -1
        return max((one.number for one in self._changes if one.at.total <= total), default=self._lost)

    def top(self, principal: Principal) -> bytes:
        """The first screen of a list as JSON in columns: a page shows it before there are events."""
        return orjson.dumps(columns.shown(islice(self._listed(principal), SCREEN)))

    def _whole(self, principal: Principal, form: Form) -> Awaitable[bytes]:
        """A snapshot of now. Many listeners come at once after a restart: they share it."""
        if principal.everywhere and self._snapshot is not None and self._snapshot[:2] == (self._number, form):
            return asyncio.shield(self._snapshot[2])
        picture = Change(self._number, self._at, self._sure, [*self._listed(principal)])
        making = asyncio.create_task(asyncio.to_thread(self._events, "snapshot", picture, form))
        if principal.everywhere:
            self._snapshot = self._number, form, making
        return asyncio.shield(making)

    def _listed(self, principal: Principal) -> Iterator[Difference]:
        """What a listener sees, in the order of a page: to sort ten thousand takes a phone a second."""
        if not self._order:
            self._order = [one["id"] for one in sorted(self._picture.values(), key=_natural_place)]
        for id_ in self._order:
            one = self._picture[id_]
            if principal.sees(one["site"]):
                yield Difference(one, True, one["connectors"])

    def _written(self, change: Change, form: Form) -> bytes:
        """The first listener has it written, the others share it."""
        if form not in change.events:
            change.events[form] = self._events("change", change, form)
        return change.events[form]

    async def _moved(self, number: int, seconds: float) -> bool:
        """Wait for what comes after change ``number``; False: nothing in so many seconds."""
        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: self._closed or self._number != number)
        except TimeoutError:
            return False
        return True

    def _pulse(self, form: Form) -> bytes:
        if form is Form.DOCUMENTS:
            return b": alive\n\n"
        event = b"event: alive\ndata: %s\n\n" % orjson.dumps({"lag": self._lag()})
        return columns.packed(event) if form is Form.PACKED else event

    def _events(self, name: str, change: Change, form: Form) -> bytes:
        """One event; for pages in parts, which a phone reads and draws one by one."""
        differences = change.differences
        end = 0 if form is Form.DOCUMENTS else max(len(differences) - 1, 0) // PART * PART
        parts = [
            self._event("part", None, differences[first : first + PART], form)
            for first in range(0, end, PART)
        ]
        return b"".join([*parts, self._event(name, change, differences[end:], form)])

    def _event(self, name: str, of: Change | None, differences: Iterable[Difference], form: Form) -> bytes:
        """``of`` None: a part, behind which nobody goes on."""
        match form:
            case Form.DOCUMENTS:
                said: dict[str, Any] = {"chargers": [columns.document(one.charger) for one in differences]}
            case Form.COLUMNS | Form.PACKED:
                said = {"lag": self._lag(), **columns.shown(differences)}
            case never:
                assert_never(never)
        streams, id_ = (of.at.streams, b"id: %s\n" % str(of.sure).encode()) if of is not None else ({}, b"")
        data = orjson.dumps({"position": streams} | said)
        event = b"event: %s\n%sdata: %s\n\n" % (name.encode(), id_, data)
        return columns.packed(event) if form is Form.PACKED else event


def _place(charger: Document) -> tuple[str, str]:
    """In the list of a page."""
    return charger["site"] or "", charger["name"] or charger["id"]


def _natural_place(charger: Document) -> tuple[list[tuple[str, int]], ...]:
    return tuple(map(_natural, _place(charger)))


def _natural(label: str) -> list[tuple[str, int]]:
    """``Bay 9`` comes before ``Bay 10``."""
    return [(text, int(number or 0)) for text, number in _NUMBERS.findall(label.casefold())]


def _seen(change: Change, principal: Principal) -> Change:
    seen = [one for one in change.differences if principal.sees(one.charger["site"])]
    return replace(change, differences=seen, events={})


def _ids(query: Query) -> list[str]:
    return [row[0] for row in query("SELECT id FROM charger")]
