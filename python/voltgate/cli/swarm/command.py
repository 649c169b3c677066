"""``voltgate swarm``: thousands of simulated chargers in separate processes, and their measurements."""

import csv
import ipaddress
import math
import resource
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import orjson
import typer

from voltgate.cli.faults import EXIT_CODES, FAILED, USAGE, Failure
from voltgate.cli.service import run
from voltgate.cli.terminal import AsJson, ConfigFile, out, out_json
from voltgate.cli.versions import version_token
from voltgate.schemas import SUBPROTOCOLS

app = typer.Typer()

PER_PROCESS = 5_000
PER_ADDRESS = 20_000  # of 28,000 ports per source address
SPARE_DESCRIPTORS = 100


@app.command(
    epilog="Exits with 0 if every charger was admitted and every call was answered without error, else 1. "
    f"Ctrl-C ends early and prints the table. {EXIT_CODES}"
)
def swarm(  # noqa: PLR0913, PLR0917 - options of a command line
    url: Annotated[
        str, typer.Option(metavar="URL", help="URL to which the identities are appended.")
    ] = "ws://127.0.0.1:9000/ocpp",
    chargers: Annotated[int, typer.Option(min=1, metavar="N", help="Number of simulated chargers.")] = 1000,
    rate: Annotated[float, typer.Option(min=0, help="Calls per second of all chargers together.")] = 200.0,
    version: Annotated[
        str, typer.Option("--version", metavar="VERSION", help="OCPP version: 1.6, 2.0.1, 2.1 or mixed.")
    ] = "mixed",
    duration: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="Seconds of load after all chargers are connected."),
    ] = 60.0,
    storm: Annotated[
        bool, typer.Option("--storm", help="Reset all connections after half the duration.")
    ] = False,
    storm_spread: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Spread reconnects over this many seconds.")
    ] = 0.0,
    connect_rate: Annotated[float, typer.Option(min=1, help="First connects per second.")] = 500.0,
    processes: Annotated[
        int | None,
        typer.Option(min=1, metavar="P", help="Number of processes. Default: one per 5,000 chargers."),
    ] = None,
    source_addresses: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10_000,
            metavar="K",
            help="Number of loopback source addresses. Default: enough for the ports needed.",
        ),
    ] = None,
    identity_prefix: Annotated[
        str, typer.Option(metavar="TEXT", help="Prefix of the identities: TEXT00001 ...")
    ] = "SW",
    password_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File with credentials: 'identity,password' per line, or `chargers add --json` output.",
        ),
    ] = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Run simulated chargers at scale (boot, statuses, then load) and print the measurements.

    The load is an open loop: --rate calls per second are due at random times, independent of earlier calls.
    A slow answer does not slow the plan: if a charger has an open call, the next one waits, and its latency
    counts from when it was due (no coordinated omission). Most calls are meter values of transactions; the
    rest are starts, ends, heartbeats and statuses.

    --storm: after half the duration, all connections are reset; every charger redials, boots and sends two
    statuses. Refused upgrades are repeated after Retry-After. Calls that are due during the storm count from
    the reconnect of their charger.
    """
    from voltgate.charger.swarm import Plan  # noqa: PLC0415 - other commands need no websockets
    from voltgate.cli.swarm.course import follow  # noqa: PLC0415
    from voltgate.cli.swarm.figures import Wish, result, table  # noqa: PLC0415

    del config  # every command has this option; the swarm uses only the websocket
    tokens = list(SUBPROTOCOLS) if version == "mixed" else [version_token(version)]
    count = processes or math.ceil(chargers / min(PER_PROCESS, _descriptors()))
    if math.ceil(chargers / count) > _descriptors():
        raise Failure(
            f"a process may open {_descriptors()} connections (ulimit -n): use --processes "
            f"{math.ceil(chargers / _descriptors())} or more, or raise the limit",
            USAGE,
        )
    host = _host(url)
    sources = islice(cycle(_sources(host, chargers, source_addresses)), chargers)
    logins = _identities(chargers, identity_prefix, password_file)
    rows = [
        (name, token, password, source)
        for (name, password), token, source in zip(logins, cycle(tokens), sources, strict=False)
    ]
    plans = [
        Plan(
            url=url.rstrip("/"),
            chargers=rows[number::count],
            rate=rate / count,
            connect_rate=connect_rate / count,
            storm_spread=storm_spread,
        )
        for number in range(min(count, chargers))
    ]
    wish = Wish(url=url, chargers=chargers, rate=rate, duration=duration, storm=storm)
    course, report, tally = run(follow(wish, plans))
    figures = result(wish, course, report, tally) | {"processes": len(plans)}
    if as_json:
        out_json(figures)
    else:
        out(table(figures))
    if report.joined < chargers or tally.errors or not course.returned:
        raise typer.Exit(FAILED)


# Values of the options


def _descriptors() -> int:
    """Number of connections that a process can open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the processes inherit it
        soft = hard
    return max(1, soft - SPARE_DESCRIPTORS)


def _host(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"ws", "wss"} or not parts.hostname:
        raise Failure(f"--url {url}: must have the form ws://HOST:PORT/PATH or wss://...", USAGE)
    return parts.hostname


def _sources(host: str, chargers: int, wanted: int | None) -> list[str]:
    """Local addresses to connect from; empty: chosen by the system."""
    try:
        here = host == "localhost" or ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        here = False
    count = wanted or (math.ceil(chargers / PER_ADDRESS) if here else 1)
    if count == 1:
        return [""]
    if not here:
        raise Failure(
            "--source-addresses needs a gateway on this machine: it uses addresses from 127.0.0.1 on",
            USAGE,
        )
    return [str(ipaddress.IPv4Address("127.0.0.1") + number) for number in range(count)]


def _identities(count: int, prefix: str, file: Path | None) -> list[tuple[str, str | None]]:
    if file is None:
        return [(f"{prefix}{number:05}", None) for number in range(1, count + 1)]
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        logins = [_login(line) for line in lines if line.strip()]
    except (OSError, ValueError, KeyError) as error:  # never the line itself: it contains a password
        reason = (
            getattr(error, "strerror", None) or "lines must be 'identity,password', or JSON with these keys"
        )
        raise Failure(f"--password-file {file}: {reason}", USAGE) from None
    if len(logins) < count:
        raise Failure(f"--password-file {file}: {len(logins)} logins for {count} chargers", USAGE)
    return logins[:count]


def _login(line: str) -> tuple[str, str | None]:
    if line.startswith("{"):
        record = orjson.loads(line)
        return record["identity"], record["password"]
    identity, password = next(csv.reader([line]))
    return identity, password
