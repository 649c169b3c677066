"""Violations and talkers counted from facts, whatever is in them."""

from typing import Any

import orjson
import pytest

from voltgate.csms.console.noise import KINDS, SHOWN, Model, Recent, talkers, violations
from voltgate.csms.ledger.facts import Message

MODELS = {
    "A 1": Model("Acme", "M", "1", "north"),
    "B": Model("Acme", "M", "1", "south"),
    "C": Model("Other", "<b>", "", ""),
}


def violation(token: str, *listed: Any, version: Any = "ocpp1.6") -> Message:
    body = {"identity": "x", "version": version, "violations": list(listed)}
    return Message("R", 1, f"ocpp.violation.{token}", {}, orjson.dumps(body), 1.0)


def one(count: Any, pointer: str = "/a") -> dict[str, Any]:
    return {"action": "Authorize", "code": "Format", "pointer": pointer, "count": count}


def everything(_: str) -> bool:
    return True


def test_violations_are_summed_by_model() -> None:
    facts = [violation("A=201", one(2)), violation("B", one(3), one(1, "/b")), violation("C", one(4))]
    rows = violations(facts, MODELS, everything)
    assert [(row["vendor"], row["pointer"], row["count"], row["chargers"]) for row in rows] == [
        ("Acme", "/a", 5, 2), ("Other", "/a", 4, 1), ("Acme", "/b", 1, 1),
    ]  # fmt: skip
    assert rows[0]["example"] == "A 1"
    (mine,) = violations(facts, MODELS, lambda site: site == "north")
    assert (mine["count"], mine["chargers"]) == (2, 1)


@pytest.mark.parametrize("odd", [7, "x", None, {}, {"count": "9"}, {"count": None}, one([1])])
def test_facts_without_sense_count_nothing(odd: Any) -> None:
    assert violations([violation("A=201", odd)], MODELS, everything) == []
    assert violations([Message("R", 1, "ocpp.violation.C", {}, b"\xff", 1.0)], MODELS, everything) == []


def test_the_kinds_that_are_counted_apart_are_bounded() -> None:
    facts = [violation("C", *(one(1, f"/{number}") for number in range(KINDS + 50)), one(9, "/0"))]
    rows = violations(facts, MODELS, everything)
    assert (len(rows), rows[0]["pointer"], rows[0]["count"]) == (SHOWN, "/0", 10)


def test_talkers_are_ordered_by_what_they_sent() -> None:
    def sent(token: str, action: str, count: int) -> list[Message]:
        return [Message("T", 1, f"ocpp.tx.v16.{action}.{token}", {}, b"", 1.0)] * count

    facts = [
        *sent("A=201", "MeterValues", 3), *sent("A=201", "StartTransaction", 1), *sent("B", "MeterValues", 9),
        *sent("A=201", "StartTransactionResponse", 50),
    ]  # fmt: skip
    rows = talkers(facts, MODELS, 2.0, everything)
    assert [(row["charger"], row["messages"], row["per_minute"], row["often"]) for row in rows] == [
        ("B", 9, 4.5, "MeterValues"), ("A 1", 4, 2.0, "MeterValues"),
    ]  # fmt: skip
    assert [row["charger"] for row in talkers(facts, MODELS, 1, lambda site: site == "north")] == ["A 1"]


async def test_what_was_read_lately_is_not_read_again() -> None:
    kept, reads = Recent[int](), 0

    async def read() -> int:
        nonlocal reads
        reads += 1
        return reads

    assert [await kept.get("a", read), await kept.get("a", read), await kept.get("b", read)] == [1, 1, 2]
