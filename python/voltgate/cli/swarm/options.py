"""The options of ``voltgate swarm``, of all scenarios alike: a field each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from voltgate.cli.terminal import AsJson, ConfigFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """As on the command line; :mod:`values` checks them."""

    url: Annotated[str, typer.Option(metavar="URL", help="URL to which the identities are appended.")] = (
        "ws://127.0.0.1:9000/ocpp"
    )
    chargers: Annotated[int, typer.Option(min=1, metavar="N", help="Number of simulated chargers.")] = 1000
    rate: Annotated[float, typer.Option(min=0, help="Calls per second of all chargers together.")] = 200.0
    version: Annotated[
        str, typer.Option("--version", metavar="VERSION", help="OCPP version: 1.6, 2.0.1, 2.1 or mixed.")
    ] = "mixed"
    duration: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="Seconds of load after all chargers are connected; of each step of --find-rate. "
            "Default: 60, or the length of --profile or --replay.",
        ),
    ] = None
    mix: Annotated[
        str,
        typer.Option(
            metavar="KIND=SHARE,...",
            help="Shares of the planned calls: meter, transaction, heartbeat, status, authorize, data. "
            "Default: meter=80,transaction=8,heartbeat=6,status=6.",
        ),
    ] = ""
    profile: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Rates over time instead of --rate: CSV lines 'HH:MM,RATE'."),
    ] = None
    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Recorded calls instead of planned ones: output of `voltgate tail --json`, or lines with "
            "at, identity, version, action, payload.",
        ),
    ] = None
    speed: Annotated[
        float, typer.Option(min=0.001, help="Run --profile or --replay so many times as fast.")
    ] = 1.0
    storm: Annotated[bool, typer.Option("--storm", help="Reset all connections after half the duration.")] = (
        False
    )
    storm_spread: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Spread reconnects over this many seconds.")
    ] = 0.0
    half_open: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="Share of the chargers whose sockets are left half-open after a quarter of the duration.",
        ),
    ] = 0.0
    slow_consumers: Annotated[
        int, typer.Option(min=0, metavar="N", help="Subscribers of all facts that do not read their sockets.")
    ] = 0
    reconnect_rate: Annotated[
        float, typer.Option(min=0, help="Chargers per second that lose their connection and redial.")
    ] = 0.0
    faults: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            help="Faults of chargers in the field that these chargers have (docs/reference.md lists them).",
        ),
    ] = ""
    commands: Annotated[
        float, typer.Option(min=0, metavar="RATE", help="Commands per second, over NATS, to random chargers.")
    ] = 0.0
    fan_out: Annotated[
        bool, typer.Option("--fan-out", help="With --commands: one command to each charger.")
    ] = False
    command: Annotated[str, typer.Option(metavar="'ACTION JSON'", help="The command of --commands.")] = (
        "ClearCache"
    )
    find_rate: Annotated[
        bool, typer.Option("--find-rate", help="Find the highest rate that holds --until; begin with --rate.")
    ] = False
    until: Annotated[
        str, typer.Option(metavar="CONDITION", help="With --find-rate: for example 'p99_ms<100'.")
    ] = "p99_ms<100"
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help="Exit with 1 unless it holds; repeatable. Figures of --json, for example 'p99_ms<50', "
            "'upgrade.p99_ms<200', 'actions.BootNotification.p999_ms<1000', 'error_share<0.001'.",
        ),
    ] = None
    series: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a line of JSON per second of the run.")
    ] = None
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write an HTML page with tables and plots.")
    ] = None
    connect_rate: Annotated[float, typer.Option(min=1, help="First connects per second.")] = 500.0
    processes: Annotated[
        int | None,
        typer.Option(min=1, metavar="P", help="Number of processes. Default: one per 5,000 chargers."),
    ] = None
    source_addresses: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10_000,
            metavar="K",
            help="Number of loopback source addresses. Default: enough for the ports needed.",
        ),
    ] = None
    identity_prefix: Annotated[
        str, typer.Option(metavar="TEXT", help="Prefix of the identities: TEXT00001 ...")
    ] = "SW"
    password_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File with credentials: 'identity,password' per line, or `chargers add --json` output.",
        ),
    ] = None
    ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="CA certificates for wss://. Default: the system's.")
    ] = None
    cert: Annotated[
        str, typer.Option(metavar="FILE", help="Client certificate; {identity} in it is replaced.")
    ] = ""
    key: Annotated[str, typer.Option(metavar="FILE", help="Key of --cert; {identity} in it is replaced.")] = (
        ""
    )
    admin: Annotated[
        str,
        typer.Option(
            metavar="URL", help="Admin address of the gateway, to note its version: http://127.0.0.1:9464."
        ),
    ] = ""
    as_json: AsJson = False
    config: ConfigFile = None
