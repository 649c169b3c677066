"""Tokens that nobody has decided on, from the facts of three OCPP versions."""

from typing import Any

import orjson
import pytest

from csms.console.desk import Desk
from voltgate.csms.console.answers import Page, UnknownToken
from voltgate.csms.console.intents import OPERATOR_TOKEN
from voltgate.csms.console.unknown import SHOWN, unknown
from voltgate.csms.ledger.facts import Message

TX, EVENT = "ocpp.tx.v201.TransactionEvent.CP=201", "ocpp.event.v16.Authorize.CP2"


def fact(subject: str, body: Any, at: float) -> Message:
    return Message("S", 1, subject, {}, orjson.dumps(body), at)


def test_the_last_one_comes_first_and_counts_every_time_without_case() -> None:
    facts = [
        fact(TX, {"idToken": {"idToken": "04ab", "type": "ISO14443"}}, 30.0),
        fact(EVENT, {"idTag": "OTHER"}, 20.0),
        fact(EVENT, {"idTag": "04AB"}, 10.0),
        fact(EVENT, {"idTag": "FRIEND"}, 40.0),
        fact(EVENT, {"idTag": OPERATOR_TOKEN}, 50.0),
    ]
    assert unknown(facts, lambda token: token == "FRIEND") == [
        {"token": "04ab", "at": "1970-01-01T00:00:30.000Z", "charger": "CP 1", "times": 2},
        {"token": "OTHER", "at": "1970-01-01T00:00:20.000Z", "charger": "CP2", "times": 1},
    ]


@pytest.mark.parametrize(
    "odd", [[], 7, {}, {"idTag": ""}, {"idTag": "  "}, {"idToken": {}}, {"idToken": {"idToken": None}}]
)
def test_facts_without_a_token_are_passed_over(odd: Any) -> None:
    assert unknown([fact(EVENT, odd, 1.0)], lambda _: False) == []


def test_not_more_than_fit_a_page() -> None:
    facts = [fact(EVENT, {"idTag": f"T{number}"}, float(number)) for number in range(SHOWN + 5)]
    found = unknown(facts, lambda _: False)
    assert (len(found), found[0]["token"]) == (SHOWN, f"T{SHOWN + 4}")


async def test_a_token_is_unknown_until_somebody_decides(console: Desk) -> None:
    for number, (subject, body) in enumerate(
        [(EVENT, {"idTag": "CAFE01"}), ("ocpp.tx.v16.StartTransaction.CP2", {"idTag": "CAFE02"})]
    ):
        await console.client.jetstream().publish(subject, orjson.dumps(body), headers={"ce-id": str(number)})

    async def tokens() -> set[str]:
        said = await console.get("/tokens/unknown", role="manager")
        return {one.token for one in Page[UnknownToken].model_validate(said, strict=True).items}

    assert {"CAFE01", "CAFE02"} <= await tokens()
    assert (await console.ask("PUT", "/tokens/cafe01", {"status": "Blocked"})).status == 200
    assert "CAFE01" not in await tokens()
    assert (await console.ask("GET", "/tokens/unknown", role="operator")).status == 403
