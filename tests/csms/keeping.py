"""A ledger that keeps the books of a real NATS for the length of a block, and what it has written."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from nats.aio.client import Client

from jetstream import PATIENCE
from voltgate.config import Config
from voltgate.csms.ledger import store
from voltgate.csms.ledger.service import Ledger
from voltgate.csms.ledger.store import Row


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


def rows(config: Config, sql: str) -> list[Row]:
    """What a query finds in a database of SQLite; nothing as long as the ledger has not made it."""
    if not Path(store.sqlite_path(config.csms.database)).is_file():
        return []
    database = store.opened(config.csms.database)
    try:
        with database.begin() as tx:
            (tables,) = tx.one("SELECT COUNT(*) FROM sqlite_master WHERE name = 'position'") or (0,)
            return tx.all(sql) if tables else []
    finally:
        database.close()


async def until(holds: Callable[[], Any]) -> Any:
    """Wait until a condition holds that nobody announces; what it returned."""
    async with asyncio.timeout(PATIENCE):
        while not (found := holds()):
            await asyncio.sleep(0.05)
    return found
