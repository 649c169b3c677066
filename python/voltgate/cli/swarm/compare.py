"""``voltgate swarm compare``: two results of ``voltgate swarm --json``, and whether the second is worse.

The interval of a ratio is a bootstrap over the windows of the load (parts of equal length, at most 60): it
shows how much the ratio depends on which seconds were measured, and nothing of differences between machines.
"""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from voltgate.cli.faults import USAGE, Failure

if TYPE_CHECKING:
    from voltgate.charger.tally import Latencies

ROUNDS = 200
LEAST_WINDOWS = 10
SHARES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
SETTINGS = ("scenario", "chargers", "rate_planned", "mix", "processes")
ERROR_SHARE = 0.001  # more errors than before are worse if they are more than this share of all CALLs


@dataclass(frozen=True, slots=True)
class Ratio:
    """The second run's figure over the first's."""

    name: str
    first: float
    second: float
    low: float
    high: float
    """95 % of the resampled ratios lie between the two."""
    worse: bool

    def line(self) -> str:
        """For people."""
        times = self.second / self.first if self.first else 1.0
        return (
            f"{self.name:<14} {self.first:>10.3f} {self.second:>10.3f}  {times:.3f} x "
            f"({self.low:.3f} to {self.high:.3f})  {'WORSE' if self.worse else 'ok'}"
        )


def loaded(file: Path) -> dict[str, Any]:
    """A result. Raises Failure (usage)."""
    try:
        figures = orjson.loads(file.read_bytes())
        if figures["schema"] == 1 and len(figures["windows"]) >= LEAST_WINDOWS:
            return dict(figures)
        reason = f"fewer than {LEAST_WINDOWS} seconds of load, or another schema"
    except OSError as error:
        reason = error.strerror or str(error)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        reason = "not a result of voltgate swarm --json"
    raise Failure(f"{file}: {reason}", USAGE)


def differences(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """The settings in which the two runs differ."""
    return [
        f"{name}: {first.get(name)} and {second.get(name)}"
        for name in SETTINGS
        if first.get(name) != second.get(name)
    ]


def ratios(first: dict[str, Any], second: dict[str, Any], tolerance: float) -> list[Ratio]:
    """Each figure's ratio; ``tolerance`` is the share by which a figure may be worse."""
    rng = random.Random(1)  # noqa: S311 - the same two files give the same intervals
    drawn: dict[str, list[float]] = {name: [] for name in SHARES}
    for _ in range(ROUNDS):
        before, after = _resampled(first, rng), _resampled(second, rng)
        for name, share in SHARES.items():
            drawn[name].append(after.percentile(share) / before.percentile(share))
    found = []
    for name, values in drawn.items():
        values.sort()
        low, high = values[round(0.025 * ROUNDS)], values[round(0.975 * ROUNDS) - 1]
        found.append(Ratio(name, first[name], second[name], low, high, low > 1 + tolerance))
    for name in ("rate_achieved", "error_share"):
        old, new = float(first[name]), float(second[name])
        times = new / old if old else 1.0
        worse = times < 1 - tolerance if name == "rate_achieved" else new - old > ERROR_SHARE
        found.append(Ratio(name, old, new, times, times, worse))
    return found


def _resampled(figures: dict[str, Any], rng: random.Random) -> "Latencies":
    from voltgate.charger.tally import Latencies  # noqa: PLC0415 - other commands need no websockets

    windows = figures["windows"]
    longest = (figures["max_ms"] or 0.0) / 1000
    return Latencies.of((rng.choice(windows), longest) for _ in windows)
