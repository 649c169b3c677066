"""The queries of the shipped dashboards, with the variables that Grafana would put in."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from observe.prometheus import Curve, Prometheus
from observe.rules import ROOT

BOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))


class Query(NamedTuple):
    """One query of a panel; ``legend`` names a series by its labels."""

    legend: str
    expression: str

    def curves(self, prometheus: Prometheus) -> list[Curve]:
        """Every series that has a number."""
        expression = self.expression.replace("$__rate_interval", "5s")
        expression = expression.replace("$job", "voltgate").replace("$instance", ".+")
        assert "$" not in expression
        return prometheus.curves(expression)

    @property
    def metrics(self) -> set[str]:
        """Those it reads."""
        return set(re.findall(r"voltgate_\w+", self.expression))

    def name(self, labels: dict[str, str]) -> str:
        """What the legend calls a series."""
        name = self.legend
        for label, value in labels.items():
            name = name.replace("{{" + label + "}}", value)
        return name


class Panel(NamedTuple):
    """One panel: ``kind`` and ``unit`` are Grafana's words."""

    title: str
    kind: str
    unit: str
    stacked: bool
    logarithmic: bool
    queries: list[Query]


def panels(board: Path) -> Iterator[Panel]:
    """Of a dashboard, in its order."""
    for panel in json.loads(board.read_text())["panels"]:
        defaults: dict[str, Any] = panel["fieldConfig"]["defaults"]
        custom = defaults.get("custom", {})
        queries = [Query(target["legendFormat"], target["expr"]) for target in panel["targets"]]
        yield Panel(
            title=panel["title"],
            kind=panel["type"],
            unit=defaults["unit"],
            stacked=custom.get("stacking", {}).get("mode") == "normal",
            logarithmic=custom.get("scaleDistribution", {}).get("type") == "log",
            queries=queries,
        )
