"""The CSMS of ``voltgate dev``: ledger and console, on a database in the data directory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voltgate.cli.csms.commands import faults
from voltgate.cli.faults import Failure
from voltgate.cli.service import connected
from voltgate.config import Config

if TYPE_CHECKING:
    from nats.aio.client import Client

OPERATOR = "dev"
LEAVE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Running:
    """``ended``: done when the ledger has ended, with its fault. ``link``: logs in once.

    ``certificate``: the file of the console's certificate; None: it serves HTTP.
    """

    ended: "asyncio.Task[None]"
    host: str
    link: str
    certificate: Path | None


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Running]:
    """Ledger and console for the length of the block. Raises Failure."""
    from voltgate.csms.console import persons  # noqa: PLC0415 - not every command needs aiohttp
    from voltgate.csms.console.server import ConsoleError, served  # noqa: PLC0415

    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        feeding = await stack.enter_async_context(connected(config, "voltgate-csms-ledger"))
        ended = asyncio.create_task(_ledger(feeding, config, stop))
        stack.push_async_callback(asyncio.wait, {ended}, timeout=LEAVE_SECONDS)
        stack.callback(stop.set)
        client = await stack.enter_async_context(connected(config, "voltgate-csms-console"))
        try:
            console = await stack.enter_async_context(served(client, config))
        except ConsoleError as error:
            raise Failure(str(error)) from None
        link = await persons.terminal_link(console.writer, config, OPERATOR, "admin")
        pairs = config.csms.tls_certificates
        yield Running(ended, config.csms.host, link, Path(pairs[0][0]) if pairs else None)


async def _ledger(client: "Client", config: Config, stop: asyncio.Event) -> None:
    from voltgate.csms.ledger import lasting  # noqa: PLC0415

    with faults():
        await lasting.run(client, config, stop)
