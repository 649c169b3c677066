"""Conditions on the figures of a swarm: ``--threshold 'p99_ms<50'``, ``--until 'p999_ms<200'``."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from voltgate import _core
from voltgate.cli.faults import USAGE, Failure
from voltgate.cli.swarm.figures import PERCENTILES
from voltgate.schemas import SUBPROTOCOLS

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
COUNTS = (
    "connected", "gave_up", "sent", "answered", "errors", "disconnects", "interrupted", "rate_achieved",
    "error_share", "plan_behind_ms", "bytes_per_charger",
)  # fmt: skip
ROWS = ("connect", "upgrade", "storm", "return", "away", "half_open", "commands")
_FORM = re.compile(r"\s*([\w.-]+)\s*(<=|>=|==|<|>)\s*(\d+(?:\.\d+)?)\s*")


@dataclass(frozen=True, slots=True)
class Threshold:
    """One condition."""

    text: str
    name: str
    """A path in the output of ``--json``, joined by dots."""
    sign: str
    limit: float

    def value(self, figures: dict[str, Any]) -> float | None:
        """The figure; None if the run has none."""
        value: Any = figures
        for key in self.name.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return None if value is None else float(value)

    def holds(self, figures: dict[str, Any]) -> bool:
        """False also if there is no such figure: nothing was measured."""
        value = self.value(figures)
        return value is not None and OPERATORS[self.sign](value, self.limit)

    def verdict(self, figures: dict[str, Any]) -> dict[str, Any]:
        """As a part of the output of ``--json``."""
        return {"threshold": self.text, "value": self.value(figures), "held": self.holds(figures)}


def parse(option: str, text: str) -> Threshold:
    """Raises Failure (usage)."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise Failure(f"{option} {text!r}: must have the form 'p99_ms<50' ({' '.join(OPERATORS)})", USAGE)
    name, sign, limit = match.groups()
    if not _known(name):
        raise Failure(
            f"{option} {text!r}: {name} is not a figure; figures are {', '.join((*COUNTS, *PERCENTILES))}, "
            f"and the percentiles and count of {', '.join(ROWS)} and actions.ACTION, such as upgrade.p99_ms",
            USAGE,
        )
    return Threshold(text.strip(), name, sign, float(limit))


def _known(name: str) -> bool:
    first, *rest = name.split(".")
    if first == "actions" and len(rest) == 2:
        actions = {row[0] for version in SUBPROTOCOLS for row in _core.actions(version)}
        return rest[0] in actions and rest[1] in {*PERCENTILES, "count", "errors"}
    if rest:
        more = {"connect": ["seconds"], "storm": ["seconds"], "commands": ["errors"]}.get(first, [])
        return first in ROWS and len(rest) == 1 and rest[0] in {*PERCENTILES, "count", *more}
    return name in {*COUNTS, *PERCENTILES}
