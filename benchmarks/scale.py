"""Many chargers on several workers: cost of a second worker, a storm, a rolling restart.

Run: ``python benchmarks/scale.py [--quick]``. Load, nats-server and workers share all cores: read times as
upper bounds on machines with few cores. It writes its own section of README.md.
"""

import argparse
import dataclasses
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
import servers
import tables
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from run import raise_descriptor_limit
from servers import CORES, Load, Server

TWO = (*servers.SERVE, "--workers", "2")
DRAIN, GRACE = 500.0, 5.0  # drain.rate and drain.grace
TIMEOUT = 120.0

progress = Console(stderr=True)


@dataclass(frozen=True)
class Size:
    """The amounts of a run."""

    chargers: int = 30_000
    rate: float = 500.0
    duration: float = 40.0
    rolling: int = 16_000
    """Chargers of the rolling restart: one worker has all of them for a while."""
    restarts: float = 110.0
    """Seconds of load; both workers must have been replaced by then."""
    rounds: int = 3
    pairs: int = 2_000
    """Chargers in the comparison of one worker with two."""
    pair_rate: float = 8_000.0
    seconds: float = 5.0


QUICK = Size(
    chargers=600,
    rate=100,
    duration=10,
    rolling=600,
    restarts=30,
    rounds=1,
    pairs=200,
    pair_rate=1_000,
    seconds=1,
)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Measure several workers (benchmarks/README.md).")
    parser.add_argument("--quick", action="store_true", help="small and short, as a smoke test")
    parser.add_argument("--no-write", action="store_true", help="do not change README.md")
    given = parser.parse_args()
    size = QUICK if given.quick else Size()
    others = os.getloadavg()[0]
    raise_descriptor_limit()
    servers.build_load()
    header = tables.conditions(size.rounds, others)
    print(header)
    result: list[tables.Table] = []
    for measured in (second_worker, crowd, rolling):
        result.append(measured(size))
        tables.show(result[-1:])
        if not given.no_write:
            tables.write(result, header)


def second_worker(size: Size) -> tables.Table:
    """CPU a message of two workers against one, at the same rate from the same chargers."""
    runs: dict[str, list[float]] = {"one worker": [], "two workers": []}
    for _ in range(size.rounds):
        for name, launch in (("one worker", servers.SERVE), ("two workers", TWO)):
            runs[name].append(_message(launch, size))
            progress.print(f"{name}: {runs[name][-1]:.1f} us a message")
    times = [two / one for one, two in zip(*runs.values(), strict=True)]
    what = f"durable MeterValues, {size.pair_rate:,.0f}/s"
    table = tables.Table(
        f"A second worker ({size.pairs:,} chargers)", [what, "CPU us a message", "ratio", "target"]
    )
    table.rows.append(["one worker", tables.spread(runs["one worker"]), "", ""])
    verdict = tables.Bound("one worker", 1.18).verdict(statistics.median(times))
    table.rows.append(
        ["two workers", tables.spread(runs["two workers"]), f"{tables.spread(times, 2)} x", verdict]
    )
    return table


def _message(launch: tuple[str, ...], size: Size) -> float:
    options = {"payload": "meter", "mode": "open", "rate": size.pair_rate, "connections": size.pairs}
    with servers.voltgate(launch=launch, cores=set(CORES)) as server, Load(server, options) as load:
        load.connect()
        load.go(1.0)
        server.rest()
        before = server.cpu()
        data = load.go(size.seconds)
        return (server.cpu() - before) / int(data["answered"]) * 1e6


@contextmanager
def gateway() -> Iterator[Server]:
    """Two workers, and a backend."""
    with servers.voltgate("", TWO, set(CORES), GRACE) as server:
        backend = subprocess.Popen(
            [sys.executable, "-m", "voltgate", "backend", "--config", str(server.config)],
            stderr=subprocess.DEVNULL,
        )
        try:
            yield server
        finally:
            backend.terminate()
            backend.wait()


@contextmanager
def swarm(server: Server, size: Size, *more: str) -> Iterator[subprocess.Popen[str]]:
    """`voltgate swarm --json` in the background."""
    words = {
        "--url": f"ws://127.0.0.1:{server.port}/ocpp",
        "--chargers": size.chargers,
        "--rate": size.rate,
        "--duration": size.duration,
        "--source-addresses": 1 + size.chargers // 10_000,
    }
    command = [sys.executable, "-m", "voltgate", "swarm", "--json", *more]
    command += [str(word) for pair in words.items() for word in pair]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def swarm_result(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """The figures that the swarm prints at its end."""
    out, _ = process.communicate()
    data: dict[str, Any] = json.loads(out)
    return data


def crowd(size: Size) -> tables.Table:
    """All chargers connect and send; then all are dropped together and redial."""
    with gateway() as server, swarm(server, size, "--storm") as process:
        workers = server.process.children()
        before = sum(worker.memory_info().rss for worker in workers)
        _until(lambda: connected(server) == size.chargers, process)
        each = (sum(worker.memory_info().rss for worker in workers) - before) / size.chargers
        data = swarm_result(process)
    connect, storm = data["connect"], data["storm"]
    table = tables.Table(f"{size.chargers:,} chargers on two workers", ["figure", "value", "target"])
    table.rows += [
        ["connected", f"{data['connected']:,}, {data['gave_up']} gave up", ""],
        ["accepted, with Boot and two StatusNotification answered",
         f"{size.chargers / connect['seconds']:,.0f}/s (planned 500/s), p99 {connect['p99_ms']:.0f} ms", ""],
        ["resident memory per charger, all have sent", f"{each / 1024:.1f} KB", "at most 12 KB, idle"],
        ["calls answered", _answered(data), ""],
        [f"answers at {size.rate:g}/s", f"p50 {data['p50_ms']:.1f} ms, p99 {data['p99_ms']:.1f} ms", ""],
        ["storm: all dropped and dialling at once, until all are back and answered",
         f"{storm['seconds']:.1f} s; answers p50 {storm['p50_ms']:.0f} ms, p99 {storm['p99_ms']:.0f} ms",
         "10,000 on one worker: 20 s, p99 2 s"],
    ]  # fmt: skip
    return table


def rolling(size: Size) -> tables.Table:
    """Drain each worker in turn; the supervisor starts another one."""
    table = tables.Table(
        f"A rolling restart, {size.rolling:,} chargers at {size.rate:g}/s; "
        f"drain.rate {DRAIN:g}, grace {GRACE:g} s",
        ["figure", "value", "should be"],
    )
    size = dataclasses.replace(size, chargers=size.rolling, duration=size.restarts)
    with gateway() as server, swarm(server, size) as process:
        _until(lambda: connected(server) == size.chargers, process)
        workers = sorted(server.process.children(), key=psutil.Process.create_time)
        for number, worker in enumerate(workers):
            held = connected(server, str(number))
            began = time.monotonic()
            worker.send_signal(signal.SIGTERM)
            _until(lambda worker=worker: not worker.is_running() or worker.status() == "zombie", process)
            took = time.monotonic() - began
            _until(
                lambda: connected(server) == size.chargers and len(server.process.children()) == 2, process
            )
            should = f"{GRACE + held / DRAIN:.1f} s"
            table.rows.append([f"a worker with {held:,} chargers drained", f"{took:.1f} s", should])
        data = swarm_result(process)
    table.rows += [
        ["calls answered", _answered(data), "all"],
        [
            "answers, the drains included",
            f"p50 {data['p50_ms']:.1f} ms, p99 {data['p99_ms']:.0f} ms",
            "",
        ],
    ]
    return table


def _answered(data: dict[str, Any]) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in data["errors_by_kind"].items() if count)
    return f"{data['answered']:,} of {data['sent']:,}, {kinds or 'no errors'}"


def connected(server: Server, worker: str = "") -> int:
    """Chargers that are connected, in all or at one worker."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.admin}/metrics", timeout=5) as response:
        families = text_string_to_metric_families(response.read().decode())
    samples = [one for family in families for one in family.samples if one.name == "voltgate_connections"]
    return int(sum(one.value for one in samples if worker in ("", one.labels["worker"])))


def _until(holds: Any, process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + TIMEOUT
    while not holds():
        if time.monotonic() > end or process.poll() is not None:
            sys.exit("the swarm ended early, or chargers do not reconnect")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
