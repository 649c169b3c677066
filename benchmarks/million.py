"""A million chargers on paper, by what fewer cost: workers, NATS, memory, a storm; and where it ends.

Run: ``python benchmarks/million.py [--quick] [--no-write]``. Three parts, for README.md:

1. what a charger costs those that know of every charger (``interests.py``): NATS servers and other workers
2. whole networks of 5,000, 15,000 and 30,000 chargers on three NATS servers. The model takes its costs from
   the first one and predicts the others.
3. the model for 10,000 to a million chargers, with the design of today and with the next one
"""

import argparse
import dataclasses
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import interests
import psutil
import scale
import servers
import tables
from run import raise_descriptor_limit

A_WORKER = 7_500  # chargers as planned: twice that while another worker drains
SERVERS, COPIES = 3, 3
SENT_BY_A_CHARGER = 0.005  # stored messages a second: one of ten charges, a MeterValues every 20 s
LINKS_OF_A_RECONNECT = 2  # its down, its up
STORM = 600.0  # seconds over which all chargers come back after a power cut
MB, GB = 1 << 20, 1 << 30


@dataclass(frozen=True)
class Size:
    """The amounts of a run."""

    chargers: tuple[int, ...] = (5_000, 15_000, 30_000)
    rate: float = 300.0
    window: float = 15.0
    """Seconds of steady load that are measured."""
    duration: float = 60.0
    """Of the swarm's load; its storm is in the middle."""
    idle: float = 8.0
    """Seconds without chargers: what is used then is no charger's."""
    interests: int = 100_000
    links: int = 50_000


QUICK = Size(chargers=(200, 400), rate=50, window=3, duration=14, idle=3, interests=2_000, links=2_000)


@dataclass(frozen=True)
class Known:
    """What those pay that know of every charger."""

    interest: interests.Interest
    following: interests.Following
    asking: interests.Asking


@dataclass(frozen=True)
class Costs:
    """Of one charger, message, subscription or link. Bytes, and seconds of CPU."""

    worker: float  # bytes of a worker without chargers
    charger: float  # bytes of its own charger in a worker
    connect: float  # CPU of the gateway: upgrade, boot, statuses, link
    message: float  # CPU of the gateway
    nats_connect: float  # CPU of all NATS servers
    nats_message: float
    storm: float  # CPU of the gateway for a charger that is dropped and comes back
    nats_storm: float
    known: Known


@dataclass(frozen=True)
class Network:
    """What was measured of one network, or is predicted. CPU in seconds, memory in bytes."""

    chargers: int
    workers: int
    memory: float
    connect: float
    message: float
    nats_connect: float
    nats_message: float
    storm: float
    nats_storm: float
    storm_lasted: float = math.nan


def predicted(costs: Costs, chargers: int, workers: int) -> Network:
    """A network of ``chargers``, from the costs of one."""
    each, others = chargers / workers, chargers * (workers - 1) / workers
    memory = workers * (costs.worker + each * costs.charger + others * costs.known.following.bytes)
    # The costs are those of a single worker, which holds all chargers: these deliveries come on top.
    far = chargers * (workers - 1)
    return Network(
        chargers,
        workers,
        memory,
        chargers * costs.connect + far * costs.known.following.us / 1e6,
        costs.message,
        chargers * costs.nats_connect + far * costs.known.following.nats_us / 1e6,
        costs.nats_message,
        chargers * costs.storm + far * LINKS_OF_A_RECONNECT * costs.known.following.us / 1e6,
        chargers * costs.nats_storm + far * LINKS_OF_A_RECONNECT * costs.known.following.nats_us / 1e6,
    )


def costs_of(base: int, seen: Network, known: Known) -> Costs:
    """Of one charger, from a network of one worker. ``base``: bytes of a worker without chargers."""
    count = seen.chargers
    return Costs(
        base,
        (seen.memory - base) / count,
        seen.connect / count,
        seen.message,
        seen.nats_connect / count,
        seen.nats_message,
        seen.storm / count,
        seen.nats_storm / count,
        known,
    )


# -- measured -----------------------------------------------------------------------------------------


@contextmanager
def gateway(workers: int, file: Path) -> Iterator[tuple[servers.Server, interests.Cluster]]:
    """A gateway and a backend on three NATS servers, with three copies of every message."""
    with ExitStack() as stack:
        cluster = stack.enter_context(interests.cluster())
        port, admin = servers.free_ports(2)
        text = servers.CONFIG.format(nats=cluster.ports[0], port=port, admin=admin, grace=0.0)
        urls = ", ".join(f'"{url}"' for url in cluster.urls)
        text = text.replace(f'url = "{cluster.urls[0]}"', f"url = [{urls}]")
        file.write_text(f"{text}[streams]\nreplicas = {COPIES}\n")
        command = [sys.executable, "-m", "voltgate"]
        given = ["--config", str(file)]
        subprocess.run([*command, "streams", "apply", *given], check=True, stdout=subprocess.DEVNULL)
        launch = [*command, "serve", "--workers", str(workers), *given]
        process = stack.enter_context(servers.running(launch, set(servers.CORES)))
        interests.until(lambda: servers.fetch(f"http://127.0.0.1:{admin}/readyz"), "the gateway is ready")
        stack.enter_context(servers.running([*command, "backend", *given], set(servers.CORES)))
        yield servers.Server(port, process, admin=admin, config=file), cluster


def workers_of(server: servers.Server) -> list[psutil.Process]:
    """The processes that hold chargers."""
    children: list[psutil.Process] = server.process.children()
    return children or [server.process]


def measured(chargers: int, size: Size, folder: Path) -> tuple[int, Network]:
    """Bytes of a worker without chargers, and the network."""
    workers = max(1, math.ceil(chargers / 15_000))
    load = scale.Size(chargers=chargers, rate=size.rate, duration=size.duration)
    with gateway(workers, folder / f"{chargers}.toml") as (server, cluster):
        base = sum(one.memory_info().rss for one in workers_of(server))
        used = _used(server, cluster, size.idle)
        with scale.swarm(server, load, "--storm") as swarm:
            interests.until(lambda: scale.connected(server) == chargers, "all are connected", 1.0)
            connect = used()
            memory = sum(one.memory_info().rss for one in workers_of(server))
            time.sleep(size.window)
            steady = used()
            data = scale.swarm_result(swarm)
            storm = used()
    calls = size.rate * size.window
    rest = (size.duration - size.window) * size.rate  # calls beside the storm, as planned
    own, beside = steady[0] / calls, steady[1] / calls
    return base, Network(
        chargers,
        workers,
        memory,
        connect[0],
        own,
        connect[1],
        beside,
        max(storm[0] - rest * own, 0.0),
        max(storm[1] - rest * beside, 0.0),
        data["storm"]["seconds"],
    )


def _used(
    server: servers.Server, cluster: interests.Cluster, idle: float
) -> Callable[[], tuple[float, float]]:
    """Seconds of CPU of gateway and NATS since the last call, beyond what they use without chargers."""

    def now() -> tuple[float, float, float]:
        return server.cpu(), sum(cluster.cpu()), time.monotonic()

    first = now()
    time.sleep(idle)
    before = now()
    own, beside = (late - early for late, early in zip(before[:2], first[:2], strict=True))

    def since() -> tuple[float, float]:
        nonlocal before
        then, before = before, now()
        lasted = (before[2] - then[2]) / idle
        return before[0] - then[0] - own * lasted, before[1] - then[1] - beside * lasted

    return since


# -- tables -------------------------------------------------------------------------------------------


def parts(known: Known) -> tables.Table:
    """The first part."""
    interest, following, asking = known.interest, known.following, known.asking
    table = tables.Table("What those pay that know of every charger", ["figure", "bytes", "CPU us"])
    table.rows += [
        [
            "a subscription, at its own NATS server",
            f"{interest.local_bytes:,.0f}",
            f"{interest.local_us:.1f}",
        ],
        ["the same at each other server", f"{interest.remote_bytes:,.0f}", f"{interest.remote_us:.1f}"],
        ["the same at a server that starts", "", f"{interest.restart_us:.1f} (time)"],
        ["a link of another worker, in each worker", f"{following.bytes:,.0f}", f"{following.us:.1f}"],
        ["the same when a worker starts", "", f"{following.start_us:.1f}"],
        ["a link, in nats-server, for each worker that follows", "", f"{following.nats_us:.1f}"],
        ["a link that is read when it is needed, in nats-server", "", f"{asking.nats_us:.1f}"],
    ]
    return table


FIGURES: tuple[tuple[str, str, Callable[[Network], float]], ...] = (
    ("memory of the workers, MB", ",.0f", lambda one: one.memory / MB),
    ("gateway: CPU s until all are accepted", ",.1f", lambda one: one.connect),
    ("gateway: CPU us a stored message", ",.0f", lambda one: one.message * 1e6),
    ("gateway: CPU s of a storm", ",.1f", lambda one: one.storm),
    ("NATS, three servers: CPU s until all are accepted", ",.1f", lambda one: one.nats_connect),
    ("NATS: CPU us a stored message", ",.0f", lambda one: one.nats_message * 1e6),
    ("NATS: CPU s of a storm", ",.1f", lambda one: one.nats_storm),
)


def checked(costs: Costs, seen: list[Network]) -> tables.Table:
    """Measured and predicted; the first network is where the costs come from."""
    first, *others = seen
    columns = ["figure", f"{first.chargers:,} (costs)"]
    for one in others:
        columns += [f"{one.chargers:,} on {one.workers}, measured", "predicted"]
    table = tables.Table("Whole networks on three NATS servers", columns)
    for name, form, figure in FIGURES:
        row = [name, format(figure(first), form)]
        for one in others:
            model = figure(predicted(costs, one.chargers, one.workers))
            row += [format(figure(one), form), f"{format(model, form)} ({figure(one) / model:.2f} x)"]
        table.rows.append(row)
    lasted = [f"{one.storm_lasted:.0f} s" for one in seen]
    table.rows.append(["the storm lasted, all on the same cores", lasted[0]])
    for text in lasted[1:]:
        table.rows[-1] += [text, ""]
    return table


def million(costs: Costs) -> tables.Table:
    """Networks up to a million, and the next design at a million."""
    columns = ["figure", "10,000", "100,000", "300,000", "1,000,000", "1,000,000, links on demand"]
    table = tables.Table("On paper", columns)
    free = dataclasses.replace(
        costs,
        known=dataclasses.replace(costs.known, following=interests.Following(0.0, 0.0, 0.0, 0.0)),
        nats_storm=costs.nats_storm + costs.known.asking.nats_us / 1e6,
    )
    plans = [(costs, count) for count in (10_000, 100_000, 300_000, 1_000_000)] + [(free, 1_000_000)]
    rows: dict[str, list[str]] = {}
    for given, count in plans:
        for name, text in _paper(given, count):
            rows.setdefault(name, []).append(text)
    table.rows += [[name, *texts] for name, texts in rows.items()]
    return table


def _paper(costs: Costs, count: int) -> Iterator[tuple[str, str]]:
    workers = math.ceil(count / A_WORKER)
    one, interest = predicted(costs, count, workers), costs.known.interest
    subscriptions = count * len(interests.SUBJECTS)
    local, remote = subscriptions / SERVERS, subscriptions * (SERVERS - 1) / SERVERS
    rate = count * SENT_BY_A_CHARGER
    yield "workers", f"{workers}"
    yield "memory of all workers, GB", f"{one.memory / GB:,.1f}"
    yield "of it links of other workers", f"{count * (workers - 1) * costs.known.following.bytes / GB:,.1f}"
    yield "stored messages/s", f"{rate:,.0f}"
    yield "cores of all workers for them", f"{rate * one.message:,.1f}"
    yield "cores of three NATS servers for them", f"{rate * one.nats_message:,.1f}"
    yield (
        "subscriptions, GB in each NATS server",
        f"{(local * interest.local_bytes + remote * interest.remote_bytes) / GB:,.2f}",
    )
    yield "a NATS server restarts: until it knows all, s", f"{subscriptions * interest.restart_us / 1e6:,.1f}"
    yield "a worker starts: links read, CPU s", f"{count * costs.known.following.start_us / 1e6:,.1f}"
    yield f"a storm of {STORM / 60:.0f} minutes: cores of all workers", f"{one.storm / STORM:,.1f}"
    yield f"a storm of {STORM / 60:.0f} minutes: cores of NATS", f"{one.nats_storm / STORM:,.1f}"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="A million chargers on paper (benchmarks/README.md).")
    parser.add_argument("--quick", action="store_true", help="small and short, as a smoke test")
    parser.add_argument("--no-write", action="store_true", help="do not change README.md")
    given = parser.parse_args()
    size = QUICK if given.quick else Size()
    others = os.getloadavg()[0]
    raise_descriptor_limit()
    header = tables.conditions(1, others)
    print(header)
    known = Known(
        interests.interest(size.interests), interests.following(size.links), interests.asking(size.links)
    )
    result = [parts(known)]
    tables.show(result)
    seen: list[Network] = []
    costs: Costs | None = None
    with TemporaryDirectory(prefix="voltgate-bench-") as room:
        for chargers in size.chargers:
            base, network = measured(chargers, size, Path(room))
            costs = costs or costs_of(base, network, known)
            seen.append(network)
            print(network, file=sys.stderr)
    assert costs is not None
    result += [checked(costs, seen), million(costs)]
    tables.show(result[1:])
    if not given.no_write:
        tables.write(result, header)


if __name__ == "__main__":
    main()
