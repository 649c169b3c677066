"""The search for the highest rate, with a gateway that is a formula."""

import pytest

from voltgate.charger.plan import Report
from voltgate.charger.tally import Tally
from voltgate.cli.swarm.search import Search
from voltgate.cli.swarm.thresholds import parse

SECONDS = 10.0


def searched(first: float, capacity: float, errors: int = 0, slow: float = 1.0) -> tuple[float, int]:
    """The result, and the number of steps: above its capacity a gateway answers as fast as it can."""
    search = Search(first, SECONDS, parse("--until", "p99_ms<100"))
    rate: float | None = first
    tally = Tally()
    while rate is not None:
        before = Tally()
        before.merge(tally.dump())
        held = rate <= capacity
        for _ in range(round(rate * SECONDS)):
            tally.load.add(0.01 if held else 0.5)
        tally.due += round(rate * SECONDS)
        tally.served += round(rate * SECONDS)
        tally.timeout += 0 if held else errors
        rate = search.next(rate, SECONDS * (1.0 if held else slow), before, Report(), tally)
    figures = search.figures()
    return figures["rate"], len(figures["steps"])


@pytest.mark.parametrize(
    ("first", "capacity"), [(100.0, 1000.0), (1000.0, 130.0), (100.0, 100.0), (8.0, 333.0)]
)
def test_it_finds_the_highest_rate_within_5_percent(first: float, capacity: float) -> None:
    rate, steps = searched(first, capacity)
    assert 0.94 * capacity <= rate <= capacity
    assert steps <= 16


def test_it_ends_where_no_rate_holds() -> None:
    assert searched(8.0, 0.0) == (0, 4)


def test_a_step_with_errors_or_late_answers_does_not_hold() -> None:
    search = Search(10.0, SECONDS, parse("--until", "p99_ms<1000"))
    for errors, seconds in ((1, SECONDS), (0, 2 * SECONDS)):
        tally = Tally(due=100, served=100, timeout=errors)
        for _ in range(100):
            tally.load.add(0.01)
        search.next(10.0, seconds, Tally(), Report(), tally)
    assert [step["held"] for step in search.figures()["steps"]] == [False, False]
