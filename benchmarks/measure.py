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
    rates: tuple[float, ...] = (500.0, 2_000.0, 10_000.0)
    """The same of an open loop, from ``connections`` chargers."""


QUICK = Size(
    connections=200, seconds=0.7, warm=0.2, idle=300, growth=(50, 200), rate=1000.0, rates=(500.0, 1000.0)
)


@dataclass(frozen=True)
class Message:
    """Microseconds of server CPU a message, messages a second, share of its core that the server used."""

    cpu: float
    rate: float
    busy: float
    answered: int
    p99: float
    p50: float = 0.0
    nats: float = 0.0
    """Microseconds of nats-server's CPU a message."""


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


def opened(case: Case, rate: float, size: Size) -> Message:
    """So many messages a second by plan, however slow the answers: an open loop."""
    options = {
        "payload": case.payload,
        "mode": "open",
        "rate": rate,
        "connections": size.connections,
        "unchecked": case.unchecked,
    }
    return _run(case, options, size, size.warm + size.connections / rate)


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
        before, nats_before = server.cpu(), server.nats_cpu()
        told = load.go(size.seconds)
        cpu, nats = server.cpu() - before, server.nats_cpu() - nats_before
        answered = told["answered"]
        if case.stored and server.stored() - stored != answered:
            sys.exit(f"{case.name}: {answered} answered, {server.stored() - stored} stored")
    each = 1e6 / answered
    busy = cpu / told["seconds"]
    return Message(
        cpu * each, told["per_second"], busy, answered, told["p99_us"], told["p50_us"], nats * each
    )
