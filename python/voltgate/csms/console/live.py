"""Server-sent events: the picture of every charger, and what has changed since.

One task reads the picture from the ledger's tables and compares it with the last one; every listener gets the
same changes. The id of an event is the ledger's position, so that a listener can go on at another console:
a change holds whole chargers, and one too many does no harm.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson
import structlog

from voltgate.csms.console import position
from voltgate.csms.console.position import Position
from voltgate.csms.console.reader import Query, Reader
from voltgate.csms.console.roles import Principal
from voltgate.csms.ledger.store import StoreError

log = structlog.get_logger()

Document = dict[str, Any]
Documents = Callable[[list[str]], Awaitable[list[Document]]]
Picture = dict[str, tuple[Any, ...]]
PERIOD = 0.1  # seconds between two looks at the position, at least
LOOK = 1.0  # and without a word of the ledger: one that is said can be lost
SHARE = 10  # a look that took long is followed by so many times as much rest
KEPT = 600  # changes, for listeners that come back
SILENCE = 15.0  # seconds until a comment shows that the connection is alive


@dataclass(frozen=True, slots=True)
class Change:
    """Chargers as they are at ``at``, which were different at the change before."""

    at: Position
    chargers: list[Document]
    event: bytes
    """For listeners of every site."""


class Live:
    """Follow the tables with :meth:`run`; ``documents``: the documents of charger ids."""

    def __init__(self, reader: Reader, documents: Documents, kept: int = KEPT) -> None:
        self._reader, self._documents = reader, documents
        self._changes: deque[Change] = deque(maxlen=kept)
        self._picture: dict[str, Document] = {}
        self._at: Position | None = None
        self._since = 0  # total before the first change that is kept
        self._news = asyncio.Condition()
        self._changed = asyncio.Event()
        self._closed = False

    async def run(self) -> None:
        """For the life of the console."""
        loop, seen = asyncio.get_running_loop(), dict[str, tuple[Any, ...]]()
        while True:
            begun = loop.time()
            self._changed.clear()
            try:
                seen = await self._look(seen)
            except StoreError as error:
                log.debug("live.failed", error=str(error))
            await asyncio.sleep(max(PERIOD, SHARE * (loop.time() - begun)))
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._changed.wait()

    def changed(self) -> None:
        """The ledger says that the tables have changed."""
        self._changed.set()

    async def _look(self, seen: Picture) -> Picture:
        at = await self._reader.run(position.read)
        if self._at is not None and str(at) == str(self._at):
            return seen
        anew = self._at is None or at.epoch != self._at.epoch or at.total < self._at.total
        picture = await self._reader.run(_picture)
        changed = [id_ for id_, rows in picture.items() if anew or seen.get(id_) != rows]
        chargers = await self._documents(changed)
        if anew:
            self._changes.clear()
            self._picture.clear()
        self._picture.update((charger["id"], charger) for charger in chargers)
        if anew:
            self._since = at.total
        elif chargers:
            if len(self._changes) == self._changes.maxlen:
                self._since = self._changes[0].at.total
            self._changes.append(Change(at, chargers, _event("change", at, chargers)))
        async with self._news:
            self._at = at
            self._news.notify_all()
        return picture

    async def close(self) -> None:
        """End every listener's events."""
        async with self._news:
            self._closed = True
            self._news.notify_all()

    async def events(self, principal: Principal, last: str) -> AsyncGenerator[bytes]:
        """What a listener is sent, which has seen everything up to the event ``last``."""
        known = position.parsed(last)
        while not self._closed:
            at = self._at
            if at is None or (known is not None and known[1] >= at.total and known[0] == at.epoch):
                yield await self._wait(at)
                continue
            if known is None or known[0] != at.epoch or known[1] < self._since:
                yield _event("snapshot", at, _seen(self._picture.values(), principal))
            else:
                for change in [one for one in self._changes if one.at.total > known[1]]:
                    if principal.everywhere:
                        yield change.event
                    elif chargers := _seen(change.chargers, principal):
                        yield _event("change", change.at, chargers)
            known = at.epoch, at.total

    async def _wait(self, at: Position | None) -> bytes:
        """Nothing, or a comment when nothing has happened for long."""
        try:
            async with asyncio.timeout(SILENCE), self._news:
                await self._news.wait_for(lambda: self._closed or self._at is not at)
        except TimeoutError:
            return b": alive\n\n"
        return b""


def _seen(chargers: Iterable[Document], principal: Principal) -> list[Document]:
    return [one for one in chargers if principal.sees(one["site"])]


def _event(name: str, at: Position, chargers: list[Document]) -> bytes:
    data = orjson.dumps({"position": at.streams, "chargers": chargers})
    return b"event: %s\nid: %s\ndata: %s\n\n" % (name.encode(), str(at).encode(), data)


def _picture(query: Query) -> Picture:
    """Whatever of a charger is shown: its rows, by its id."""
    found: dict[str, list[Any]] = {
        row[0]: [row]
        for row in query("SELECT id, link, link_at, vendor, model, firmware, version, site FROM charger")
    }
    for sql in (
        "SELECT charger, evse, connector, status, error, since FROM connector ORDER BY evse, connector",
        "SELECT charger, id, power_w, mwh, soc_to FROM session WHERE state = 'open' ORDER BY id",
        "SELECT id, seq FROM decision WHERE kind = 'charger' ORDER BY seq",  # its name
    ):
        for row in query(sql):
            if row[0] in found:
                found[row[0]].append(row)
    return {id_: tuple(rows) for id_, rows in found.items()}
