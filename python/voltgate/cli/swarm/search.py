"""The highest rate that holds a threshold (``--find-rate --until``): doubling, then halving the interval."""

from typing import Any

from voltgate.charger.plan import Report
from voltgate.charger.tally import Tally
from voltgate.cli.swarm.figures import percentiles
from voltgate.cli.swarm.thresholds import Threshold

PRECISION = 0.05  # of the rate
STEPS = 20
REACHED = 0.9  # of the calls per second that were due


class Search:
    """Values in, the next rate out."""

    def __init__(self, first: float, duration: float, until: Threshold) -> None:
        self.first, self._duration = first, duration
        self._until = until
        self._low, self._high = 0.0, 0.0
        self._steps: list[dict[str, Any]] = []

    def next(self, rate: float, seconds: float, before: Tally, report: Report, tally: Tally) -> float | None:
        """Judge a step whose last answer came after ``seconds``; the next rate, or None at the end."""
        load = tally.load.since(before.load)
        errors = tally.errors - before.errors
        achieved = (tally.served - before.served) / seconds
        due = (tally.due - before.due) / self._duration
        step = {
            "rate": round(rate, 1),
            "rate_achieved": round(achieved, 1),
            "errors": errors,
            "plan_behind_ms": round(report.behind * 1000, 1),
            **percentiles(load),
        }
        held = achieved >= REACHED * due and not errors and self._until.holds(step)
        self._steps.append(step | {"held": held})
        if held:
            self._low = rate
        else:
            self._high = rate
        return self._following()

    def _following(self) -> float | None:
        if len(self._steps) >= STEPS:
            return None
        if not self._high:
            return self._low * 2
        if self._high - self._low <= max(PRECISION * self._high, 1.0):
            return None
        return (self._low + self._high) / 2

    def figures(self) -> dict[str, Any]:
        """As a part of the output of ``--json``; rate 0: no step held."""
        return {"until": self._until.text, "rate": round(self._low, 1), "steps": self._steps}
