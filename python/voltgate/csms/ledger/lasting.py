"""The ledger for as long as a process lives: a database that goes away is waited for.

A ledger that has lost its connection ends, with whatever it had in memory; the next one begins at the
positions of the database. One that is fenced does not come back, nor does one that never had a database.
"""

import asyncio
from contextlib import suppress

import structlog
from nats.aio.client import Client

from voltgate.config import Config
from voltgate.csms.ledger.service import Ledger
from voltgate.csms.ledger.store import LostError, StoreError

log = structlog.get_logger()

_AGAIN = 1.0  # seconds between two attempts


async def run(client: Client, config: Config, stop: asyncio.Event) -> None:
    """Fold until ``stop``. Raises FencedError, StoreError, and JetStream's errors at the start."""
    awaited: type[StoreError] = LostError
    while not stop.is_set():
        try:
            await Ledger(client, config).run(stop)
        except* awaited as errors:
            log.warning("database.lost", error=str(errors.exceptions[0]))
            awaited = StoreError  # it had answered: it is waited for, whatever it says now
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _AGAIN)
