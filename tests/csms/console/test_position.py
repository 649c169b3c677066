"""The position as an id, and the lag: in seconds of a clock that the test sets."""

import pytest

from voltgate.csms.console import position
from voltgate.csms.console.position import Lag, Position


def read(*rows: tuple[str, str, int]) -> Position:
    return position.read(lambda sql, *args: list(rows))


def test_the_id_grows_while_the_streams_are_the_same() -> None:
    before = read(("OCPP_TX", "then", 4), ("OPS_STATE", "then", 6))
    after = read(("OCPP_TX", "then", 5), ("OPS_STATE", "then", 6))
    anew = read(("OCPP_TX", "now", 1), ("OPS_STATE", "then", 6))
    assert (before.total, after.total, before.epoch == after.epoch) == (10, 11, True)
    assert anew.epoch != before.epoch
    assert position.parsed(str(before)) == position.parsed(before.etag) == (before.epoch, 10)


@pytest.mark.parametrize("text", ["", "x", "-1", "abc-", "abc--1", "abc-1x", "abc-²"])
def test_what_is_no_id(text: str) -> None:
    assert position.parsed(text) is None


def test_the_lag_is_the_age_of_the_first_message_that_is_not_folded() -> None:
    lag = Lag()
    lag.sample(100.0, {"A": 5, "B": 1})
    lag.sample(101.0, {"A": 7, "B": 1})
    lag.sample(102.0, {"A": 9, "B": 2})
    assert lag.seconds(102.0, {"A": 9, "B": 2}) == 0
    lag.sample(103.0, {"A": 12, "B": 2})
    lag.sample(104.0, {"A": 12, "B": 3})
    assert lag.seconds(104.5, {"A": 11, "B": 3}) == 1.5
    assert lag.seconds(104.5, {"A": 12, "B": 2}) == 0.5
    assert lag.seconds(104.5, {"A": 12, "B": 3}) == 0


def test_the_lag_grows_while_the_streams_cannot_be_asked() -> None:
    lag = Lag()
    lag.sample(100.0, {"A": 5})
    assert lag.seconds(109.0, {"A": 5}) == 0
    assert lag.seconds(130.0, {"A": 5}) == 30
