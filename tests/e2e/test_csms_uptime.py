"""A gateway that is restarted: no port was out for it."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from csms.keeping import rows, until
from e2e.house import config, own_gateway
from e2e.strangers import connected, dial
from jetstream import NatsServer
from voltgate.csms.ledger import store
from voltgate.csms.ledger.service import Ledger
from voltgate.csms.ledger.store import Row
from voltgate.csms.uptime import report

ZONE = ZoneInfo("UTC")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    """With streams of this test alone."""
    own = NatsServer(tmp_path / "jetstream")
    yield own
    own.kill()


async def test_a_restart_of_the_gateway_is_no_outage_of_the_charger(
    server: NatsServer, tmp_path: Path
) -> None:
    settings = config(server, csms={"database": f"sqlite:///{tmp_path}/csms.db", "tick_seconds": 0.2})
    client = await connected(server.url)
    stop = asyncio.Event()
    ledger: asyncio.Task[None] | None = None

    def outages() -> list[Row]:
        return rows(settings, "SELECT charger, kind, reason, ends IS NULL FROM outage ORDER BY begins")

    async with own_gateway(settings) as first:
        ledger = asyncio.create_task(Ledger(client, settings).run(stop))
        async with dial(first.port, "CP1"):
            await until(lambda: rows(settings, "SELECT id FROM charger WHERE link = 'up'"))
            first.sigterm()
            await asyncio.to_thread(first.join)
    async with own_gateway(settings) as second:
        async with dial(second.port, "CP1"):
            await until(lambda: outages() == [("CP1", "ours", "drain", 0)])
        await until(lambda: outages()[1:] == [("CP1", "offline", "client", 1)])
    stop.set()
    await ledger
    await client.close()
    database = store.opened(settings.csms.database)
    with database.begin() as tx:
        now = datetime.now(UTC)
        (found,) = report.uptimes(tx, now.date(), now, ZONE)
    database.close()
    assert found.uptime.ours > 0
