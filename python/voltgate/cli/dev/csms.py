"""The CSMS of ``voltgate dev``: ledger and console, on a database in the data directory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voltgate.cli.csms.commands import faults
from voltgate.cli.faults import Failure
from voltgate.cli.service import connected
from voltgate.config import Config

if TYPE_CHECKING:
    from nats.aio.client import Client

    from voltgate.csms.console.console import Console

OPERATOR = "dev"
LEAVE_SECONDS = 5.0
PRICE = "0.39"  # of a kWh


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
async def running(config: Config, *, priced: bool) -> AsyncIterator[Running]:
    """Ledger and console for the length of the block. ``priced``: with a tariff. Raises Failure."""
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
        if priced:
            await _price(console)
        pairs = config.csms.tls_certificates
        yield Running(ended, config.csms.host, link, Path(pairs[0][0]) if pairs else None)


async def _price(console: "Console") -> None:
    """Decide on a tariff for every charger, unless somebody has: a receipt has a price then."""
    from voltgate.csms.console.problems import Problem  # noqa: PLC0415
    from voltgate.csms.ledger.decisions import Kind  # noqa: PLC0415

    tariff = {"currency": console.config.csms.currency, "energy_kwh": PRICE}
    decisions = ((Kind.TARIFF, "demo", tariff), (Kind.ASSIGNMENT, "default", {"tariff": "demo"}))
    with suppress(Problem):  # there is a decision already
        for kind, id_, body in decisions:
            await console.writer.decide(kind, id_, body, by=OPERATOR, at=console.now(), expected=0)


async def _ledger(client: "Client", config: Config, stop: asyncio.Event) -> None:
    from voltgate.csms.ledger import lasting  # noqa: PLC0415

    with faults():
        await lasting.run(client, config, stop)
