"""Simulated chargers with faults, over real sockets: what reaches the CSMS, and what the charger does."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from scripted_csms import QUICK, VERSIONS, Call, accept, conversation, emptied, ready

Kinds = list[str]


def kinds(calls: list[Call]) -> Kinds:
    """Of transaction messages, in the words of 2.x."""
    words = {"StartTransaction": "Started", "StopTransaction": "Ended", "MeterValues": "Updated"}
    return [call.payload.get("eventType") or words[call.action] for call in calls]


async def charged(version: str, *faults: str, decide: Callable[[Call], Any] = accept) -> list[Call]:
    """What a CSMS gets of one transaction with two meter values."""
    behaviour = replace(QUICK, faults=faults)
    async with conversation(version, decide, behaviour) as (charger, csms):
        await ready(charger)
        await charger.connectors.charge(1, "CAFE", readings=2)
        await emptied(charger)
        return csms.all("StartTransaction", "StopTransaction", "MeterValues", "TransactionEvent")


PLAIN = ["Started", "Updated", "Updated", "Ended"]
TABLE: list[tuple[tuple[str, ...], Kinds]] = [
    ((), PLAIN),
    (("stop_lost",), PLAIN[:-1]),
    (("start_lost",), PLAIN[1:]),
    (("sent_twice",), [kind for kind in PLAIN for _ in "12"]),
    (("stop_twice", "no_clock"), [*PLAIN, "Ended"]),
    (("phases_only", "values_after_stop"), [*PLAIN, "Updated"]),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("faults", "sent"), TABLE, ids=[" ".join(faults) for faults, _ in TABLE])
async def test_what_reaches_the_csms(version: str, faults: tuple[str, ...], sent: Kinds) -> None:
    """The CSMS checks each message against its schema."""
    assert kinds(await charged(version, *faults)) == sent


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_backlog_comes_after_the_next_connect(version: str) -> None:
    calls = await charged(version, "offline_backlog")
    assert kinds(calls) == PLAIN
    if version != "v16":
        assert calls[0].payload["offline"] is True


def refuse(call: Call) -> Any:
    """Accept the charger, and no token."""
    answer = accept(call)
    refused = {"status": "ConcurrentTx"}
    if call.action == "TransactionEvent" and "idToken" in call.payload:
        return {"idTokenInfo": refused}
    return {name: refused if name in ("idTagInfo", "idTokenInfo") else one for name, one in answer.items()}


@pytest.mark.parametrize("version", VERSIONS)
async def test_it_charges_although_the_token_is_refused(version: str) -> None:
    assert await charged(version, decide=refuse) == []
    assert kinds(await charged(version, "charges_anyway", decide=refuse)) == PLAIN


async def test_transaction_ids_repeat() -> None:
    behaviour = replace(QUICK, faults=("tx_id_repeats",))
    async with conversation("v21", accept, behaviour) as (charger, csms):
        await ready(charger)
        for _ in range(3):
            await charger.connectors.charge(1, "CAFE", readings=1)
        await emptied(charger)
        started = [one for one in csms.all("TransactionEvent") if one.payload["eventType"] == "Started"]
    assert [one.payload["transactionInfo"]["transactionId"] for one in started] == ["1", "2", "1"]
