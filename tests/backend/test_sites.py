"""Charging schedules by the limits of sites: shares, profiles, and what a vehicle chooses."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from voltgate import Codec
from voltgate.backend.answers import Backend, Question
from voltgate.backend.rules import Rules
from voltgate.backend.sites import Sites
from voltgate.backend.tokens import Tokens
from voltgate.schemas import SUBPROTOCOLS

FILE = "depot 100 A/1 A/2 B%201/1\n* 32 # any other\n"


def sites(folder: Path, content: str = FILE) -> Sites:
    file = folder / "sites.txt"
    file.write_text(content)
    return Sites(file)


def event(kind: str, transaction: str = "tx", evse: int | None = 1) -> dict[str, Any]:
    about = {} if evse is None else {"evse": {"id": evse}}
    return {"eventType": kind, "transactionInfo": {"transactionId": transaction}, **about}


def needs(evse: int = 1, **charging: Any) -> dict[str, Any]:
    return {"evseId": evse, "chargingNeeds": {"requestedEnergyTransfer": "AC_three_phase", **charging}}


AC = {"energyAmount": 9, "evMinCurrent": 6, "evMaxVoltage": 230}
DC: dict[str, Any] = {"requestedEnergyTransfer": "DC"}
LIMITS = [
    ("A", needs(), ("A", 33.3), "a third of the depot's"),
    ("A", needs(acChargingParameters=AC | {"evMaxCurrent": 16}), ("A", 16), "what the vehicle can take"),
    ("C", needs(acChargingParameters=AC | {"evMaxCurrent": 63}), ("A", 32), "any other has 32 A"),
    ("A", needs(**DC), ("W", 23_000), "in W: 33.3 A of three phases"),
    ("A", needs(**DC, dcChargingParameters={"evMaxPower": 11_000}), ("W", 11_000), "in W, the vehicle's"),
    ("A", needs(acChargingParameters=AC | {"evMaxCurrent": "?"}), ("A", 33.3), "what cannot be read"),
]


@pytest.mark.parametrize("version", ["v201", "v21"])
@pytest.mark.parametrize(("charger", "asked", "limit", "why"), LIMITS)
async def test_a_profile_follows_the_needs_of_a_vehicle(
    tmp_path: Path, version: str, charger: str, asked: dict[str, Any], limit: tuple[str, float], why: str
) -> None:
    rules = Rules(sites=sites(tmp_path))
    rules.saw(charger, event("Started"))
    answer = await backend(rules).answer(Question(version, "NotifyEVChargingNeeds", charger, "k", asked))
    assert answer == {"status": "Accepted"}
    command = rules.later.pop("k")
    assert command is not None
    assert command.action == "SetChargingProfile"
    assert (
        Codec(SUBPROTOCOLS[version]).check(command.action, "request", orjson.dumps(command.payload)) is None
    )
    profile = command.payload["chargingProfile"]
    assert (command.payload["evseId"], profile["transactionId"]) == (1, "tx")
    (schedule,) = profile["chargingSchedule"]
    (period,) = schedule["chargingSchedulePeriod"]
    assert (schedule["chargingRateUnit"], period["limit"]) == limit, why


async def never(key: str) -> int:
    raise AssertionError(key)


def backend(rules: Rules) -> Backend:
    return Backend(Tokens(), never, rules)


@pytest.mark.parametrize(("version", "status"), [("v201", "Rejected"), ("v21", "NoChargingProfile")])
async def test_without_a_limit_or_a_transaction_there_is_no_profile(
    tmp_path: Path, version: str, status: str
) -> None:
    limited, unlimited = Rules(sites=sites(tmp_path)), Rules(sites=sites(tmp_path, "depot 100 B/1\n"))
    unlimited.saw("A", event("Started"))
    for rules in (Rules(), limited, unlimited):
        for asked in (needs(), {}, {"evseId": "1"}):
            question = Question(version, "NotifyEVChargingNeeds", "A", "k", asked)
            assert await backend(rules).answer(question) == {"status": status}
            assert rules.later.pop("k") is None


RUNNING = [
    ([event("Started"), event("Updated", evse=None)], "tx", "an EVSE may be named once only"),
    ([event("Started"), event("Ended")], None, "it has ended"),
    ([event("Started"), event("Ended", evse=None)], None, "without its EVSE too"),
    ([event("Started"), event("Started", "next")], "next", "the latest"),
    ([event("Started"), event("Started", "next"), event("Ended", evse=None)], "next", "the one before"),
    ([event("Started", evse=2)], None, "another EVSE"),
    ([{"eventType": "Started", "evse": []}, {}], None, "what cannot be read"),
]


@pytest.mark.parametrize(("events", "transaction", "why"), RUNNING)
def test_the_transaction_of_an_evse(
    tmp_path: Path, events: list[dict[str, Any]], transaction: str | None, why: str
) -> None:
    found = sites(tmp_path)
    for one in events:
        found.saw("A", one)
    profile = found.profile("A", needs())
    assert (profile and profile["chargingProfile"]["transactionId"]) == transaction, why


def chosen(limit: Any, unit: str = "A") -> dict[str, Any]:
    periods = [{"startPeriod": 0, "limit": 6}, {"startPeriod": 60, "limit": limit}]
    return {"evseId": 1, "chargingSchedule": {"chargingRateUnit": unit, "chargingSchedulePeriod": periods}}


CHOSEN = [
    (chosen(33.3), "Accepted", None),
    (chosen(33.4), "Rejected", "A"),
    (chosen(23_000, "W"), "Accepted", None),
    (chosen(23_000.1, "W"), "Rejected", "W"),
    (chosen("?"), "Accepted", None),
    ({"evseId": 1, "chargingSchedule": []}, "Accepted", None),
]


@pytest.mark.parametrize("version", ["v201", "v21"])
@pytest.mark.parametrize(("asked", "status", "unit"), CHOSEN)
async def test_a_schedule_above_the_limit_is_rejected_and_the_profile_sent_again(
    tmp_path: Path, version: str, asked: dict[str, Any], status: str, unit: str | None
) -> None:
    rules = Rules(sites=sites(tmp_path))
    rules.saw("A", event("Started"))
    answer = await backend(rules).answer(Question(version, "NotifyEVChargingSchedule", "A", "k", asked))
    command = rules.later.pop("k")
    sent = command and command.payload["chargingProfile"]["chargingSchedule"][0]["chargingRateUnit"]
    assert (answer["status"], sent) == (status, unit)


@pytest.mark.parametrize(
    "line", ["depot", "depot 100", "* 32 A/1", "depot x A/1", "depot 1 A", "depot 1 A/x"]
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(ValueError, match=r"sites\.txt:1: "):
        sites(tmp_path, line)
