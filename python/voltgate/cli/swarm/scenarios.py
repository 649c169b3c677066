"""The scenarios of ``voltgate swarm``: each is a command, the plain one with other defaults."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Share of a day's mean rate in each hour from midnight on: a network with commuters and home chargers.
DAY = (
    0.55, 0.45, 0.40, 0.35, 0.35, 0.45, 0.75, 1.15, 1.35, 1.30, 1.20, 1.15,
    1.20, 1.15, 1.10, 1.15, 1.30, 1.55, 1.75, 1.65, 1.40, 1.15, 0.90, 0.70,
)  # fmt: skip
HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """Help and defaults."""

    help: str
    defaults: Mapping[str, Any]


SCENARIOS = {
    "steady": Scenario("Run a steady load.", {}),
    "storm": Scenario("Reset all connections after half the duration; all chargers redial.", {"storm": True}),
    "half-open": Scenario(
        "Leave the sockets of a tenth of the chargers half-open; these chargers redial.",
        {"half_open": 0.1, "duration": 120.0},
    ),
    "slow-consumer": Scenario(
        "Run a steady load while a subscriber of all facts does not read its socket.", {"slow_consumers": 1}
    ),
    "fan-out": Scenario(
        "Send one command to each of 10,000 chargers.",
        {"chargers": 10_000, "fan_out": True, "commands": 500.0, "duration": 20.0},
    ),
    "day": Scenario(
        "Run the day of a network of 10,000 chargers in an hour: --rate is its mean, in the network's time.",
        {"chargers": 10_000, "rate": 60.0, "speed": 24.0, "reconnect_rate": 0.25},
    ),
}


def day(mean: float) -> list[tuple[float, float]]:
    """A profile of 24 hours, as (seconds, CALLs per second)."""
    unit = mean * len(DAY) / sum(DAY)
    hours = [(hour * HOUR, unit * share) for hour, share in enumerate(DAY)]
    return [*hours, (len(DAY) * HOUR, unit * DAY[0])]
