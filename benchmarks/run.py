"""``make bench``: every figure of README.md in one run, and the README rewritten.

Rounds are interleaved (a b c d a b c d ...), each measurement gets fresh processes, and a wrong or missing
answer ends the run: figures with errors are not valid. Run: ``python benchmarks/run.py [--quick]``
"""

import argparse
import dataclasses
import json
import os
import resource
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import measure
import servers
import tables
from measure import QUICK, Case, Idle, Message, Size
from rich.console import Console

MESSAGES = [
    Case("floor MeterValues", servers.floor, unchecked=True),
    Case("live MeterValues", servers.voltgate_live),
    Case("durable MeterValues", servers.voltgate, stored=True),
    Case("mobilityhouse MeterValues", servers.mobilityhouse),
    Case("floor Heartbeat", servers.floor, "heartbeat", unchecked=True),
    Case("live Heartbeat", servers.voltgate, "heartbeat"),
    Case("durable StatusNotification", servers.voltgate, "status"),
    Case("durable TransactionEvent", servers.voltgate, "transaction", stored=True),
]
FLOOR, LIVE, DURABLE, MOBILITYHOUSE = MESSAGES[:4]
IDLE = {"floor": FLOOR, "voltgate": DURABLE, "mobilityhouse": MOBILITYHOUSE}
GROWTH = [FLOOR, LIVE, DURABLE]
MOST = 15_000
QUICK_CODEC_ROUNDS = 2

progress = Console(stderr=True)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Measure the cost of the gateway (benchmarks/README.md).")
    parser.add_argument("--rounds", type=int, help="rounds of each measurement (3; with --quick 1)")
    parser.add_argument("--quick", action="store_true", help="one short round, as a smoke test")
    parser.add_argument("--full", action="store_true", help=f"grow to {MOST:,} chargers")
    parser.add_argument("--no-write", action="store_true", help="do not change README.md")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--fail-on-missed", action="store_true", help="exit with 1 if a target is not met")
    only = ("message", "open", "connection", "growth", "codec")
    parser.add_argument("--only", choices=only, help="make one table; README.md is not changed")
    given = parser.parse_args()

    size = QUICK if given.quick else Size()
    if given.full:
        size = dataclasses.replace(size, growth=(*size.growth, MOST))
    rounds = given.rounds or (1 if given.quick else 3)
    others = os.getloadavg()[0]
    raise_descriptor_limit()
    servers.build_load()

    made: dict[str, Callable[[], tables.Table]] = {
        "message": lambda: tables.messages(messages(size, rounds)),
        "open": lambda: tables.opened(opened(size, rounds), size),
        "connection": lambda: tables.connections(connections(size, rounds), size),
        "growth": lambda: tables.growth(growth(size, rounds), size),
        "codec": lambda: tables.codec(codec(given.quick)),
    }
    result = [make() for name, make in made.items() if given.only in (None, name)]
    shown = tables.conditions(rounds, others)
    if given.json:
        print(json.dumps({"conditions": shown.splitlines(), "tables": [table.data() for table in result]}))
    else:
        print(shown)
        tables.show(result)
    if not given.no_write and not given.only:
        tables.write(result, shown)
    missed = [line for table in result for line in table.missed()]
    for line in missed:
        progress.print(f"not met: {line}")
    sys.exit(1 if missed and given.fail_on_missed else 0)


def messages(size: Size, rounds: int) -> dict[str, list[Message]]:
    """Every case, round by round."""
    taken = defaultdict(list)
    for round_ in range(rounds):
        for case in MESSAGES:
            run = measure.message(case, size)
            progress.print(f"{round_ + 1}/{rounds} {case.name}: {run.cpu:.1f} us, {run.rate:,.0f}/s")
            taken[case.name].append(run)
    return dict(taken)


def connections(size: Size, rounds: int) -> dict[str, list[Idle]]:
    """Every contender, with and without permessage-deflate on offer."""
    taken = defaultdict(list)
    for round_ in range(rounds):
        for contender, case in IDLE.items():
            for deflate in (False, True):
                name = f"{contender}, deflate" if deflate else contender
                run = measure.idle(case, size, deflate)
                shown = f"{run.rss / 1024:.1f} KB, upgrade {run.upgrade:.0f} us"
                progress.print(f"{round_ + 1}/{rounds} {name}: {shown}")
                taken[name].append(run)
    return dict(taken)


def opened(size: Size, rounds: int) -> dict[str, dict[float, list[Message]]]:
    """Each rate by plan."""
    taken: dict[str, dict[float, list[Message]]] = {
        case.name: {rate: [] for rate in size.rates} for case in GROWTH
    }
    for round_ in range(rounds):
        for rate in size.rates:
            for case in GROWTH:
                run = measure.opened(case, rate, size)
                told = f"{run.cpu:.1f} us, nats-server {run.nats:.1f} us, p99 {run.p99 / 1e3:.1f} ms"
                progress.print(f"{round_ + 1}/{rounds} {case.name}, {rate:,.0f}/s: {told}")
                taken[case.name][rate].append(run)
    return taken


def growth(size: Size, rounds: int) -> dict[str, dict[int, list[Message]]]:
    """The same rate from a growing number of chargers."""
    taken: dict[str, dict[int, list[Message]]] = {
        case.name: {count: [] for count in size.growth} for case in GROWTH
    }
    for round_ in range(rounds):
        for count in size.growth:
            for case in GROWTH:
                run = measure.grown(case, count, size)
                progress.print(f"{round_ + 1}/{rounds} {case.name}, {count:,} chargers: {run.cpu:.1f} us")
                taken[case.name][count].append(run)
    return taken


def codec(quick: bool) -> list[dict[str, object]]:
    """Run codec.py in a separate process."""
    command = [sys.executable, str(Path(__file__).with_name("codec.py")), "--json"]
    if quick:
        command += ["--rounds", str(QUICK_CODEC_ROUNDS)]
    with servers.keeping_to(servers.SERVER_CORES):
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    shown: list[dict[str, object]] = json.loads(done.stdout)
    return shown


def raise_descriptor_limit() -> None:
    """A charger needs a descriptor on both sides; child processes inherit the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()
