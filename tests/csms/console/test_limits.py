"""Power limits as profiles that the schemas take, and the shares of a site."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltgate import Codec
from voltgate.csms.console import limits
from voltgate.csms.console.operations import LimitBody, ScheduleBody
from voltgate.schemas import SUBPROTOCOLS

NOW = datetime(2026, 5, 1, 10, 30, tzinfo=UTC)
PURPOSES = {
    ("v16", None): "ChargePointMaxProfile",
    ("v201", None): "ChargingStationMaxProfile",
    ("v21", None): "ChargingStationMaxProfile",
    ("v16", 2): "TxDefaultProfile",
    ("v201", 2): "TxDefaultProfile",
    ("v21", 2): "TxDefaultProfile",
}


@pytest.mark.parametrize(("version", "evse"), PURPOSES)
def test_a_limit_is_a_legal_profile_and_its_repeat_the_same(version: str, evse: int | None) -> None:
    codec = Codec(SUBPROTOCOLS[version])
    wanted = LimitBody(limit=3680.19, evse=evse, until=datetime(2026, 5, 2, tzinfo=UTC))
    commands = [
        limits.setting(version, wanted, NOW),
        limits.clearing(version, evse),
        limits.asking(version, ScheduleBody(evse=evse or 0, unit="W")),
    ]
    for command in commands:
        assert codec.check(command.action, "request", command.payload) is None
    assert limits.setting(version, wanted, NOW.replace(hour=23)) == commands[0]
    body = orjson.loads(commands[0].payload)
    profile = body["csChargingProfiles" if version == "v16" else "chargingProfile"]
    assert profile["chargingProfilePurpose"] == PURPOSES[version, evse]
    assert profile["validTo"] == "2026-05-02T00:00:00.000Z"
    assert b'"limit":3680.1}' in commands[0].payload
    assert str(limits.PROFILE_ID + (evse or 0)).encode() in commands[1].payload


@pytest.mark.parametrize(
    ("version", "said", "periods"),
    [
        ("v16", {"chargingSchedule": {"chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0}]}}, 1),
        ("v201", {"schedule": {"chargingSchedulePeriod": [{"startPeriod": 0, "limit": 1}, {}]}}, 2),
        ("v21", {"schedule": {"chargingSchedulePeriod": [{"startPeriod": 0, "numberPhases": 3}]}}, 1),
        ("v21", {"schedule": 7}, 0),
        ("v16", {}, 0),
    ],
)
def test_a_schedule_is_shown_as_the_charger_says_it(version: str, said: Any, periods: int) -> None:
    assert len(limits.schedule(version, said)["periods"]) == periods


@pytest.mark.parametrize(
    ("limit", "chargers", "shares"),
    [
        (22_000, {"a": None, "b": None}, {"a": 11_000, "b": 11_000}),
        (22_000, {"a": 3_000, "b": None, "c": None}, {"a": 3_000, "b": 9_500, "c": 9_500}),
        (100_000, {"a": 3_000, "b": 7_000}, {"a": 3_000, "b": 7_000}),
        (100, {"a": None, "b": None, "c": None}, {"a": 33, "b": 33, "c": 34}),
        (0, {"a": None, "b": 5}, {"a": 0, "b": 0}),
        (5, {}, {}),
    ],
)
def test_shares_of_a_site(limit: int, chargers: dict[str, int | None], shares: dict[str, int]) -> None:
    assert limits.shares(limit, chargers) == shares


@given(
    st.integers(0, 10**8),
    st.dictionaries(st.text(max_size=3), st.none() | st.integers(1, 10**6), min_size=1, max_size=30),
)
def test_shares_are_never_more_than_the_limit_and_waste_nothing(
    limit: int, chargers: dict[str, int | None]
) -> None:
    shares = limits.shares(limit, chargers)
    assert shares.keys() == chargers.keys()
    assert sum(shares.values()) <= limit
    assert all(most is None or shares[id_] <= most for id_, most in chargers.items())
    if sum(shares.values()) < limit:
        assert all(shares[id_] == most for id_, most in chargers.items()), "somebody could have had more"
