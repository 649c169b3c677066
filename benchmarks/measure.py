"""Costs of one contender: per message, per connection, with more connections. Each in a fresh process."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from servers import Load, Server

Start = Callable[[], AbstractContextManager[Server]]


@dataclass(frozen=True)
class Size:
    """The amounts of a run, full or quick."""

    connections: int = 1000
    seconds: float = 4.0
    warm: float = 1.0
    idle: int = 2000
    growth: tuple[int, ...] = (100, 1000, 5000)
    rate: float = 10_000.0
    """Messages a second of all chargers together while their number grows."""


QUICK = Size(connections=200, seconds=0.7, warm=0.2, idle=300, growth=(50, 200), rate=1000.0)


@dataclass(frozen=True)
class Message:
    """Microseconds of server CPU a message, messages a second, share of its core that the server used."""

    cpu: float
    rate: float
    busy: float
    answered: int
    p99: float


@dataclass(frozen=True)
class Idle:
    """Bytes of resident memory and microseconds of CPU for one idle charger."""

    rss: float
    upgrade: float


@dataclass(frozen=True)
class Case:
    """One contender with one message; ``unchecked``: its answers have no valid ids."""

    name: str
    start: Start
    payload: str = "meter"
    stored: bool = False
    """Every answered message must be found in JetStream."""
    unchecked: bool = False


def message(case: Case, size: Size) -> Message:
    """Ping-pong: every charger sends its next CALL when the last is answered."""
    options = {"payload": case.payload, "connections": size.connections, "unchecked": case.unchecked}
    return _run(case, options, size, size.warm)


def grown(case: Case, connections: int, size: Size) -> Message:
    """A fixed total rate from ``connections`` chargers."""
    options = {
        "payload": case.payload,
        "mode": "open",
        "rate": size.rate,
        "connections": connections,
        "source_addresses": 1 + connections // 10_000,
        "unchecked": case.unchecked,
    }
    once = connections / size.rate * 1.2  # the first message of each charger is not measured
    return _run(case, options, size, size.warm + once)


def idle(case: Case, size: Size, deflate: bool) -> Idle:
    """Chargers that connect, send one message, and stay idle."""
    options = {"payload": "heartbeat", "deflate": deflate, "unchecked": case.unchecked or deflate}
    first = {**options, "connections": max(size.idle // 20, 20), "identities_from": 900_000}
    counted = {**options, "connections": size.idle, "messages": size.idle}
    with case.start() as server, Load(server, first) as warm, Load(server, counted) as load:
        # One-time allocations and first runs of code are excluded.
        warm.connect()
        warm.go(0.1)
        server.rest()
        rss, cpu = server.rss(), server.cpu()
        load.connect()
        server.rest()
        upgrade = server.cpu() - cpu
        load.go(1)  # chargers that have never sent a message would use too little memory
        server.rest()
        return Idle((server.rss() - rss) / size.idle, upgrade / size.idle * 1e6)


def _run(case: Case, options: dict[str, Any], size: Size, warm: float) -> Message:
    with case.start() as server, Load(server, options) as load:
        load.connect()
        load.go(warm)
        server.rest()
        stored = server.stored() if case.stored else 0
        before = server.cpu()
        figures = load.go(size.seconds)
        cpu = server.cpu() - before
        answered = figures["answered"]
        if case.stored and server.stored() - stored != answered:
            sys.exit(f"{case.name}: {answered} answered, {server.stored() - stored} stored")
    return Message(
        cpu / answered * 1e6, figures["per_second"], cpu / figures["seconds"], answered, figures["p99_us"]
    )
