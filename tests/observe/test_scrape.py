"""A scrape of a gateway: as large with many chargers as with few, and quick."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp

from e2e.house import config, own_gateway
from e2e.strangers import dial
from jetstream import NatsServer

CHARGERS = 200
STATUS = '[2,"s","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]'
QUICK = 0.1  # seconds


async def scraped(session: aiohttp.ClientSession, url: str) -> tuple[float, list[str]]:
    """Seconds, and the lines with samples."""
    began = time.perf_counter()
    async with session.get(f"{url}/metrics", headers={"Accept-Encoding": "gzip"}) as answer:
        text = gzip.decompress(await answer.read()).decode()
    return time.perf_counter() - began, [line for line in text.splitlines() if not line.startswith("#")]


async def test_the_size_does_not_depend_on_the_chargers(nats_server: NatsServer) -> None:
    async with (
        own_gateway(config(nats_server)) as gateway,
        AsyncExitStack() as stack,
        aiohttp.ClientSession(auto_decompress=False) as session,
    ):
        first = await stack.enter_async_context(dial(gateway.port, "FIRST"))
        await first.ask(STATUS)
        _, before = await scraped(session, gateway.admin_url)

        async def talk(number: int) -> None:
            charger = await stack.enter_async_context(dial(gateway.port, f"C{number}"))
            await charger.ask(STATUS)

        await asyncio.gather(*(talk(number) for number in range(CHARGERS)))
        await gateway.counts(CHARGERS + 1, "voltgate_connections")
        seconds: list[float] = []
        after: list[str] = []
        for _ in range(5):
            took, after = await scraped(session, gateway.admin_url)
            seconds.append(took)
        names = [line.rpartition(" ")[0] for line in after]
        assert names == [line.rpartition(" ")[0] for line in before]
        assert not [name for name in names if "FIRST" in name]
        assert min(seconds) < QUICK, seconds


async def test_what_no_other_test_reads_is_measured(nats_server: NatsServer) -> None:
    async with own_gateway(config(nats_server)) as gateway:
        async with dial(gateway.port, "C") as charger:
            assert (await charger.ask('[2,"h","Heartbeat",{}]')).startswith('[3,"h",')
            await gateway.counts(1, "voltgate_answer_seconds_count", **{"class": "live"})
            assert gateway.metric("voltgate_answer_seconds_sum", **{"class": "live"}) > 0
            assert gateway.metric("voltgate_handshake_seconds_count") == 1
            assert gateway.metric("voltgate_handshake_seconds_sum") > 0
            assert gateway.metric("voltgate_limit", bound="max_connections") == 15_000
            assert gateway.metric("voltgate_limit", bound="max_pending_bytes") == 64 << 20
            async with socket_to(gateway.port):
                await gateway.counts(1, "voltgate_handshakes_in_progress")
        await gateway.counts(0, "voltgate_handshakes_in_progress")


@asynccontextmanager
async def socket_to(port: int) -> AsyncIterator[None]:
    """A socket that says nothing."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    yield
    writer.close()
    await writer.wait_closed()
