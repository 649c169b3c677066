"""``make soak``: 10,000 chargers with faults for an hour; memory and descriptors must be flat.

Run: ``python benchmarks/soak.py [--minutes 60] [--chargers 10000] [--rate 100] [--report FILE]``.

Chargers of mixed versions lose their connections, sockets stay half-open, commands arrive, and a subscriber
does not read. Twice, NATS stands still for eight seconds; twice, the backend dies. The page has plots of all
processes; the exit code is 1 if the gateway has grown. The memory of NATS is plotted and not judged: it fills
its window of duplicates and its caches.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import interests
import psutil
import scale
import servers
from locusts import REPORT
from run import raise_descriptor_limit

from voltgate.cli.swarm.figures import table
from voltgate.cli.swarm.report import STYLE, plot

PAGE = REPORT.with_name("soak.html")
EVERY = 5.0  # seconds between samples; 40 of them at least
MB = 1 << 20
FROZEN, DEAD = 8.0, 5.0  # seconds, and a twentieth of the soak at most
# What counts as flat: the last quarter against the second one, which follows the first sights of everything.
GROWTH, GROWTH_MB, DESCRIPTORS = 0.03, 6.0, 50.0
PLOTS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("Memory", "MB", {"gateway_mb": "gateway", "nats_mb": "nats-server", "backend_mb": "backend"}),
    ("Descriptors", "", {"gateway_fds": "gateway", "nats_fds": "nats-server"}),
    ("CPU", "% of a core", {"gateway_cpu": "gateway", "nats_cpu": "nats-server"}),
    ("Chargers", "", {"chargers": "connected"}),
)


@dataclass
class Backend:
    """``voltgate backend``, which may be killed."""

    config: Path
    process: psutil.Popen = field(init=False)

    def start(self) -> None:
        """Start one."""
        command = [sys.executable, "-m", "voltgate", "backend", "--config", str(self.config)]
        self.process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()


def verdicts(rows: list[dict[str, float]]) -> list[tuple[str, bool]]:
    """What is judged, in words, and whether it is flat."""
    quarter = len(rows) // 4
    found = []
    for name, text, room in (
        ("gateway_mb", "memory of the gateway, MB", GROWTH_MB),
        ("gateway_fds", "its descriptors", DESCRIPTORS),
        ("nats_fds", "descriptors of nats-server", DESCRIPTORS),
    ):
        early, late = (
            statistics.median(row[name] for row in part)
            for part in (rows[quarter : 2 * quarter], rows[-quarter:])
        )
        flat = late - early <= max(room, GROWTH * early)
        found.append((f"{text}: {early:,.0f} in the second quarter, {late:,.0f} in the last", flat))
    return found


def sampler(server: servers.Server, backend: Backend) -> Callable[[], dict[str, float]]:
    """Takes a row of the series."""
    began = time.monotonic()
    assert server.nats is not None
    family, beside = [server.process, *server.process.children()], server.nats
    last = [began, server.cpu(), server.nats_cpu()]

    connected = 0

    def row() -> dict[str, float]:
        nonlocal connected
        with suppress(OSError):  # one scrape that took too long ends no hour
            connected = scale.connected(server)
        now = [time.monotonic(), server.cpu(), server.nats_cpu()]
        took, own, other = (late - early for late, early in zip(now, last, strict=True))
        last[:] = now
        alive = backend.process.is_running() and backend.process.status() != psutil.STATUS_ZOMBIE
        return {
            "t": now[0] - began,
            "gateway_mb": server.rss() / MB,
            "nats_mb": beside.memory_info().rss / MB,
            "backend_mb": backend.process.memory_info().rss / MB if alive else 0.0,
            "gateway_fds": sum(one.num_fds() for one in family),
            "nats_fds": beside.num_fds(),
            "gateway_cpu": own / took * 100,
            "nats_cpu": other / took * 100,
            "chargers": connected,
        }

    return row


def faults(
    server: servers.Server, backend: Backend, seconds: float
) -> list[tuple[float, Callable[[], None]]]:
    """When something happens, and what."""
    assert server.nats is not None
    frozen, dead = (min(given, seconds / 20) for given in (FROZEN, DEAD))
    plan: list[tuple[float, Callable[[], None]]] = []
    for share in (0.3, 0.6):
        plan += [(share * seconds, server.nats.suspend), (share * seconds + frozen, server.nats.resume)]
    for share in (0.45, 0.75):
        plan += [(share * seconds, backend.kill), (share * seconds + dead, backend.start)]
    return sorted(plan, key=lambda one: one[0])


def soak(given: argparse.Namespace) -> tuple[list[dict[str, float]], dict[str, Any]]:
    """The series, and what the swarm printed."""
    seconds = given.minutes * 60
    # Each charger reconnects about twice in the first quarter: what a gateway keeps of it is then complete.
    reconnects = min(25.0, 8 * given.chargers / seconds)
    options = [
        "--reconnect-rate",
        f"{reconnects:.1f}",
        "--half-open",
        "0.02",
        "--slow-consumers",
        "1",
        "--commands",
        "5",
    ]
    size = scale.Size(chargers=given.chargers, rate=given.rate, duration=seconds)
    with ExitStack() as stack:
        server = stack.enter_context(servers.voltgate(cores=set(servers.CORES)))
        assert server.config is not None
        backend = Backend(server.config)
        backend.start()
        stack.callback(Backend.kill, backend)
        options += ["--config", str(server.config)]
        thread = stack.enter_context(ThreadPoolExecutor(1))
        reading = thread.submit(scale.swarm_result, stack.enter_context(scale.swarm(server, size, *options)))
        # Some reconnect as soon as the last is there: hardly ever are all connected at once.
        interests.until(lambda: scale.connected(server) >= 0.97 * given.chargers, "most are connected", 1.0)
        sample, began = sampler(server, backend), time.monotonic()
        rows: list[dict[str, float]] = []
        due, every = faults(server, backend, seconds), min(EVERY, seconds / 40)
        while (now := time.monotonic() - began) < seconds:
            if due and due[0][0] <= now:
                due.pop(0)[1]()
            if not rows or rows[-1]["t"] + every <= now:
                rows.append(sample())
            time.sleep(0.2)
        return rows, reading.result()


def page(rows: list[dict[str, float]], result: dict[str, Any], judged: list[tuple[str, bool]]) -> str:
    """The report: one file that loads nothing else."""
    title = f"Soak: {result['chargers']:,} chargers, {rows[-1]['t'] / 60:.0f} minutes"
    marks = "".join(f'<p class="{"held" if flat else "missed"}">{escape(text)}</p>' for text, flat in judged)
    plots = "".join(plot(rows, name, unit, False, names) for name, unit, names in PLOTS)
    figures = escape(table(result))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1>{marks}{plots}<h2>Swarm</h2><pre>{figures}</pre></html>\n"
    )


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description="Soak a gateway that this program starts.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--chargers", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=100.0, help="calls per second of all chargers together")
    parser.add_argument("--report", type=Path, default=PAGE)
    given = parser.parse_args()
    raise_descriptor_limit()
    rows, result = soak(given)
    judged = verdicts(rows)
    given.report.parent.mkdir(parents=True, exist_ok=True)
    given.report.write_text(page(rows, result, judged), encoding="utf-8")
    for text, flat in judged:
        print(f"{'flat' if flat else 'GROWS'}: {text}")
    print(f"answered {result['answered']:,} of {result['sent']:,}; report: {given.report}")
    return 0 if all(flat for _, flat in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
