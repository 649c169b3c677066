"""Figures as tables, and the numbers section of README.md. The targets are defined here."""

import os
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from measure import Idle, Message, Size
from rich.console import Console
from rich.table import Table as RichTable

from voltgate.cli.dev.embedded import find

README = Path(__file__).parent / "README.md"
END = "<!-- end of numbers -->\n"


@dataclass
class Table:
    """Texts in rows."""

    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)

    def rich(self) -> RichTable:
        """For the terminal."""
        table = RichTable(*self.columns, title=self.title, title_justify="left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def data(self) -> dict[str, Any]:
        """For JSON: a row is an object, with ``met`` where it has targets."""
        rows = []
        for row in self.rows:
            cells = [(column, text) for column, text in zip(self.columns, row, strict=True) if text]
            targets = [text for column, text in cells if column == "target" and ":" in text]
            figures: dict[str, Any] = {column: text for column, text in cells if column != "target"}
            rows.append(figures | ({"targets": targets, "met": not _missed(row)} if targets else {}))
        return {"title": self.title, "rows": rows}

    def missed(self) -> list[str]:
        """The rows whose targets are not met."""
        return [f"{self.title}: {row[0]}: {text}" for row in self.rows for text in _missed(row)]

    def markdown(self) -> str:
        """For the README."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return f"**{self.title}**\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


@dataclass(frozen=True)
class Bound:
    """A target: the base of the ratio, and its limit."""

    than: str
    limit: float
    at_least: bool = False

    def verdict(self, ratio: float) -> str:
        """Whether the measured ratio meets the target."""
        met = ratio >= self.limit if self.at_least else ratio <= self.limit
        return f"{'at least' if self.at_least else 'at most'} {self.limit:g}: {_met(met)}"


@dataclass(frozen=True)
class Over:
    """A target for the cost over the floor's, which either of the two meets.

    The floor differs between machines, the surplus over it hardly.
    """

    ratio: float
    surplus: float
    """Microseconds."""

    def verdict(self, ratio: float, surplus: float) -> str:
        """Whether the measured ratio or surplus meets the target."""
        met = _met(ratio <= self.ratio or surplus <= self.surplus)
        return f"at most {self.ratio:g} x or +{self.surplus:g} us: {met}"


MESSAGE_BOUNDS = {
    "live MeterValues": Over(1.6, 3.0),
    "live Heartbeat": Over(1.6, 3.0),
    "durable MeterValues": Over(2.1, 5.0),
}
OPEN_RATE, OPEN_BOUND = 10_000.0, Bound("floor MeterValues", 1.6)
MOBILITYHOUSE = "mobilityhouse MeterValues"
TIMES_CHEAPER = 15.0
UPGRADE = 2.2
IDLE_BYTES, DEFLATE_BYTES = 10 * 1024, 2 * 1024
GROWTH = 15.0
DECODE = (Bound("orjson + jsonschema_rs", 4, at_least=True), Bound("mobilityhouse", 100, at_least=True))


def spread(values: Sequence[float], digits: int = 1, scale: float = 1.0) -> str:
    """Median (min-max)."""
    low, middle, high = (
        f"{value * scale:,.{digits}f}" for value in (min(values), statistics.median(values), max(values))
    )
    return middle if len(values) == 1 else f"{middle} ({low}-{high})"


def ratios(over: Sequence[Any], under: Sequence[Any], what: Callable[[Any], float]) -> list[float]:
    """Ratios per round: a disturbance of a round affects both values."""
    return [what(one) / what(other) for one, other in zip(over, under, strict=True)]


def over(runs: Sequence[Message], floor: Sequence[Message]) -> tuple[list[float], list[float]]:
    """CPU a message per round over the floor's: as ratios, and in microseconds more."""
    more = [run.cpu - base.cpu for run, base in zip(runs, floor, strict=True)]
    return ratios(runs, floor, lambda run: run.cpu), more


def messages(rounds: dict[str, list[Message]]) -> Table:
    """CPU a message, and what it is over the floor's."""
    columns = [
        "case", "CPU us a message", "messages/s", "core busy", "answers", "over the floor us", "to the floor",
        "target",
    ]  # fmt: skip
    table = Table("A message", columns)
    for name, runs in rounds.items():
        surplus, base, target = "", "", ""
        floor = "floor Heartbeat" if name.endswith("Heartbeat") else "floor MeterValues"
        if name not in (floor, "floor Heartbeat"):
            times, more = over(runs, rounds[floor])
            surplus, base = spread(more), f"{spread(times, 2)} x"
            if goal := MESSAGE_BOUNDS.get(name):
                target = goal.verdict(statistics.median(times), statistics.median(more))
        table.rows.append(
            [
                name,
                spread([run.cpu for run in runs]),
                spread([run.rate for run in runs], 0),
                f"{statistics.median(run.busy for run in runs):.0%}",
                f"{sum(run.answered for run in runs):,}",
                surplus,
                base,
                target,
            ]
        )
    cheaper = ratios(rounds[MOBILITYHOUSE], rounds["durable MeterValues"], lambda run: run.cpu)
    bound = Bound(MOBILITYHOUSE, TIMES_CHEAPER, at_least=True)
    row = ["mobilityhouse over durable", f"{spread(cheaper)} x", "", "", "", "", ""]
    table.rows.append([*row, bound.verdict(statistics.median(cheaper))])
    return table


def connections(rounds: dict[str, list[Idle]], size: Size) -> Table:
    """Idle memory and upgrade CPU."""
    columns = ["case", "RSS KB a charger", "target", "upgrade CPU us", "to the floor", "target"]
    table = Table(f"A connection ({size.idle:,} of them)", columns)
    for name, runs in rounds.items():
        floor = rounds["floor, deflate" if name.endswith("deflate") else "floor"]
        times = ratios(runs, floor, lambda run: run.upgrade)
        rss = statistics.median(run.rss for run in runs)
        memory = upgrade = ""
        if name == "voltgate":
            memory = f"at most {IDLE_BYTES // 1024}: {_met(rss <= IDLE_BYTES)}"
            upgrade = Bound("floor", UPGRADE).verdict(statistics.median(times))
        elif name == "voltgate, deflate":
            more = rss - statistics.median(run.rss for run in rounds["voltgate"])
            memory = f"at most 2 more: {_met(more <= DEFLATE_BYTES)}"
        table.rows.append(
            [
                name,
                spread([run.rss for run in runs], 1, 1 / 1024),
                memory,
                spread([run.upgrade for run in runs], 0),
                f"{spread(times, 2)} x" if "floor" not in name else "",
                upgrade,
            ]
        )
    return table


def opened(rounds: dict[str, dict[float, list[Message]]], size: Size) -> Table:
    """Each rate by plan, whatever the answers take."""
    columns = [
        "case", "messages/s", "CPU us a message", "nats-server us", "p50 ms", "p99 ms", "over the floor us",
        "to the floor", "target",
    ]  # fmt: skip
    table = Table(f"Open loop, {size.connections:,} chargers", columns)
    for name, steps in rounds.items():
        for rate, runs in steps.items():
            stores = name.startswith(("durable", "live"))
            times, more = over(runs, rounds["floor MeterValues"][rate])
            judged = name == "durable MeterValues" and rate == OPEN_RATE
            table.rows.append(
                [
                    name,
                    f"{rate:,.0f}",
                    spread([run.cpu for run in runs]),
                    spread([run.nats for run in runs]) if stores else "",
                    spread([run.p50 for run in runs], 1, 1e-3),
                    spread([run.p99 for run in runs], 1, 1e-3),
                    spread(more) if stores else "",
                    f"{spread(times, 2)} x" if stores else "",
                    OPEN_BOUND.verdict(statistics.median(times)) if judged else "",
                ]
            )
    return table


def growth(rounds: dict[str, dict[int, list[Message]]], size: Size) -> Table:
    """The same rate from more chargers."""
    columns = ["case", "chargers", "CPU us a message", "p99 ms", "growth", "target"]
    table = Table(f"More chargers, {size.rate:,.0f} messages/s together", columns)
    for name, steps in rounds.items():
        first = next(iter(steps.values()))
        for count, runs in steps.items():
            more = [(ratio - 1) * 100 for ratio in ratios(runs, first, lambda run: run.cpu)]
            judged = not name.startswith("floor") and runs is not first
            met = _met(statistics.median(more) <= GROWTH)
            table.rows.append(
                [
                    name,
                    f"{count:,}",
                    spread([run.cpu for run in runs]),
                    spread([run.p99 for run in runs], 1, 1e-3),
                    "" if runs is first else f"{spread(more, 0)} %",
                    f"at most {GROWTH:g} %: {met}" if judged else "",
                ]
            )
    return table


def codec(cases: list[dict[str, Any]]) -> Table:
    """Judging a frame."""
    table = Table(
        "The codec alone", ["frame", "bytes", "judged by", "us a frame", "to Codec.decode", "target"]
    )
    for case in cases:
        own = statistics.median(case["us"]["Codec.decode"])
        heavy = case["frame"].startswith(("MeterValues", "TransactionEvent"))
        for name, times in case["us"].items():
            ratio = statistics.median(times) / own
            bound = next((bound for bound in DECODE if bound.than == name and heavy), None)
            table.rows.append(
                [
                    case["frame"],
                    f"{case['bytes']:.0f}",
                    name,
                    spread(times, 2),
                    f"{ratio:.1f} x",
                    bound.verdict(ratio) if bound else "",
                ]
            )
    return table


def _met(met: bool) -> str:
    return "met" if met else "not met"


def _missed(row: list[str]) -> list[str]:
    return [text for text in row if text.endswith(": not met")]


def conditions(rounds: int, others: float) -> str:
    """Date, machine and versions as lines of a list; ``others``: the load average before the run."""
    packages = ("uvloop", "websockets", "nats-py", "ocpp", "orjson", "jsonschema_rs")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    nats = subprocess.run([find(), "--version"], capture_output=True, text=True, check=True).stdout.split()[
        -1
    ]
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
        cwd=README.parent,
    ).stdout.strip()
    words = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    return (
        f"- {datetime.now(UTC):%Y-%m-%d}, `{words}`, {rounds} interleaved rounds: median (min-max)\n"
        f"- {_processor()}, {os.cpu_count()} cores, {_memory()} GB, Linux {platform.release()}; "
        f"load before the run {others:.1f}\n"
        f"- voltgate {version('voltgate')} {commit}, Python {platform.python_version()}, {versions}, "
        f"nats-server {nats}\n"
    )


def _processor() -> str:
    names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return names[0] if names else platform.machine()


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 10**9


def show(tables: list[Table]) -> None:
    """On the terminal."""
    console = Console(width=None if sys.stdout.isatty() else 140)
    for table in tables:
        console.print(table.rich())


def write(tables: list[Table], header: str) -> None:
    """Replace the running file's section of README.md; ``header``: see :func:`conditions`."""
    text = README.read_text(encoding="utf-8")
    begin = f"<!-- numbers: written by {Path(sys.argv[0]).name} -->\n"
    head, found, rest = text.partition(begin)
    assert found, begin
    _, _, tail = rest.partition(END)
    numbers = "\n".join([header, *(table.markdown() for table in tables)])
    README.write_text(f"{head}{begin}\n{numbers}\n{END}{tail}", encoding="utf-8")
