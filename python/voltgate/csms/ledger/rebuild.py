"""A database made anew from the streams: documents as they are, then every fact that no document has."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from nats.aio.client import Client

from voltgate.config import Config
from voltgate.csms.ledger import store, streams
from voltgate.csms.ledger.acting import Settings
from voltgate.csms.ledger.books import Books
from voltgate.csms.ledger.documents import Parts
from voltgate.csms.ledger.feed import Feed
from voltgate.csms.ledger.service import Ledger, pseudonyms_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was made."""

    documents: int
    sessions: int
    digest: str


async def rebuild(client: Client, config: Config, stop: asyncio.Event) -> Rebuilt:
    """Fill the empty database of ``csms.database``. Publishes nothing: a ledger may run beside it."""
    await streams.create(client, config)
    imported = await _import(client, config)
    ledger = Ledger(client, config, publishes=False)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ledger.run(stop))
        await ledger.caught_up.wait()
        stop.set()
    return await _with_books(
        client, config, lambda books: _made(books, imported, f"{config.nats.ops_prefix}.alert.%")
    )


def _made(books: Books, imported: int, alerts: str) -> Rebuilt:
    with books.begin() as tx:
        # Nobody wants to get the alerts of the past again.
        tx.run("DELETE FROM outbox WHERE subject LIKE ?", alerts)
        (sessions,) = tx.one("SELECT COUNT(*) FROM session") or (0,)
    return Rebuilt(imported, sessions, books.digest())


async def _import(client: Client, config: Config) -> int:
    arrived = asyncio.Event()
    source = streams.Input(streams.of(config).documents)
    feed = Feed(client, streams.jetstream(client, config), source, arrived.set)
    feed.start(0)
    imported, parts = 0, Parts()
    try:
        while not (feed.caught_up and not feed.waiting):
            arrived.clear()
            messages = [feed.take() for _ in range(len(feed.waiting))]
            bodies = [body for one in messages if (body := parts.document(one)) is not None]
            if messages:
                imported += await _with_books(client, config, partial(_take, bodies))
            elif not feed.caught_up:
                await arrived.wait()
    finally:
        await feed.close()
    return imported


def _take(bodies: list[bytes], books: Books) -> int:
    books.take_documents(bodies)
    return len(bodies)


async def _with_books(client: Client, config: Config, work: Callable[[Books], T]) -> T:
    pseudonyms = await pseudonyms_of(client, config)

    def opened() -> T:
        books = Books(
            store.opened(config.csms.database), Settings(config.csms, config.nats.ops_prefix), pseudonyms
        )
        try:
            return work(books)
        finally:
            books.close()

    return await asyncio.to_thread(opened)


async def digest(client: Client, config: Config) -> str:
    """The hash of a database that nobody writes to."""
    return await _with_books(client, config, Books.digest)
