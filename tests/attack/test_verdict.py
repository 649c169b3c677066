"""The bounds of an attack's verdict, and the windows it is made of."""

from dataclasses import replace
from pathlib import Path

import pytest

from attack.target import tracebacks
from attack.verdict import LOG_BYTES, PEAK_MARGIN, RSS_MARGIN, Bound, Figures, line
from voltgate.charger.tally import Latencies

SOUND = Figures(rest=[0.01, 0.012, 0.011], attacked=[0.03, 5.0, 0.029], samples=5000)


@pytest.mark.parametrize(
    ("rest", "allowed"), [(0.005, 0.025), (0.020, 0.040), (0.100, 0.200)], ids=["above", "equal", "times"]
)
def test_the_bound_is_the_larger_of_twice_the_rest_and_20_ms_above_it(rest: float, allowed: float) -> None:
    assert Bound().allowed(rest) == pytest.approx(allowed)


def test_the_median_of_the_rounds_counts() -> None:
    assert SOUND.faults(Bound(), 5000) == []
    assert replace(SOUND, attacked=[0.03, 5.0, 0.032]).faults(Bound(), 5000) == ["p99"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"restarted": True}, "a worker was restarted"),
        ({"disconnects": 2}, "2 connections of the others lost"),
        ({"errors": 3}, "3 CALLs of the others without an answer"),
        ({"samples": 4999}, "only 4999 answers under attack"),
        ({"rss_after": RSS_MARGIN + 1}, "memory not returned"),
        ({"rss_peak": PEAK_MARGIN + 1}, "memory under attack"),
        ({"ready": False}, "not ready afterwards"),
        ({"tracebacks": 1}, "1 tracebacks in the log"),
        ({"log_bytes": 2 * LOG_BYTES}, "4 MiB of log in one round"),
        ({"wrong": ["record replaced"]}, "record replaced"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_each_fault_has_its_words_and_stands_in_the_table(change: dict[str, object], fault: str) -> None:
    figures = replace(SOUND, **change)  # type: ignore[arg-type]
    assert figures.faults(Bound(), 5000) == [fault]
    assert fault in line("attack", figures, [fault])


def test_a_window_holds_what_came_after_its_start() -> None:
    before, after = Latencies(), Latencies()
    for seconds in (0.001, 0.002):
        before.add(seconds)
    after.merge(before.dump())
    for seconds in (0.002, 0.5, 0.5):
        after.add(seconds)
    window = after.since(before)
    assert len(window) == 3
    assert window.percentile(0.99) == pytest.approx(0.5, rel=0.03)
    assert len(after.since(after)) == 0


def test_tracebacks_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text('{"event":"x","exception":"Traceback (most recent call last):\\n"}\n{"event":"y"}\n')
    assert tracebacks(log) == 1
