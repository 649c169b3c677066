"""A ledger that keeps the books of a real NATS for the length of a block, and what it has written."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from nats.aio.client import Client

from jetstream import PATIENCE
from voltgate.config import Config
from voltgate.csms.ledger import rebuild, store
from voltgate.csms.ledger.service import Ledger
from voltgate.csms.ledger.store import Row, StoreError


@asynccontextmanager
async def running(client: Client, config: Config) -> AsyncIterator[None]:
    """A ledger; it stops at the end of the block, and its fault is raised there."""
    stop = asyncio.Event()
    task = asyncio.create_task(Ledger(client, config).run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def derived(client: Client, config: Config) -> str:
    """The hash of a database whose ledger has stopped, perhaps between writing a tick and folding it."""
    ledger, stop = Ledger(client, config, publishes=False), asyncio.Event()
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        tasks.create_task(ledger.run(stop))
        await ledger.caught_up.wait()
        stop.set()
    return await rebuild.digest(client, config)


_TABLES = {"sqlite": "sqlite_master WHERE name", "postgresql": "pg_tables WHERE tablename"}


def rows(config: Config, sql: str) -> list[Row]:
    """What a query finds in the database; nothing as long as the ledger has not made it, or it is away."""
    url = config.csms.database
    kind = url.partition(":")[0]
    if kind == "sqlite" and not Path(store.sqlite_path(url)).is_file():
        return []
    try:
        database = store.opened(url)
    except StoreError:
        return []
    try:
        with database.begin() as tx:
            (tables,) = tx.one(f"SELECT COUNT(*) FROM {_TABLES[kind]} = 'position'") or (0,)
            return tx.all(sql) if tables else []
    finally:
        database.close()


async def until(holds: Callable[[], Any]) -> Any:
    """Wait until a condition holds that nobody announces; what it returned."""
    async with asyncio.timeout(PATIENCE):
        while not (found := holds()):
            await asyncio.sleep(0.05)
    return found
