"""What metrics cost: CPU a message with and without them, and a scrape beside many chargers.

Run: ``python benchmarks/metrics_cost.py [--rounds 5] [--chargers 15000]``. "Without" is the same gateway with
every statement taken out that only counts or observes (``cell[0] += n``, ``x.observe(...)``).
"""

import argparse
import ast
import gzip
import itertools
import math
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from importlib.machinery import SourceFileLoader
from types import CodeType
from typing import Any, cast

WITH, WITHOUT = "--with", "--without"  # this file starts itself with them
SCRAPES = 20
FRAMES, REPEATS = 5_000, 30
METER = (
    '{"connectorId":1,"meterValue":[{"timestamp":"2026-03-01T10:00:00Z","sampledValue":'
    '[{"value":"12.5","unit":"kWh"},{"value":"16","unit":"A"},{"value":"230","unit":"V"}]}]}'
)


class Uncounted(ast.NodeTransformer):
    """Takes out what only counts."""

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        """``cell[0] += n``."""
        cell = isinstance(node.target, ast.Subscript) and isinstance(node.target.slice, ast.Constant)
        return ast.copy_location(ast.Pass(), node) if cell else node

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        """``x.observe(...)`` and ``x.answered(...)``."""
        call = node.value
        counts = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
        if counts and call.func.attr in ("observe", "answered"):  # type: ignore[attr-defined]
            return ast.copy_location(ast.Pass(), node)
        return node


def take_out() -> None:
    """From now on the modules of the gateway are imported without it."""
    compiled = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        if not fullname.startswith("voltgate.gateway."):
            return compiled(self, fullname)
        tree = Uncounted().visit(ast.parse(self.get_data(self.path)))
        return compile(tree, self.path, "exec")

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign, assignment]


def serve() -> None:
    """The gateway."""
    from voltgate.cli import main as command  # noqa: PLC0415 - behind take_out

    command()


class Nowhere:
    """A socket, a NATS that acknowledges at once, and no passwords: ``interfaces`` for a session alone."""

    def __init__(self) -> None:
        from voltgate._core import Inbox, Lane, Outgoing  # noqa: PLC0415 - behind take_out
        from voltgate.schemas import Codec  # noqa: PLC0415

        self.numbers = itertools.count(1)
        self.outgoing = Outgoing(Inbox("_V", bytes(16)), "OCPP_TX", "OCPP_EVENTS", "", [1.0])
        self.lane, self.writer = Lane(Codec("ocpp1.6"), 1 << 16), self.ignore

    def ticket(self, done: Callable[[Any, Any], None], arg: Any) -> Any:
        """See interfaces.Bus."""
        from voltgate.gateway.interfaces import Ticket  # noqa: PLC0415 - behind take_out

        number = next(self.numbers)
        return Ticket(number, f"_V.{number}", done, arg)

    def store(self, ticket: Any, hpub: bytes, tx: bool = False) -> None:
        """See interfaces.Bus."""
        from voltgate.gateway.interfaces import Ack  # noqa: PLC0415 - behind take_out

        ticket.done(ticket.arg, Ack("OCPP_TX", ticket.token, False))

    def ignore(self, *_: Any) -> None:
        """Everything else."""

    emit = write = pause = resume = hold = close = ignore


def frames() -> None:
    """Print the nanoseconds that decoding and one session take for a live and for a durable CALL."""
    from voltgate._core import Publisher, TransactionKeys  # noqa: PLC0415 - behind take_out
    from voltgate.config import load  # noqa: PLC0415
    from voltgate.gateway.clock import Wheel  # noqa: PLC0415
    from voltgate.gateway.interfaces import Outside  # noqa: PLC0415
    from voltgate.gateway.rates import Allowance  # noqa: PLC0415
    from voltgate.gateway.session.context import Context  # noqa: PLC0415
    from voltgate.gateway.session.session import Session  # noqa: PLC0415
    from voltgate.gateway.telemetry.metrics import Metrics  # noqa: PLC0415
    from voltgate.policy import rules  # noqa: PLC0415

    unbounded = {"calls_per_second": 1e9, "calls_burst": 10**9, "stored_bytes_per_second": 1e12}
    config, metrics, world = load(limits=unbounded), Metrics(), Nowhere()
    clock: Any = Wheel(time.monotonic, time.time)
    context = Context.of("v16", config, rules(config)["v16"], metrics, TransactionKeys())
    outside = Outside(cast(Any, world), clock, cast(Any, world))
    publisher = Publisher("v16", "CP", "s", "ocpp", "ocpprpc")
    session = Session(publisher, context, cast(Any, world), outside, Allowance())
    for action, payload in (("Heartbeat", "{}"), ("MeterValues", METER)):
        sent = [f'[2,"{number}","{action}",{payload}]'.encode() for number in range(FRAMES)]
        decode, received, refresh = context.codec.decode, session.received, clock.refresh
        best = math.inf
        for _ in range(REPEATS):
            began = time.process_time()
            for text in sent:
                refresh()
                received(decode(text))
            best = min(best, time.process_time() - began)
        print(best / FRAMES * 1e9)


def frame_cost(rounds: int) -> None:
    """The session alone, with and without, interleaved."""
    rows = []
    for _ in range(rounds):
        both = []
        for how in (WITH, WITHOUT):
            out = subprocess.run(
                [sys.executable, __file__, how, "frames"], capture_output=True, text=True, check=True
            )
            both.append([float(line) for line in out.stdout.split()])
        rows.append(both)
    for place, name in enumerate(("live Heartbeat", "durable MeterValues")):
        ours, without = (min(row[side][place] for row in rows) for side in (0, 1))
        print(
            f"session alone, {name}: {ours:.0f} ns a frame with metrics, {without:.0f} without, "
            f"ratio {ours / without:.3f} (the fastest of {rounds * REPEATS} runs each)"
        )


def cost(rounds: int) -> None:
    """CPU a message, interleaved; the ratio of each round."""
    import measure  # noqa: PLC0415 - not in the server's process
    import servers  # noqa: PLC0415

    size = measure.Size(connections=500)
    for name, extra in (("live", servers.LIVE), ("durable", "")):
        pairs = []
        for _ in range(rounds):
            both = [
                measure.message(
                    measure.Case(name, partial(servers.voltgate, extra, launch), stored=not extra), size
                ).cpu
                for launch in ((__file__, WITH, "serve"), (__file__, WITHOUT, "serve"))
            ]
            pairs.append((both[0], both[1], both[0] / both[1]))
        columns = [statistics.median(column) for column in zip(*pairs, strict=True)]
        ratios = [pair[2] for pair in pairs]
        print(
            f"{name}: {columns[0]:.2f} us a message with metrics, {columns[1]:.2f} without, "
            f"ratio {columns[2]:.3f} ({min(ratios):.3f}-{max(ratios):.3f})"
        )


def scrapes(chargers: int) -> None:
    """Time and size of a scrape, without chargers and with many that have talked."""
    import servers  # noqa: PLC0415 - not in the server's process

    options = {"payload": "heartbeat", "connections": chargers, "source_addresses": 1 + chargers // 10_000}
    with servers.voltgate() as server:
        print("no charger: " + _scraped(server.admin))
        with servers.Load(server, options) as load:
            load.connect()
            load.go(2)
            server.rest()
            print(f"{chargers:,} chargers: " + _scraped(server.admin))


def _scraped(port: int) -> str:
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept-Encoding": "gzip"})
    times, body = [], b""
    for _ in range(SCRAPES):
        began = time.perf_counter()
        with urllib.request.urlopen(asked) as answer:
            body = answer.read()
        times.append((time.perf_counter() - began) * 1000)
    text = gzip.decompress(body)
    lines = sum(not line.startswith(b"#") for line in text.splitlines())
    return (
        f"{statistics.median(times):.0f} ms (at most {max(times):.0f} ms), {lines:,} series, "
        f"{len(text):,} bytes, {len(body):,} gzipped"
    )


def main() -> None:
    """Measure and print."""
    import servers  # noqa: PLC0415 - not in the server's process

    parser = argparse.ArgumentParser(description="Measure what metrics cost.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--chargers", type=int, default=15_000)
    given = parser.parse_args()
    frame_cost(given.rounds)
    servers.build_load()
    cost(given.rounds)
    scrapes(given.chargers)


if __name__ == "__main__":
    if sys.argv[1:2] in ([WITH], [WITHOUT]):
        how, what = sys.argv.pop(1), sys.argv[1]
        if how == WITHOUT:
            take_out()
        frames() if what == "frames" else serve()
    else:
        main()
