"""Questions of backends: costs before the end is folded, other sessions of a token, tariffs of chargers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from csms.ledger.world import Said, World
from voltgate import Codec
from voltgate.csms.ledger.asks import UnanswerableError

BEGAN = datetime(2026, 5, 1, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TARIFF = {"currency": "EUR", "energy_kwh": "0.40", "start": "1.00"}


def event(kind: str, number: int, minutes: int, wh: int, tx: str = "A", token: str = "") -> dict[str, Any]:
    at = (BEGAN + minutes * MINUTE).isoformat().replace("+00:00", "Z")
    value = {"timestamp": at, "sampledValue": [{"value": wh, "context": "Sample.Periodic"}]}
    return {
        "eventType": kind, "timestamp": at, "triggerReason": "Trigger", "seqNo": number,
        "transactionInfo": {"transactionId": tx}, "evse": {"id": 1, "connectorId": 1}, "meterValue": [value],
        **({"idToken": {"idToken": token, "type": "ISO14443"}} if token else {}),
    }  # fmt: skip


def said(body: dict[str, Any], minutes: int, charger: str = "CP 1", version: str = "v201") -> Said:
    return Said(BEGAN + minutes * MINUTE, "TransactionEvent", body, version, charger)


def world(*facts: Said, assigned: str = "default") -> World:
    """Folded, with one tick behind the decisions and one behind the facts."""
    made = World()
    made.decide("tariff", "T", TARIFF, BEGAN - MINUTE)
    if assigned:
        made.decide("assignment", assigned, {"tariff": "T"}, BEGAN - MINUTE)
    made.tick(BEGAN - MINUTE)
    made.fold(facts)
    return made


def cost(made: World, body: dict[str, Any], minutes: int, charger: str = "CP=201") -> Any:
    question = {"charger": charger, "transaction": body["transactionInfo"]["transactionId"], "event": body}
    return made.books.answer("cost", question, BEGAN + minutes * MINUTE)["cost"]


STARTED = event("Started", 0, 0, 1000, token="CAFE")
UPDATED, ENDED = event("Updated", 1, 30, 3500), event("Ended", 2, 60, 11_000)


def test_the_cost_counts_the_message_behind_the_question_folded_or_not() -> None:
    made = world(said(STARTED, 0))
    assert cost(made, UPDATED, 30) == "2.00", "2.5 kWh and the start"
    assert cost(made, ENDED, 60) == "5.00"
    made.fold([said(UPDATED, 30), said(ENDED, 60)])
    assert cost(made, ENDED, 61) == "5.00", "the same, when it has been folded"
    made.tick(BEGAN + 61 * MINUTE)
    made.tick(BEGAN + 70 * MINUTE)
    assert cost(made, ENDED, 71) == "5.00", "and when it is settled"
    assert [one["cost"] for one in made.sessions()] == ["5.00"], "as on the bill"


def test_a_cost_that_is_not_known_is_not_0() -> None:
    made = world(said(STARTED, 0), assigned="")
    assert cost(made, ENDED, 60) is None, "without a tariff nobody says free"
    assert cost(world(), ENDED, 60) is None, "no such session"
    assert cost(world(said(STARTED, 0)), ENDED, 60, "CP=202") is None, "the charger of somebody else"


def test_a_tariff_that_is_assigned_afterwards_counts() -> None:
    made = world(said(STARTED, 0), assigned="")
    made.tick(BEGAN + MINUTE)
    assert cost(made, UPDATED, 30) is None, "it is known by now that there is none"
    made.decide("assignment", "default", {"tariff": "T"}, BEGAN + MINUTE)
    made.tick(BEGAN + 2 * MINUTE)
    assert cost(made, ENDED, 60) == "5.00"


def test_the_open_sessions_of_a_token() -> None:
    other = event("Started", 0, 5, 0, "B", "cafe")
    made = world(said(STARTED, 0), said(other, 5, "CP 2"))
    key = said(other, 5, "CP 2").business_key()
    assert made.books.answer("open", {"token": "CAFE", "but": key}, BEGAN) == {"open": 1}
    assert made.books.answer("open", {"token": "CAFE", "but": ""}, BEGAN) == {"open": 2}
    assert made.books.answer("open", {"token": "OTHER", "but": ""}, BEGAN) == {"open": 0}
    made.fold([said(ENDED, 60)])
    made.tick(BEGAN + 61 * MINUTE)
    assert made.books.answer("open", {"token": "CAFE", "but": key}, BEGAN) == {"open": 0}


@pytest.mark.parametrize(
    ("assigned", "first", "second"), [("default", 1, 1), ("charger:CP 1", 1, 0), ("", 0, 0)]
)
def test_the_tariffs_of_chargers(assigned: str, first: int, second: int) -> None:
    made = world(assigned=assigned)
    asked = {"chargers": ["CP=201", "CP2"]}
    tariffs = made.books.answer("tariffs", asked, BEGAN)["tariffs"]
    assert [tariffs["CP=201"] is not None, tariffs["CP2"] is not None] == [bool(first), bool(second)]
    for tariff in filter(None, tariffs.values()):
        body = orjson.dumps({"evseId": 0, "tariff": tariff})
        assert Codec("ocpp2.1").check("SetDefaultTariff", "request", body) is None
        assert tariff["tariffId"] == "T"


@pytest.mark.parametrize(
    ("what", "question"),
    [
        ("snapshot", {}),
        ("cost", {}),
        ("cost", []),
        ("open", {"token": 1, "but": ""}),
        ("tariffs", {"chargers": 7}),
    ],
)
def test_another_question_is_refused(what: str, question: Any) -> None:
    with pytest.raises(UnanswerableError):
        world().books.answer(what, question, BEGAN)
