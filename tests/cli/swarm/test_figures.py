"""The figures of a run from its counters."""

from collections import Counter
from typing import Any

import pytest

from voltgate.charger.plan import MIX, Report
from voltgate.charger.tally import Tally
from voltgate.cli.swarm.figures import Course, Wish, result, table

WISH = Wish(
    scenario="steady", url="ws://127.0.0.1:9000", chargers=20, rate=200.0, duration=10.8, mix=dict(MIX)
)


def figures(tally: Tally, **report: Any) -> dict[str, Any]:
    course = Course(began=1000.0, loaded=10.8, connecting=2.0)
    return result(WISH, course, Report(joined=20, **report), tally) | {"processes": 1}


@pytest.mark.parametrize(
    ("answered_at", "rate"),
    [(1046.7, 40.0), (1010.0, 173.0), (0.0, 173.0)],
    ids=["the last answer came long after the load", "within it", "none came"],
)
def test_the_rate_is_over_the_time_in_which_answers_came(answered_at: float, rate: float) -> None:
    assert figures(Tally(due=2160, served=1868), answered_at=answered_at)["rate_achieved"] == rate


def test_the_table_says_what_went_wrong() -> None:
    tally = Tally(
        sent=10, answered=7, lost=2, unanswered=1, disconnects=3, refused=Counter({"HTTP 503": 4}),
        boots=Counter(Pending=2),
    )  # fmt: skip
    lines = dict(line.split(maxsplit=1) for line in table(figures(tally)).splitlines())
    assert lines["errors"] == "3 (2 lost, 1 unanswered)"
    assert lines["disconnects"] == "3"
    assert lines["refused"] == "upgrades: 4 HTTP 503"
    assert lines["boot"] == "not accepted: 2 Pending"
    assert lines["answers"] == "none"


def test_percentiles_reach_to_one_in_a_thousand() -> None:
    tally = Tally()
    for number in range(1, 10_001):
        tally.load.add(number / 1000)
    found = figures(tally)
    expected = {"p50_ms": 5000, "p95_ms": 9500, "p99_ms": 9900, "p999_ms": 9990}
    for name, milliseconds in expected.items():
        assert found[name] == pytest.approx(milliseconds, rel=0.02)
    assert found["max_ms"] == 10_000
