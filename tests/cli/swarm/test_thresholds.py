"""Conditions on figures."""

from typing import Any

import pytest

from voltgate.cli.faults import USAGE, Failure
from voltgate.cli.swarm.thresholds import parse

FIGURES: dict[str, Any] = {
    "p99_ms": 50.0,
    "errors": 0,
    "storm": None,
    "upgrade": {"p999_ms": 7.5, "p50_ms": None},
    "actions": {"Heartbeat": {"p99_ms": 3.0}},
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("p99_ms<50", False),
        ("p99_ms <= 50", True),
        ("p99_ms>49.9", True),
        ("errors==0", True),
        ("upgrade.p999_ms<8", True),
        ("actions.Heartbeat.p99_ms>=3", True),
    ],
)
def test_a_condition_on_a_figure(text: str, holds: bool) -> None:
    assert parse("--threshold", text).holds(FIGURES) is holds


@pytest.mark.parametrize(
    "name", ["storm.seconds", "upgrade.p50_ms", "actions.Authorize.p50_ms", "commands.errors"]
)
def test_what_was_not_measured_holds_no_condition(name: str) -> None:
    verdict = parse("--threshold", f"{name}<1000000").verdict(FIGURES)
    assert (verdict["value"], verdict["held"]) == (None, False)


@pytest.mark.parametrize(
    "text",
    ["", "p99_ms", "p99_ms<", "p99_ms=5", "p99_ms<x", "p99_ms<-1", "url<1", "storm<1",
     "actions.Nothing.p99_ms<1", "actions.Heartbeat<1", "upgrade.seconds<1", "p99_ms<1 or 1"],
)  # fmt: skip
def test_anything_else_is_a_usage_error(text: str) -> None:
    with pytest.raises(Failure) as failure:
        parse("--threshold", text)
    assert failure.value.code == USAGE
    assert repr(text) in str(failure.value)
