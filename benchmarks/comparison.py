"""``make peers``: the same load on this gateway and on other systems; a table and a plot.

Every contender is built first (contenders.py), sent six bad MeterValues (judged.py), and measured in
interleaved rounds, each in a fresh process on one core. What cannot be had on this machine is named, and
the others are measured. Run: ``python benchmarks/comparison.py [--quick] [--only NAME ...]``
"""

import argparse
import os
import statistics
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import contenders
import measure
import servers
import tables
from contenders import Contender
from judged import Judged, judged
from measure import Case, Idle, Message, Size
from rich.console import Console
from run import raise_descriptor_limit

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from building import UnavailableError

PLOT = Path(__file__).with_name("peers.svg")  # and the same as PNG
# Those that are compiled while they run need the longer warm-up.
FULL = Size(connections=200, seconds=4.0, warm=3.0, idle=500)
QUICK = Size(connections=50, seconds=0.7, warm=0.3, idle=100)

progress = Console(stderr=True)


@dataclass(frozen=True)
class Entry:
    """One contender with its figures, round by round."""

    contender: Contender
    judged: Judged
    messages: list[Message]
    idle: list[Idle]

    @property
    def cpu(self) -> list[float]:
        """Microseconds of the server's CPU a message."""
        return [run.cpu for run in self.messages]


def main() -> None:
    """See the module."""
    everyone = contenders.everyone()
    parser = argparse.ArgumentParser(
        description="Compare the gateway with other systems (benchmarks/README.md)."
    )
    parser.add_argument("--rounds", type=int, help="rounds of each measurement (3; with --quick 1)")
    parser.add_argument("--quick", action="store_true", help="one short round, as a smoke test")
    parser.add_argument("--no-write", action="store_true", help="do not change README.md and the plot")
    names = [contender.name for contender in everyone]
    parser.add_argument("--only", choices=names, nargs="+", help="these alone; implies --no-write")
    given = parser.parse_args()
    size, rounds = (QUICK if given.quick else FULL), given.rounds or (1 if given.quick else 3)
    others = os.getloadavg()[0]
    raise_descriptor_limit()
    servers.build_load()

    cases, missing = ready([one for one in everyone if given.only is None or one.name in given.only])
    entries = compared(cases, size, rounds)
    table = tabled(entries, size)
    shown = tables.conditions(rounds, others) + "".join(f"- not here: {line}\n" for line in missing)
    print(shown)
    tables.show([table])
    if not (given.no_write or given.only):
        tables.write([table], shown)
        draw(entries)
    sys.exit(1 if missing else 0)


def ready(wanted: list[Contender]) -> tuple[list[tuple[Contender, Case]], list[str]]:
    """Build them; the second part names those that cannot be had, and why."""
    cases, missing = list[tuple[Contender, Case]](), list[str]()
    for contender in wanted:
        progress.print(f"getting {contender.name}")
        try:
            cases.append((contender, contender.case()))
        except UnavailableError as error:
            missing.append(f"{contender.name}: {error}")
            progress.print(f"not here: {missing[-1]}")
    return cases, missing


def compared(cases: list[tuple[Contender, Case]], size: Size, rounds: int) -> list[Entry]:
    """Measure them in turns."""
    verdicts, messages, idle = dict[str, Judged](), defaultdict(list), defaultdict(list)
    for contender, case in cases:
        with case.start() as server:
            verdicts[case.name] = verdict = judged(server.port)
        if not verdict.answers:
            sys.exit(f"{contender.name} does not answer MeterValues as it should")
    for round_ in range(rounds):
        for _, case in cases:
            run = measure.message(case, size)
            messages[case.name].append(run)
            idle[case.name].append(measure.idle(case, size, deflate=False))
            progress.print(f"{round_ + 1}/{rounds} {case.name}: {run.cpu:.1f} us, {run.rate:,.0f}/s")
    entries = [
        Entry(contender, verdicts[case.name], messages[case.name], idle[case.name])
        for contender, case in cases
    ]
    return sorted(entries, key=lambda entry: statistics.median(entry.cpu))


def tabled(entries: list[Entry], size: Size) -> tables.Table:
    """The cheapest first."""
    columns = [
        "server", "CPU us a message", "NATS us", "over the floor us", "to the floor", "messages/s", "p99 ms",
        "RSS KB a charger",
        "a message is", "refuses of six bad", "made of",
    ]  # fmt: skip
    table = tables.Table(f"The same load on each: {size.connections:,} chargers, MeterValues", columns)
    floor = next((entry.messages for entry in entries if entry.contender.name == "floor"), None)
    for entry in entries:
        runs, contender = entry.messages, entry.contender
        times, more = tables.over(runs, floor) if floor not in (None, runs) else ([], [])
        table.rows.append(
            [
                contender.name,
                tables.spread(entry.cpu),
                tables.spread([run.nats for run in runs]) if any(run.nats for run in runs) else "",
                tables.spread(more) if more else "",
                f"{tables.spread(times, 2)} x" if times else "",
                tables.spread([run.rate for run in runs], 0),
                tables.spread([run.p99 for run in runs], 1, 1e-3),
                tables.spread([run.rss for run in entry.idle], 1, 1 / 1024),
                contender.does,
                "" if contender.unchecked else entry.judged.text,
                contender.made_of,
            ]
        )
    return table


def draw(entries: list[Entry]) -> None:
    """Medians with their range, on a logarithmic axis: the dearest costs a hundred times the cheapest."""
    import matplotlib as mpl  # noqa: PLC0415 - takes a second

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "peers"  # the same ids in every run
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(figsize=(9, 0.45 * len(entries) + 1.2), layout="constrained")
    for row, entry in enumerate(entries):
        own = entry.contender.name.startswith("Voltgate")
        colour, middle = "#c2410c" if own else "#334155", statistics.median(entry.cpu)
        axes.plot([min(entry.cpu), max(entry.cpu)], [row, row], color=colour, linewidth=3, alpha=0.4)
        axes.plot(middle, row, "o", color=colour)
        told = f"  {middle:,.1f} us: {entry.contender.does}"
        axes.text(max(entry.cpu), row, told, va="center", color=colour, fontsize=9)
    axes.set_yticks(range(len(entries)), [entry.contender.name for entry in entries])
    axes.set_xscale("log")
    axes.set_xlim(right=axes.get_xlim()[1] * 4)  # room for the last label
    axes.set_xlabel("CPU of the server, microseconds a message (logarithmic)")
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PLOT, metadata={"Date": None})
    figure.savefig(PLOT.with_suffix(".png"), dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
