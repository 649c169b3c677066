"""Costs by a flat price: in answers to a charger, and in CostUpdated."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig

from answering import Answering, ask, backend_on
from voltgate.backend.prices import Prices
from voltgate.backend.rules import Rules

REGISTER = "Energy.Active.Import.Register"


def prices(folder: Path, content: str = "A 0.50\n* 0.40\n") -> Prices:
    file = folder / "prices.txt"
    file.write_text(content)
    return Prices(file)


def event(*samples: Any, transaction: str = "tx", kind: str = "Updated") -> dict[str, Any]:
    return {
        "eventType": kind,
        "seqNo": 1,
        "transactionInfo": {"transactionId": transaction},
        "meterValue": [{"timestamp": "2026-01-01T00:00:00Z", "sampledValue": list(samples)}],
    }


def sample(value: Any, unit: str = "Wh", **more: Any) -> dict[str, Any]:
    return {"value": value, "unitOfMeasure": {"unit": unit}, **more}


COSTS: list[tuple[list[dict[str, Any]], float | None, str]] = [
    ([event(sample(1000)), event(sample(11_000))], 5.0, "10 kWh at 0.50"),
    ([event(sample(1, "kWh")), event(sample(11, "kWh", measurand=REGISTER))], 5.0, "in kWh"),
    ([event(sample(1, unitOfMeasure={"multiplier": 3})), event(sample(11_000))], 5.0, "with a multiplier"),
    ([event(sample(0), sample(3000))], 1.5, "the end has the register of the begin"),
    (
        [event(sample(0)), event(sample(9, measurand="Voltage")), event(sample(2000))],
        1.0,
        "another measurand",
    ),
    ([event(sample(0)), event(sample(2000), sample(9, phase="L1"))], 1.0, "a phase is not the whole"),
    ([event(sample(0)), event(sample(2000), sample(9, location="EV"))], 1.0, "the vehicle's own meter"),
    ([event(sample(0)), event(sample(3333))], 1.67, "rounded"),
    ([event(sample(0)), event(sample("x"), sample(True))], None, "nothing that can be read"),
    ([event(sample(0)), event(sample(1, unitOfMeasure={"multiplier": 400}))], None, "beyond any meter"),
    ([event(sample(5000))], None, "its begin is not known"),
    ([event(sample(0), transaction="other"), event(sample(5000))], None, "another transaction's begin"),
    ([{}, {"meterValue": 1}, {"meterValue": [1, {"sampledValue": 1}]}], None, "what cannot be read"),
]


@pytest.mark.parametrize(("events", "cost", "why"), COSTS, ids=[why for *_, why in COSTS])
async def test_the_cost_of_a_transaction(
    tmp_path: Path, events: list[dict[str, Any]], cost: float | None, why: str
) -> None:
    found = prices(tmp_path)
    for one in events[:-1]:
        found.saw("A", one)
    assert await found.cost("A", "tx", events[-1]) == cost, why


async def test_other_chargers_have_the_price_of_their_line(tmp_path: Path) -> None:
    whole = event(sample(0), sample(10_000))
    assert await prices(tmp_path).cost("B", "tx", whole) == 4.0
    assert await prices(tmp_path, "A 0.50\n").cost("B", "tx", whole) is None, "without a line: not told"


@pytest.mark.parametrize("line", ["A", "A dear", "A -1", "A 1 2"])
def test_a_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(ValueError, match=r"prices\.txt:1: "):
        prices(tmp_path, line)


@pytest.mark.parametrize(("version", "running"), [("v201", {}), ("v21", {"totalCost": 0.8})])
async def test_the_price_replaces_the_books(
    nc: Client, tmp_path: Path, version: str, running: dict[str, float]
) -> None:
    """Running cost in CostUpdated, in 2.1 also in answers; total cost in the answer to the end."""
    await nc.jetstream().add_stream(StreamConfig(name="OCPP_LINKS", subjects=["ocpp.link.*"]))
    books = await Answering(nc, {"cost": {"cost": "99"}}).listen("ops.ask.*")
    gateway = await Answering(nc, {"CostUpdated": {}}, headers={"ocpp-outcome": "result"}).listen(
        "ocpprpc.send.>"
    )

    async def fact(body: dict[str, Any]) -> None:
        await nc.publish(f"ocpp.tx.{version}.TransactionEvent.CP001", orjson.dumps(body))
        await nc.flush()

    async def answer(body: dict[str, Any]) -> Any:
        return orjson.loads((await ask(nc, f"{version}.TransactionEvent", orjson.dumps(body))).data)

    async with backend_on(nc, rules=Rules(prices=prices(tmp_path))):
        await fact(event(sample(1000), kind="Started"))
        await fact(event(sample(3000)))
        await gateway.until(1)
        assert gateway.asked[0][1] == {"transactionId": "tx", "totalCost": 0.8}
        assert await answer(event(sample(3000))) == running
        assert await answer(event(sample(11_000), kind="Ended")) == {"totalCost": 4.0}
    assert books.asked == []
