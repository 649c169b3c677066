"""Server-sent events: the picture of every charger, and what has changed since.

One task reads chargers from the ledger's tables and compares them with the last picture; every listener gets
the same changes. The ledger names the chargers of the facts that it has folded; where it has acted at a tick,
or a word of it was lost, the whole picture is read. The id of an event is the ledger's position, so that a
listener can go on at another console: a change holds what is so now, and one too many does no harm.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
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
    """What is new at ``at``. ``events``: those for listeners of every site, as far as one has taken them."""

    at: Position
    differences: list[Difference]
    events: dict[Form, bytes] = field(default_factory=dict)


class Live:
    """Follow the tables with :meth:`run`; ``documents``: of charger ids; ``lag``: seconds, of the ledger."""

    def __init__(
        self, reader: Reader, documents: Documents, lag: Callable[[], float] = lambda: 0.0, kept: int = KEPT
    ) -> None:
        self._reader, self._documents, self._lag = reader, documents, lag
        self._changes: deque[Change] = deque()
        self._least, self._kept = kept, 0  # rows of changes
        self._picture: dict[str, Document] = {}
        self._order: list[str] = []  # of its ids, as pages list them; empty: to be made
        self._at: Position | None = None
        self._since = 0  # total before the first change that is kept
        self._snapshot: tuple[Position, Form, asyncio.Task[bytes]] | None = None
        self._rest = 0.0  # no whole picture before
        self._word: Word | None = None
        self._due = False  # a whole picture
        self._news = asyncio.Condition()
        self._changed = asyncio.Event()
        self._closed = False

    async def run(self) -> None:
        """For the life of the console."""
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            word, self._word = self._word, None
            try:
                await self._look(word)
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
        return self._at.streams if self._at is not None else {}

    async def _look(self, word: Word | None) -> None:
        """At the chargers of a word; at all of them after a word that was lost, or of a tick."""
        at = self._at
        if word is not None:
            if at is None or word.chargers is None or word.since > at.total:
                self._due = True
            elif (total := sum(word.streams.values())) > at.total:
                told = Position(at.epoch, total, word.streams)
                await self._take(told, await self._documents(sorted(word.chargers)))
        loop = asyncio.get_running_loop()
        if loop.time() < self._rest or (word is not None and not self._due):
            return
        begun, at = loop.time(), self._at
        new = await self._reader.run(position.read)
        if not self._due and at is not None and str(at) == str(new):
            return
        self._due = False
        chargers = await self._documents(await self._reader.run(_ids))
        self._rest = loop.time() + SHARE * (loop.time() - begun)
        if at is None or new.epoch != at.epoch or new.total < at.total:
            self._changes.clear()
            self._kept = 0
            self._picture, self._order = {one["id"]: one for one in chargers}, []
            self._since = new.total
            await self._arrive(new)
        else:
            await self._take(new, chargers)

    async def _take(self, at: Position, chargers: Iterable[Document]) -> None:
        """These chargers are so now."""
        found = (columns.difference(self._picture.get(one["id"]), one) for one in chargers)
        if differences := [one for one in found if one is not None]:
            for one in differences:
                before = self._picture.get(one.charger["id"])
                if before is None or _place(before) != _place(one.charger):
                    self._order = []
                self._picture[one.charger["id"]] = one.charger
            self._changes.append(Change(at, differences))
            self._kept += len(differences)
            while self._kept > max(self._least, len(self._picture)):
                first = self._changes.popleft()
                self._kept -= len(first.differences)
                self._since = first.at.total
        await self._arrive(at)

    async def _arrive(self, at: Position) -> None:
        async with self._news:
            self._at = at
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
        known = position.parsed(last)
        if form is Form.PACKED:
            yield columns.HEADER
        # A page that wakes shows at once what it has as live, if nothing is new.
        waking = form is not Form.DOCUMENTS
        loop, quiet = asyncio.get_running_loop(), SILENCE if form is Form.DOCUMENTS else PULSE
        spoken = loop.time()
        while not self._closed:
            at = self._at
            if at is None or (known is not None and known[1] >= at.total and known[0] == at.epoch):
                if not (waking and at is not None) and await self._moved(at, spoken + quiet - loop.time()):
                    continue
                waking, spoken = False, loop.time()
                yield self._pulse(form)
                continue
            if known is None or known[0] != at.epoch or known[1] < self._since:
                waking, spoken = False, loop.time()
                top = [] if form is Form.DOCUMENTS else list(islice(self._listed(principal), SCREEN + 1))
                if len(top) > SCREEN:  # to write all of them takes a moment
                    yield self._event("part", None, top[:SCREEN], form)
                yield await self._whole(at, principal, form)
            else:
                for change in [one for one in self._changes if one.at.total > known[1]]:
                    seen = change.differences if principal.everywhere else _seen(change, principal)
                    if seen:  # the ledger goes on also where nothing of this listener's has changed
                        waking, spoken = False, loop.time()
                        yield (
                            self._written(change, form)
                            if principal.everywhere
                            else self._events("change", change.at, seen, form)
                        )
            known = at.epoch, at.total

    def top(self, principal: Principal) -> bytes:
        """The first screen of a list as JSON in columns: a page shows it before there are events."""
        return orjson.dumps(columns.shown(islice(self._listed(principal), SCREEN)))

    async def _whole(self, at: Position, principal: Principal, form: Form) -> bytes:
        """A snapshot. Many listeners come at once after a restart: they share it."""
        if not principal.everywhere:
            return await asyncio.to_thread(self._events, "snapshot", at, [*self._listed(principal)], form)
        if self._snapshot is None or self._snapshot[:2] != (at, form):
            making = asyncio.to_thread(self._events, "snapshot", at, [*self._listed(principal)], form)
            self._snapshot = at, form, asyncio.create_task(making)
        return await asyncio.shield(self._snapshot[2])

    def _listed(self, principal: Principal) -> Iterator[Difference]:
        """What a listener sees, in the order of a page: to sort ten thousand takes a phone a second."""
        if not self._order:
            self._order = [one["id"] for one in sorted(self._picture.values(), key=_natural_place)]
        for id_ in self._order:
            one = self._picture[id_]
            if principal.sees(one["site"]):
                yield Difference(one, True, one["connectors"])

    def _written(self, change: Change, form: Form) -> bytes:
        """For listeners of every site: the first one has it written, the others share it."""
        if form not in change.events:
            change.events[form] = self._events("change", change.at, change.differences, form)
        return change.events[form]

    async def _moved(self, at: Position | None, seconds: float) -> bool:
        """Wait until the ledger is not at ``at`` any more; False when it still is after so many seconds."""
        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: self._closed or self._at is not at)
        except TimeoutError:
            return False
        return True

    def _pulse(self, form: Form) -> bytes:
        if form is Form.DOCUMENTS:
            return b": alive\n\n"
        event = b"event: alive\ndata: %s\n\n" % orjson.dumps({"lag": self._lag()})
        return columns.packed(event) if form is Form.PACKED else event

    def _events(self, name: str, at: Position, differences: list[Difference], form: Form) -> bytes:
        """One event; for pages in parts, which a phone reads and draws one by one."""
        end = 0 if form is Form.DOCUMENTS else max(len(differences) - 1, 0) // PART * PART
        parts = [
            self._event("part", None, differences[first : first + PART], form)
            for first in range(0, end, PART)
        ]
        return b"".join([*parts, self._event(name, at, differences[end:], form)])

    def _event(self, name: str, at: Position | None, differences: Iterable[Difference], form: Form) -> bytes:
        """``at`` None: a part, behind which nobody goes on."""
        match form:
            case Form.DOCUMENTS:
                said: dict[str, Any] = {"chargers": [columns.document(one.charger) for one in differences]}
            case Form.COLUMNS | Form.PACKED:
                said = {"lag": self._lag(), **columns.shown(differences)}
            case never:
                assert_never(never)
        streams, id_ = (at.streams, b"id: %s\n" % str(at).encode()) if at is not None else ({}, b"")
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


def _seen(change: Change, principal: Principal) -> list[Difference]:
    return [one for one in change.differences if principal.sees(one.charger["site"])]


def _ids(query: Query) -> list[str]:
    return [row[0] for row in query("SELECT id FROM charger")]
