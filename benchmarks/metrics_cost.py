"""What metrics cost: CPU a message with and without them, and a scrape beside many chargers.

Run: ``python benchmarks/metrics_cost.py [--rounds 5] [--chargers 15000]``. "Without" is the same gateway with
every statement taken out that only counts or observes (``cell[0] += n``, ``x.observe(...)``).
"""

import argparse
import ast
import gzip
import statistics
import sys
import time
import urllib.request
from functools import partial
from importlib.machinery import SourceFileLoader
from types import CodeType

WITHOUT = "--without"  # this file starts itself with it, as the server
SCRAPES = 20


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


def serve_without(words: list[str]) -> None:
    """The gateway without metrics on its frame path."""
    compiled = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        if not fullname.startswith("voltgate.gateway."):
            return compiled(self, fullname)
        tree = Uncounted().visit(ast.parse(self.get_data(self.path)))
        return compile(tree, self.path, "exec")

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign, assignment]
    from voltgate.cli import main as command  # noqa: PLC0415 - behind the change above

    sys.argv = ["voltgate", *words]
    command()


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
                for launch in (servers.SERVE, (__file__, WITHOUT, "serve"))
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
    servers.build_load()
    cost(given.rounds)
    scrapes(given.chargers)


if __name__ == "__main__":
    run = partial(serve_without, sys.argv[2:]) if sys.argv[1:2] == [WITHOUT] else main
    run()
