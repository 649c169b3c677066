"""Intents reach the simulated charger through a real gateway, in each version; each outcome is in words."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from csms.console.desk import Books, Desk, desk
from csms.console.stations import VERSIONS, backend, station
from e2e.house import Gateway
from e2e.strangers import dial
from jetstream import NatsServer
from scripted_csms import wait_until
from voltgate.csms.console.commands import WORDS
from voltgate.gateway.reasons import Outcome


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_person_does_everything_with_a_charger(
    version: str, server: NatsServer, house: Gateway, books: Books
) -> None:
    identity = f"CP {version}/1"
    books.charger(identity, version=version)
    where = f"/chargers/CP%20{version}%2F1/do"
    async with desk(server, books) as console, backend(server), station(house, version, identity) as charger:

        async def do(**intent: Any) -> tuple[str, str]:
            answer = await console.ask("POST", where, intent, role="operator")
            assert answer.status == 200, answer.text
            return answer.json["outcome"], answer.json["status"]

        assert await do(do="start", evse=2, token="04A2B3C4") == ("result", "Accepted")
        await wait_until(lambda: charger.connectors.transactions and charger.connectors.transactions[0].id)
        (tx,) = charger.connectors.transactions
        assert (tx.connector, tx.tag) == (2, "04A2B3C4")
        books.session("s1", identity, evse=2, tx=str(tx.id))
        assert await do(do="stop", session="s1") == ("result", "Accepted")
        assert charger.connectors.transactions == []
        for intent, in_service in (("inoperative", False), ("operative", True)):
            assert await do(do=intent, evse=1) == ("result", "Accepted")
            assert charger.connectors[1].in_service is in_service
        assert await do(do="unlock", evse=1) == ("result", "Unlocked")
        assert await do(do="refresh", evse=1) == ("result", "Accepted")
        assert await do(do="reset", hard=True) == ("result", "Accepted")
        assert len(charger.heard) == 7


async def test_fifty_taps_with_one_key_are_one_call(server: NatsServer, house: Gateway, books: Books) -> None:
    """At two consoles at once; a repeat after the session has ended gets the outcome of the first."""
    books.charger("taps", version="v201")
    async with (
        desk(server, books) as console,
        desk(server, books, fresh=False) as other,
        backend(server),
        station(house, "v201", "taps") as charger,
    ):
        once = {"Idempotency-Key": "tap 1 é"}

        async def tap(at: Desk) -> tuple[str, str, str]:
            body = {"do": "start", "evse": 1}
            answer = await at.ask("POST", "/chargers/taps/do", body, headers=once)
            assert answer.status == 200, answer.text
            return answer.json["outcome"], answer.json["status"], answer.json["command_id"]

        ends = await asyncio.gather(*(tap(at) for at in (console, other) for _ in range(25)))
        assert Counter(ends) == {("result", "Accepted", "tap 1 é"): 50}
        assert [action for action, _ in charger.heard] == ["RequestStartTransaction"]
        (tx,) = charger.connectors.transactions
        books.session("t1", "taps", tx=str(tx.id))
        stop = {"Idempotency-Key": "stop"}
        for _ in range(2):
            answer = await console.ask("POST", "/chargers/taps/do", {"do": "stop"}, headers=stop)
            assert answer.json["status"] == "Accepted"
            books.run("UPDATE session SET state = 'ended'")
        assert len(charger.heard) == 2
        answer = await console.ask("POST", "/chargers/taps/do", {"do": "reset"}, headers=once)
        assert (answer.json["outcome"], len(charger.heard)) == ("invalid", 2)


async def test_outcomes_without_an_answer_are_in_words(
    server: NatsServer, house: Gateway, books: Books
) -> None:
    books.charger("away")
    body = {"do": "reset"}
    async with desk(server, books) as console:
        answer = await console.ask("POST", "/chargers/away/do", body)
        assert answer.json["outcome"] == "not_connected"
        assert answer.json["meaning"] == "Not sent: the charger is not connected."
        async with dial(house.port, "away") as charger:
            sent = asyncio.ensure_future(console.ask("POST", "/chargers/away/do", body))
            await charger.hear()
            queued = asyncio.ensure_future(
                console.ask("POST", "/chargers/away/do", {"do": "unlock", "evse": 1})
            )
            await console.get("/me")
        assert (await sent).json["outcome"] == "lost"
        assert "effect is unknown" in (await sent).json["meaning"]
        ended = (await queued).json
        assert ended["outcome"] in ("gone", "not_connected")
        assert ended["meaning"].startswith("Not sent")


def test_every_outcome_has_its_words() -> None:
    assert WORDS.keys() == {outcome.label for outcome in Outcome} | {"not_connected", "unknown"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"do": "stop"}, "no session is open there"),
        ({"do": "stop", "evse": 2}, "no session is open there"),
        ({"do": "unlock"}, "evse is needed"),
    ],
)
async def test_what_is_not_possible_now(
    body: dict[str, Any], words: str, console: Desk, books: Books
) -> None:
    books.charger()
    answer = await console.ask("POST", "/chargers/CP1/do", body)
    assert (answer.status, answer.json["detail"]) == (
        409,
        f"{body['do']}: {words}" if "evse is" in words else words,
    )


async def test_a_stop_names_one_session_of_the_charger(console: Desk, books: Books) -> None:
    books.charger()
    for number in (1, 2):
        books.session(f"s{number}", evse=number)
    books.charger("CP2")
    books.session("s3", "CP2")
    answer = await console.ask("POST", "/chargers/CP1/do", {"do": "stop"})
    assert (answer.status, answer.json["detail"]) == (409, "several sessions are open: name one")
    answer = await console.ask("POST", "/chargers/CP1/do", {"do": "stop", "session": "s3"})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/session")
