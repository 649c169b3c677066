"""What the backend asks the ledger, over a real nats-server, and what it says when there is no answer."""

import asyncio
from time import monotonic
from typing import Any

import orjson
import pytest
from nats.aio.client import Client

from answering import Answering, ask, backend_on
from voltgate.backend.ledger import PATIENCE, Ledger
from voltgate.backend.rules import Rules

EVENT = {
    "eventType": "Ended",
    "seqNo": 3,
    "timestamp": "2026-03-01T10:00:00Z",
    "triggerReason": "EVDeparted",
    "transactionInfo": {"transactionId": "tx"},
}
UPDATED = EVENT | {"eventType": "Updated"}
STARTED = EVENT | {"eventType": "Started", "idToken": {"idToken": "A", "type": "ISO14443"}}
START = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": "2026-03-01T10:00:00Z"}


async def answered(nc: Client, what: str, body: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads((await ask(nc, what, orjson.dumps(body), key="k1")).data)
    return answer


@pytest.mark.parametrize(
    ("what", "event", "cost", "answer"),
    [
        ("v201.TransactionEvent", EVENT, "12.34", {"totalCost": 12.34}),
        ("v21.TransactionEvent", EVENT, "12.34", {"totalCost": 12.34}),
        ("v201.TransactionEvent", EVENT, "0.00", {"totalCost": 0.0}),  # free is not unknown
        ("v201.TransactionEvent", EVENT, None, {}),
        ("v201.TransactionEvent", EVENT, "much", {}),
        ("v21.TransactionEvent", UPDATED, "1.5", {"totalCost": 1.5}),
        ("v201.TransactionEvent", UPDATED, "1.5", {}),  # 2.0.1 has a cost at the end only
    ],
)
async def test_the_cost_is_in_the_answer_if_it_is_known(
    nc: Client, what: str, event: dict[str, Any], cost: str | None, answer: dict[str, Any]
) -> None:
    ledger = await Answering(nc, {"cost": {"cost": cost}}).listen("ops.ask.*")
    async with backend_on(nc):
        assert await answered(nc, what, event) == answer
    questions = [body for _, body, _ in ledger.asked]
    about = {"charger": "CP001", "transaction": "tx", "event": event}
    assert questions == ([about] if "v201" not in what or event is EVENT else [])


async def test_without_a_ledger_the_charger_is_answered_at_once(nc: Client) -> None:
    async with backend_on(nc, rules=Rules(concurrent=False)):
        began = monotonic()
        assert await answered(nc, "v201.TransactionEvent", EVENT) == {}
        assert await answered(nc, "v201.TransactionEvent", STARTED) == {"idTokenInfo": {"status": "Accepted"}}
        assert monotonic() - began < PATIENCE


async def test_a_silent_ledger_costs_its_patience_and_no_answer(nc: Client) -> None:
    await Answering(nc, {}).listen("ops.ask.*")
    async with backend_on(nc):
        answers = await asyncio.gather(*(answered(nc, "v201.TransactionEvent", EVENT) for _ in range(10)))
    assert answers == [{}] * 10


@pytest.mark.parametrize("reply", [[], "text", {"tariffs": 1, "cost": [], "open": "1"}])
async def test_a_reply_of_another_form_is_no_reply(nc: Client, reply: Any) -> None:
    await Answering(nc, dict.fromkeys(("cost", "open", "tariffs"), reply)).listen("ops.ask.*")
    ledger = Ledger(nc)
    assert await ledger.cost("CP001", "tx", EVENT) is None
    assert await ledger.open_sessions("A", "k") is None
    assert await ledger.tariffs(["CP001"]) == {}


@pytest.mark.parametrize(
    ("concurrent", "sessions", "status"),
    [(False, 1, "ConcurrentTx"), (False, 0, "Accepted"), (True, 1, "Accepted")],
)
async def test_a_token_that_charges_elsewhere(
    nc: Client, concurrent: bool, sessions: int, status: str
) -> None:
    ledger = await Answering(nc, {"open": {"open": sessions}}).listen("ops.ask.*")
    async with backend_on(nc, rules=Rules(concurrent=concurrent)):
        start = await answered(nc, "v16.StartTransaction", START)
        event = await answered(nc, "v21.TransactionEvent", STARTED)
        authorized = await answered(nc, "v16.Authorize", {"idTag": "A"})
    assert start["idTagInfo"] == {"status": status}
    assert event["idTokenInfo"] == {"status": status}
    assert authorized["idTagInfo"] == {"status": "Accepted"}, "only a start can be concurrent"
    asked = [body for _, body, _ in ledger.asked]
    assert asked == ([] if concurrent else [{"token": "A", "but": "k1"}] * 2)
