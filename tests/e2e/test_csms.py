"""Sessions of mobilityhouse's ``ocpp`` client: through gateway and reference backend into the books."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import websockets
from nats.aio.client import Client
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v21 import ChargePoint as ChargePoint21
from ocpp.v201 import ChargePoint as ChargePoint201
from websockets.typing import Subprotocol

from csms.keeping import rows, until
from e2e.house import PATIENCE, Gateway, config, gateway
from e2e.strangers import SUBPROTOCOL, connected
from jetstream import NatsServer
from voltgate.backend import service as backend
from voltgate.config import Config
from voltgate.csms.ledger import decisions
from voltgate.csms.ledger.service import Ledger

POINTS: dict[str, Any] = {"v16": ChargePoint16, "v201": ChargePoint201, "v21": ChargePoint21}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    """A session in OPS_CDR is one of this test."""
    own = NatsServer(tmp_path / "jetstream")
    yield own
    own.kill()


def settings(server: NatsServer, folder: Path) -> Config:
    csms = {"database": f"sqlite:///{folder}/csms.db", "tick_seconds": 0.2, "settle_after": 0.3}
    return config(server, csms=csms)


@asynccontextmanager
async def running(client: Client, config_: Config) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Ledger(client, config_).run(stop))
        tasks.create_task(backend.run(client, stop))
        try:
            yield
        finally:
            stop.set()


def stamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def charge_16(point: Any, begin: datetime, end: datetime) -> None:
    call = import_module("ocpp.v16.call")
    started = await point.call(
        call.StartTransaction(connector_id=1, id_tag="CAFE", meter_start=1000, timestamp=stamp(begin))
    )
    sample = {"value": "4500", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
    values = [{"timestamp": stamp(begin + (end - begin) / 2), "sampledValue": [sample]}]
    await point.call(
        call.MeterValues(connector_id=1, meter_value=values, transaction_id=started.transaction_id)
    )
    await point.call(
        call.StopTransaction(
            transaction_id=started.transaction_id, meter_stop=9345, timestamp=stamp(end), reason="Local"
        )
    )


async def charge_2(point: Any, begin: datetime, end: datetime, version: str) -> None:
    call = import_module(f"ocpp.{version}.call")

    def event(kind: str, number: int, at: datetime, wh: int, context: str) -> Any:
        return call.TransactionEvent(
            event_type=kind,
            timestamp=stamp(at),
            trigger_reason="MeterValuePeriodic" if kind == "Updated" else "Authorized",
            seq_no=number,
            transaction_info={"transactionId": "tx-1", "chargingState": "Charging"},
            evse={"id": 1, "connectorId": 1} if kind == "Started" else None,
            id_token={"idToken": "CAFE", "type": "ISO14443"} if kind == "Started" else None,
            meter_value=[{"timestamp": stamp(at), "sampledValue": [{"value": wh, "context": context}]}],
        )

    await point.call(event("Started", 0, begin, 1000, "Transaction.Begin"))
    await point.call(event("Updated", 1, begin + (end - begin) / 2, 4500, "Sample.Periodic"))
    await point.call(event("Ended", 2, end, 9345, "Transaction.End"))


@pytest.mark.parametrize("version", ["v16", "v201", "v21"])
async def test_a_session_is_billed_to_the_watt_hour_and_the_cent(
    server: NatsServer, tmp_path: Path, version: str
) -> None:
    config_ = settings(server, tmp_path)
    with gateway(config_) as house_:
        client = await connected(server.url)
        async with running(client, config_):
            await decide(client, "tariff", "day", {"currency": "EUR", "energy_kwh": "0.39", "start": "0.50"})
            await decide(client, "assignment", "default", {"tariff": "day"})
            end = datetime.now(UTC)
            await charge(house_, version, end - timedelta(hours=1), end)
            (row,) = await until(
                lambda: rows(
                    config_, "SELECT mwh, cost, state, method, flags FROM session WHERE state = 'settled'"
                )
            )
            assert row == (
                8_345_000, 3_750_000, "settled", "meter" if version == "v16" else "transaction", "",
            )  # fmt: skip
            # 8.345 kWh at 0.39 and 0.50 for the start: 3.25 + 0.50
            await until(lambda: not rows(config_, "SELECT id FROM outbox"))
            assert (await client.jsm().stream_info("OPS_CDR")).state.messages == 1
        await client.close()


async def decide(client: Client, kind: str, id_: str, body: dict[str, Any]) -> None:
    data = decisions.encoded(by="test", at=datetime.now(UTC), body=body)
    await until_stream(client, "OPS_SET")
    await client.jetstream().publish(decisions.subject("ops", kind, id_), data)


async def until_stream(client: Client, name: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(Exception):
                await client.jsm().stream_info(name)
                return
            await asyncio.sleep(0.05)


async def charge(house_: Gateway, version: str, begin: datetime, end: datetime) -> None:
    url = f"ws://127.0.0.1:{house_.port}/CP1"
    async with websockets.connect(url, subprotocols=[Subprotocol(SUBPROTOCOL[version])]) as socket:
        point = POINTS[version]("CP1", socket)
        reading = asyncio.create_task(point.start())
        if version == "v16":
            await charge_16(point, begin, end)
        else:
            await charge_2(point, begin, end, version)
        reading.cancel()
