"""Money on its way back to a charger: gateway, reference backend, ledger and the simulated charger."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from nats.aio.client import Client

from e2e.house import PATIENCE, config, gateway
from e2e.strangers import connected
from jetstream import NatsServer
from scripted_csms import QUICK
from voltgate.backend import service as backend
from voltgate.charger import Charger, Endpoint, Observer, Settings
from voltgate.charger.line import Line
from voltgate.charger.messages import Transaction
from voltgate.csms.ledger import decisions
from voltgate.csms.ledger.service import Ledger

TARIFF = {"currency": "EUR", "energy_kwh": "0.40", "start": "1.00"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    """Its streams hold this test alone."""
    own = NatsServer(tmp_path / "jetstream")
    yield own
    own.kill()


class Watch(Observer):
    """What the charger was told."""

    def __init__(self) -> None:
        self.commands: list[tuple[str, dict[str, Any]]] = []

    def commanded(self, line: Line, action: str, payload: dict[str, Any]) -> None:
        self.commands.append((action, payload))

    def named(self, action: str) -> list[dict[str, Any]]:
        return [payload for name, payload in self.commands if name == action]


async def decided(client: Client, kind: str, id_: str, body: dict[str, Any]) -> None:
    data = decisions.encoded(by="test", at=datetime.now(UTC), body=body)
    await client.jetstream().publish(decisions.subject("ops", kind, id_), data)


@pytest.mark.parametrize("version", ["v201", "v21"])
async def test_a_charger_hears_its_tariff_its_running_and_its_total_cost(
    server: NatsServer, tmp_path: Path, version: str
) -> None:
    csms = {"database": f"sqlite:///{tmp_path}/csms.db", "tick_seconds": 0.2, "settle_after": 0.3}
    config_, watch = config(server, csms=csms), Watch()
    with gateway(config_) as house:
        client = await connected(server.url)
        answers = asyncio.Queue[dict[str, Any]]()

        async def note(message: Any) -> None:
            await answers.put(orjson.loads(message.data))

        await client.subscribe(f"ocpp.tx.{version}.TransactionEventResponse.*", cb=note)
        stop = asyncio.Event()
        ledger, endpoint = Ledger(client, config_), Endpoint(url=f"ws://127.0.0.1:{house.port}/ocpp")
        settings = Settings(identity="CP 1", version=version, endpoints=[endpoint], behaviour=QUICK)
        charger = Charger(settings, watch)
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
            tasks.create_task(ledger.run(stop))
            await ledger.caught_up.wait()
            await decided(client, "tariff", "day", TARIFF)
            await decided(client, "assignment", "default", {"tariff": "day"})
            tasks.create_task(backend.run(client, stop))
            charger.start()
            while version == "v21" and not watch.named("SetDefaultTariff"):
                await asyncio.sleep(0.01)
            while not charger.ready:
                await asyncio.sleep(0.01)
            tx = Transaction(1, "CAFE", planned=True)
            assert charger.connectors.start(tx)
            begin = tx.meter
            while not watch.named("CostUpdated"):
                charger.connectors.update(tx)
                await asyncio.sleep(0.2)
            assert charger.connectors.end(tx, "Local")
            wanted = f"{1 + 0.4 * (tx.meter - begin) / 1000:.2f}"
            while (answer := await answers.get()).get("totalCost") is None:
                pass
            stop.set()
        await charger.stop()
        await client.close()
    assert f"{answer['totalCost']:.2f}" == wanted
    assert watch.named("CostUpdated")[0]["transactionId"] == tx.id
    assert watch.named("CostUpdated")[0]["totalCost"] <= answer["totalCost"]
    assert [sent["tariff"]["tariffId"] for sent in watch.named("SetDefaultTariff")] == (
        ["day"] if version == "v21" else []
    )
