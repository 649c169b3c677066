"""Two results and their ratios."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voltgate.charger.tally import Latencies
from voltgate.cli.swarm.compare import differences, ratios
from voltgate.cli.swarm.figures import SCHEMA, percentiles

Run = Callable[..., tuple[int, str, str]]


def run(times: float = 1.0, rate: float = 100.0, errors: float = 0.0, seed: int = 1) -> dict[str, Any]:
    """Sixty windows of noisy answers, ``times`` as slow as others."""
    rng, total, windows = random.Random(seed), Latencies(), []
    for _ in range(60):
        window = Latencies()
        for _ in range(100):
            seconds = times * rng.lognormvariate(-4.5, 0.4)
            window.add(seconds)
            total.add(seconds)
        windows.append(window.dump()[0])
    return {
        "schema": SCHEMA, "scenario": "steady", "chargers": 10, "rate_planned": 100, "mix": {},
        "processes": 1, "rate_achieved": rate, "error_share": errors, "windows": windows,
        **percentiles(total),
    }  # fmt: skip


def test_two_runs_of_the_same_are_not_worse_and_their_interval_holds_1() -> None:
    found = ratios(run(seed=1), run(seed=2), 0.05)
    assert not any(ratio.worse for ratio in found)
    for ratio in found[:3]:
        assert ratio.low <= 1.0 <= ratio.high, ratio
        assert ratio.low < ratio.high


@pytest.mark.parametrize(
    ("second", "worse"),
    [
        (run(times=1.5, seed=2), {"p50_ms", "p95_ms", "p99_ms"}),
        (run(times=0.5, seed=2), set()),
        (run(rate=80.0, seed=2), {"rate_achieved"}),
        (run(errors=0.01, seed=2), {"error_share"}),
    ],
)
def test_a_slower_run_is_worse(second: dict[str, Any], worse: set[str]) -> None:
    assert {ratio.name for ratio in ratios(run(), second, 0.05) if ratio.worse} == worse


def test_a_ratio_within_the_tolerance_is_not_worse() -> None:
    second = run(times=1.2, seed=2)
    assert any(ratio.worse for ratio in ratios(run(), second, 0.05))
    assert not any(ratio.worse for ratio in ratios(run(), second, 0.5))


def test_different_settings_are_named() -> None:
    assert differences(run(), run()) == []
    assert differences(run(), run() | {"chargers": 20}) == ["chargers: 10 and 20"]


def test_the_command_exits_with_1_if_the_second_run_is_worse(voltgate: Run, tmp_path: Path) -> None:
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for file, figures in zip(files, (run(), run(times=1.5, seed=2) | {"chargers": 20}), strict=True):
        file.write_text(json.dumps(figures))
    code, out, err = voltgate("swarm", "compare", *files)
    assert code == 1
    assert [line.split()[0] for line in out.splitlines()] == [
        "p50_ms", "p95_ms", "p99_ms", "rate_achieved", "error_share"
    ]  # fmt: skip
    assert out.count("WORSE") == 3
    assert err == "voltgate: the two runs differ in chargers: 10 and 20\n"
    code, out, _ = voltgate("swarm", "compare", files[0], files[0], "--json")
    assert (code, [one["worse"] for one in json.loads(out)]) == (0, [False] * 5)


def test_a_run_that_is_too_short_cannot_be_compared(voltgate: Run, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(run() | {"windows": [[]]}))
    code, _, err = voltgate("swarm", "compare", tmp_path / "a.json", tmp_path / "a.json")
    assert (code, "fewer than 10 seconds" in err) == (2, True)
