"""A real Prometheus that scrapes a gateway, with the shipped rules in faster time."""

import json
import math
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import yaml

from jetstream import free_port
from observe.rules import FILES

PATIENCE = 90.0  # seconds until a condition that should hold counts as failed
FASTER = 60  # every time in the copy of the rules is shorter by this
SCRAPE = 0.5  # seconds

Curve = tuple[dict[str, str], list[tuple[float, float]]]  # labels, and values by time

_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_TIME = re.compile(r"(\d+)([smhd])")


def _shorter(match: re.Match[str]) -> str:
    return f"{int(match[1]) * _MS[match[2]] // FASTER}ms"


def faster(rules: dict[str, Any]) -> dict[str, Any]:
    """A copy of a file of rules in which a minute takes a second: ranges, offsets and ``for``."""
    copy: dict[str, Any] = json.loads(json.dumps(rules))
    for group in copy["groups"]:
        for rule in group["rules"]:
            rule["expr"] = re.sub(
                r"(\[|offset )(\d+[smhd])", lambda m: m[1] + _TIME.sub(_shorter, m[2]), rule["expr"]
            )
            if "for" in rule:
                rule["for"] = _TIME.sub(_shorter, rule["for"])
    return copy


class Prometheus:
    """The process. Its rules are the recording rules and the alerts, 60 times as fast."""

    def __init__(self, folder: Path, target: str) -> None:
        folder.mkdir()
        self._began = 0.0
        port = free_port()
        self._url = f"http://127.0.0.1:{port}/api/v1"
        files = [folder / file.name for file in FILES[:2]]
        for file, ours in zip(FILES[:2], files, strict=True):
            ours.write_text(yaml.safe_dump(faster(yaml.safe_load(file.read_text()))))
        every = f"{int(SCRAPE * 1000)}ms"
        config = folder / "prometheus.yaml"
        config.write_text(
            yaml.safe_dump(
                {
                    "global": {
                        "scrape_interval": every,
                        "scrape_timeout": every,
                        "evaluation_interval": every,
                    },
                    "rule_files": [str(file) for file in files],
                    "scrape_configs": [{"job_name": "voltgate", "static_configs": [{"targets": [target]}]}],
                }
            )
        )
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def ready(self) -> None:
        """Wait for its first scrape."""
        self.until(lambda: self.value("sum(up)") == 1, "Prometheus scrapes")
        self._began = self.value("time()")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _get(self, path: str, **parameters: Any) -> Any:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self._url}/{path}?{query}", timeout=10) as answer:
            return json.load(answer)["data"]

    def value(self, expression: str) -> float:
        """The first value of an expression now; not a number where it has none."""
        try:
            found = self._get("query", query=expression)
        except OSError:
            return math.nan
        result = found["result"]
        return (
            float(result[1] if found["resultType"] == "scalar" else result[0]["value"][1])
            if result
            else math.nan
        )

    def curves(self, expression: str, step: float = 1.0) -> list[Curve]:
        """Labels and (seconds since the start, value) of each series with at least one number."""
        now = self.value("time()")
        found = self._get("query_range", query=expression, start=self._began, end=now, step=step)["result"]
        series = [
            (one["metric"], [(at - self._began, float(value)) for at, value in one["values"]])
            for one in found
        ]
        return [
            (labels, values) for labels, values in series if any(math.isfinite(value) for _, value in values)
        ]

    def firing(self) -> set[str]:
        """Names of the alerts that fire now."""
        alerts = self._get("alerts")["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}

    def fires(self, alert: str) -> None:
        self.until(lambda: alert in self.firing(), f"{alert} fires")

    def clears(self, alert: str) -> None:
        self.until(lambda: alert not in self.firing(), f"{alert} clears")

    def until(self, holds: Callable[[], object], what: str) -> None:
        deadline = monotonic() + PATIENCE
        while not holds():
            assert self._process.poll() is None, Path(self._log.name).read_text()[-2000:]
            assert monotonic() < deadline, f"not in time: {what}"
            sleep(0.1)
