"""What TLS costs: a connection, a message, a storm of logins. Part of ``make bench``; writes into README.md.

Contenders are ``voltgate serve`` by security profile 1 (without TLS) and 2; every charger logs in with a
password. Rounds are interleaved, processes fresh, as in run.py. Run: ``python benchmarks/tls.py [--quick]``
"""

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import measure
import servers
import tables
from measure import QUICK, Case, Message, Size
from rich.console import Console
from run import raise_descriptor_limit
from servers import Load, Server
from tables import Table, ratios, spread

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from certificates import Authority

PASSWORD = "0123456789abcdef0123456789abcdef01234567"
CONNECTED = 200  # chargers beside a storm
CALLS = 500.0  # a second, of them together
MESSAGE, MEMORY, RESUMED = 6.0, 25 * 1024, 500.0  # us, bytes, us: the most that TLS may add
STORM_TIMES, STORM_ABOVE = 2.0, 20_000.0  # the larger of the two, in us, bounds the p99 beside a storm

LISTENER = """
[[listeners]]
host = "127.0.0.1"
port = {port}
security_profile = {profile}
"""

progress = Console(stderr=True)


@dataclass(frozen=True)
class Security:
    """``version`` of TLS, and ``kind`` of the gateway's key; none: security profile 1."""

    version: str = ""
    kind: str = ""

    @property
    def name(self) -> str:
        """In the tables."""
        return f"TLS {self.version}, {'ECDSA' if self.kind == 'ec' else 'RSA'}" if self.version else "plain"


PLAIN = Security()
SECURED = [Security(version, kind) for version in ("1.2", "1.3") for kind in ("rsa", "ec")]


@contextmanager
def gateway(security: Security, extra: str = "") -> Iterator[Server]:
    """A gateway with records of all chargers; its load dials the listener of ``security``."""
    with tempfile.TemporaryDirectory(prefix="voltgate-bench-tls-") as folder:
        (port,) = servers.free_ports(1)
        lines = LISTENER.format(port=port, profile=2 if security.version else 1)
        options: dict[str, object] = {"password": PASSWORD}
        if security.version:
            authority = Authority(Path(folder))
            pair = authority.issue(
                "gateway", "localhost", kind="rsa" if security.kind == "rsa" else "ec"
            ).pair
            lines += f'tls_certificates = [["{pair[0]}", "{pair[1]}"]]\n'
            options |= {"tls_ca": authority.file, "tls_version": security.version}
        with servers.voltgate(lines + extra) as server:
            _register(Path(folder) / "chargers.csv", server)
            yield replace(server, port=port, options=options)


def _register(file: Path, server: Server) -> None:
    """Records for all identities of the load client that this benchmark uses."""
    numbers = [*range(3000), *range(900_000, 900_200)]
    with file.open("w", newline="") as out:
        rows = [(f"BENCH{number:06}", PASSWORD) for number in numbers]
        csv.writer(out).writerows([("identity", "password"), *rows])
    argv = [sys.executable, "-m", "voltgate", "chargers", "import", str(file), "--random-keys"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VOLTGATE_")}
    given = ["--config", str(server.config)]
    subprocess.run([*argv, *given], check=True, capture_output=True, env=environment)


@dataclass(frozen=True)
class Connection:
    """Bytes of resident memory; microseconds of CPU of a charger that comes the first time, and again."""

    rss: float
    first: float
    again: float


def connection(security: Security, size: Size) -> Connection:
    """Idle chargers, each of which has sent a message; then all of them again, with resumed sessions."""
    idle = measure.idle(Case(security.name, partial(gateway, security), "heartbeat"), size, False)
    options = {"payload": "heartbeat", "connections": size.idle, "tls_resume": bool(security.version)}
    with gateway(security) as server, Load(server, options) as load:
        load.connect()
        load.leave()
        server.rest()
        cpu = server.cpu()
        resumed = load.again()["resumed"]
        server.rest()
        again = (server.cpu() - cpu) / size.idle * 1e6
        if security.version and resumed != size.idle:
            sys.exit(f"{security.name}: only {resumed} of {size.idle} sessions were resumed")
    return Connection(idle.rss, idle.upgrade, again)


def message(security: Security, stored: bool, size: Size) -> Message:
    """MeterValues, ping-pong."""
    start = partial(gateway, security, "" if stored else servers.LIVE)
    return measure.message(Case(security.name, start, stored=stored), size)


@dataclass(frozen=True)
class Storm:
    """All logins: seconds, CPU us of each, share of the core; p99 of the connected in us, before, beside."""

    seconds: float
    login: float
    busy: float
    rest: float
    beside: float
    attempts: int


def storm(security: Security, size: Size) -> Storm:
    """All at once, beside chargers that send CALLs; one that is refused dials again."""
    calls = {"payload": "heartbeat", "connections": CONNECTED, "mode": "open", "rate": CALLS}
    logins = {"payload": "heartbeat", "connections": size.idle, "identities_from": CONNECTED, "persist": True}
    logins |= {"window": size.idle, "source_addresses": 100}
    with gateway(security) as server, Load(server, calls) as load, Load(server, logins) as crowd:
        load.connect()
        load.go(size.warm)
        rest = load.go(size.seconds)["p99_us"]
        server.rest()
        cpu, beside = server.cpu(), 0.0
        with ThreadPoolExecutor(1) as other:
            coming = other.submit(crowd.connect)
            while not coming.done():
                beside = max(beside, load.go(1)["p99_us"])
        told = coming.result()
        server.rest()
        used = server.cpu() - cpu
    seconds = told["seconds"]
    return Storm(seconds, used / size.idle * 1e6, used / seconds, rest, beside, told["attempts"])


def connections_table(rounds: dict[Security, list[Connection]], size: Size) -> Table:
    """Memory, a first login, and one with a resumed session."""
    again = ["first login CPU us", "again CPU us", "more than plain", "target"]
    columns = ["case", "RSS KB a charger", "more than plain", "target", *again]
    table = Table(f"A connection over TLS ({size.idle:,} of them)", columns)
    plain = rounds[PLAIN]
    for security, runs in rounds.items():
        more = [one.rss - other.rss for one, other in zip(runs, plain, strict=True)]
        resumed = [one.again - other.again for one, other in zip(runs, plain, strict=True)]
        memory, cost = statistics.median(more) <= MEMORY, statistics.median(resumed) <= RESUMED
        cells = [
            spread([one.rss for one in runs], 1, 1 / 1024),
            spread(more, 1, 1 / 1024),
            f"at most {MEMORY / 1024:g}: {_met(memory)}",
            spread([one.first for one in runs], 0),
            spread([one.again for one in runs], 0),
            spread(resumed, 0),
            f"at most {RESUMED:g}: {_met(cost)}",
        ]
        if not security.version:
            cells = ["" if place in (1, 2, 5, 6) else cell for place, cell in enumerate(cells)]
        table.rows.append([security.name, *cells])
    return table


def _met(met: bool) -> str:
    return "met" if met else "not met"


def messages_table(rounds: dict[tuple[Security, bool], list[Message]]) -> Table:
    """CPU a message, and what TLS adds."""
    columns = ["case", "CPU us a message", "messages/s", "p99 ms", "more than plain", "to plain", "target"]
    table = Table("A message over TLS, MeterValues", columns)
    for (security, stored), runs in rounds.items():
        plain = rounds[PLAIN, stored]
        more = [one.cpu - other.cpu for one, other in zip(runs, plain, strict=True)]
        met = _met(statistics.median(more) <= MESSAGE)
        table.rows.append(
            [
                f"{'durable' if stored else 'live'}, {security.name}",
                spread([run.cpu for run in runs]),
                spread([run.rate for run in runs], 0),
                spread([run.p99 for run in runs], 1, 1e-3),
                spread(more) if security.version else "",
                f"{spread(ratios(runs, plain, lambda run: run.cpu), 2)} x" if security.version else "",
                f"at most {MESSAGE:g} more: {met}" if security.version else "",
            ]
        )
    return table


def storms_table(rounds: dict[Security, list[Storm]], size: Size) -> Table:
    """How long it takes, and what the connected notice."""
    columns = [
        "case",
        "all connected, s",
        "core busy",
        "login CPU us",
        "attempts",
        "p99 ms before",
        "beside it",
        "target",
    ]
    title = f"A storm of {size.idle:,} logins beside {CONNECTED} connected chargers"
    table = Table(title, columns)
    for security, runs in rounds.items():
        held = statistics.median(
            one.beside / max(STORM_TIMES * one.rest, one.rest + STORM_ABOVE) for one in runs
        )
        table.rows.append(
            [
                security.name,
                spread([one.seconds for one in runs]),
                f"{statistics.median(one.busy for one in runs):.0%}",
                spread([one.login for one in runs], 0),
                spread([one.attempts for one in runs], 0),
                spread([one.rest for one in runs], 1, 1e-3),
                spread([one.beside for one in runs], 1, 1e-3),
                f"twice, or 20 ms more: {_met(held <= 1)}",
            ]
        )
    return table


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Measure the cost of TLS (benchmarks/README.md).")
    parser.add_argument("--rounds", type=int, help="rounds of each measurement (3; with --quick 1)")
    parser.add_argument("--quick", action="store_true", help="one short round, as a smoke test")
    parser.add_argument("--no-write", action="store_true", help="do not change README.md")
    parser.add_argument("--only", choices=("connection", "message", "storm"), help="make one table")
    given = parser.parse_args()
    size, rounds = QUICK if given.quick else Size(), given.rounds or (1 if given.quick else 3)
    others = os.getloadavg()[0]
    raise_descriptor_limit()
    servers.build_load()

    connections: defaultdict[Security, list[Connection]] = defaultdict(list)
    messages: defaultdict[tuple[Security, bool], list[Message]] = defaultdict(list)
    storms: defaultdict[Security, list[Storm]] = defaultdict(list)
    for number in range(rounds):
        for security in (PLAIN, *SECURED):
            shown = f"{number + 1}/{rounds} {security.name}"
            if given.only in (None, "connection"):
                connections[security].append(connection(security, size))
                progress.print(f"{shown}: {connections[security][-1]}")
            if given.only in (None, "message") and security.kind != "rsa":  # its key is used once
                for stored in (False, True):
                    messages[security, stored].append(message(security, stored, size))
                    progress.print(f"{shown}: {messages[security, stored][-1]}")
            if given.only in (None, "storm"):
                storms[security].append(storm(security, size))
                progress.print(f"{shown}: {storms[security][-1]}")
    made = [
        table
        for table, rows in (
            (partial(connections_table, connections, size), connections),
            (partial(messages_table, messages), messages),
            (partial(storms_table, storms, size), storms),
        )
        if rows
    ]
    result = [make() for make in made]
    shown = tables.conditions(rounds, others)
    print(shown)
    tables.show(result)
    if not given.no_write and not given.only:
        tables.write(result, shown)


if __name__ == "__main__":
    main()
