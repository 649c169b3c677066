"""How many chargers are too many, and where the links say they are (moving: tests/e2e/test_operating.py)."""

import json
from collections import Counter

import pytest

from voltgate.cli.rebalance import Places, surplus


@pytest.mark.parametrize(
    ("chargers", "tolerance", "expected"),
    [
        ({}, 0.05, {}),
        ({"a": 7}, 0.05, {}),
        ({"a": 200, "b": 0}, 0.05, {"a": 100}),
        ({"a": 101, "b": 99}, 0.05, {}),
        ({"a": 105, "b": 95}, 0.05, {}),
        ({"a": 106, "b": 94}, 0.05, {"a": 6}),
        ({"a": 106, "b": 94}, 0.1, {}),
        ({"a": 2, "b": 1}, 0.0, {}),
        ({"a": 2, "b": 0}, 0.0, {}),
        ({"a": 3, "b": 0}, 0.0, {"a": 1}),
        ({"a": 9, "b": 6, "c": 0}, 0.05, {"a": 4, "b": 1}),
    ],
)
def test_what_is_too_many(chargers: dict[str, int], tolerance: float, expected: dict[str, int]) -> None:
    """Never more than leaves the gateway at the mean."""
    assert surplus(Counter(chargers), tolerance) == expected


def link(state: str, gateway: str, session: str) -> bytes:
    return json.dumps({"state": state, "gateway": gateway, "session": session}).encode()


def test_where_chargers_are() -> None:
    """The last `up`, until its own `down`; links of gateways that are gone do not count."""
    places = Places(("a", "b"))
    for gateway in ("a", "b", "other"):
        places.take_sign(f"$KV.ocpp_gateways.{gateway}", {})
    places.take_link("ocpp.link.CP1", link("up", "a", "1"))
    places.take_link("ocpp.link.CP2", link("up", "gone", "2"))
    places.take_link("ocpp.link.CP3", b"[")
    assert places.counts() == Counter({"a": 1, "b": 0})
    places.take_link("ocpp.link.CP1", link("up", "b", "3"))
    places.take_link("ocpp.link.CP1", link("down", "a", "1"))
    assert (places.counts()["b"], places.of("b"), places.session("CP1")) == (1, ["CP1"], "3")
    places.take_link("ocpp.link.CP1", link("down", "b", "3"))
    assert not places.is_up("CP1")
    assert places.counts() == Counter({"a": 0, "b": 0})


def test_gateways_that_start_and_end_meanwhile() -> None:
    """Their own signs decide, not who was alive at the beginning."""
    places = Places(("",))
    places.take_sign("$KV.ocpp_gateways.a", {})
    places.take_link("ocpp.link.CP1", link("up", "a", "1"))
    places.take_link("ocpp.link.CP2", link("up", "b", "2"))
    assert places.counts() == Counter({"a": 1})
    places.take_sign("$KV.ocpp_gateways.b", {})
    assert places.counts() == Counter({"a": 1, "b": 1})
    places.take_sign("$KV.ocpp_gateways.a", {"KV-Operation": "PURGE"})
    assert places.counts() == Counter({"b": 1})
