"""The ledger: facts a second (fold alone, from NATS, and the feed alone), lag at a steady rate, memory.

Chargers of 1.6 with a reading a minute of register, power, current and charge. The fold is measured without
NATS, in batches of 500, in seconds of CPU; the run from NATS is the whole process on a stream that is full,
with ticks. The feed alone is what nats-py delivers to a callback that does nothing: the ledger's ceiling.
Run: ``make bench-csms``, or ``python benchmarks/ledger.py --chargers 200 --minutes 60``
"""

import argparse
import asyncio
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import uvloop
from nats.aio.client import Client
from nats.errors import Error
from servers import connected, free_ports

from voltgate.cli.dev import embedded
from voltgate.config import Config
from voltgate.config_csms import Csms
from voltgate.csms.ledger import store, times
from voltgate.csms.ledger.acting import Settings
from voltgate.csms.ledger.books import Books
from voltgate.csms.ledger.facts import Message
from voltgate.csms.ledger.feed import Feed
from voltgate.csms.ledger.pseudonyms import Pseudonyms
from voltgate.csms.ledger.service import BATCH, Ledger
from voltgate.csms.ledger.streams import Input
from voltgate.gateway.bus import streams

LAG_RATE = 2000
LAG_SECONDS = 10
CREATED = "2026-01-01T00:00:00.000Z"
START = datetime(2026, 5, 1, tzinfo=UTC)
READING = [
    {"measurand": "Power.Active.Import", "value": "7200", "unit": "W"},
    {"measurand": "Current.Import", "value": "31.2", "phase": "L1"},
    {"measurand": "SoC", "value": "40"},
]


Fact = tuple[str, dict[str, str], bytes]
"""Subject, headers, body."""


def facts(chargers: int, minutes: int) -> Iterator[Fact]:
    """Of sessions that all begin together."""
    for minute in range(minutes + 1):
        at = times.text(START + timedelta(minutes=minute))
        for number in range(chargers):
            if minute == 0:
                yield from begin(number, 1, "0", at, 0)
            else:
                yield fact(number, "MeterValues", str(minute), at, reading(1, at, minute * 120))


def begin(number: int, tx: int, key: str, at: str, wh: int) -> Iterator[Fact]:
    """A transaction's start and the answer to it."""
    start = {"connectorId": 1, "idTag": f"T{number}", "meterStart": wh, "timestamp": at}
    yield fact(number, "StartTransaction", key, at, start)
    answer = {"transactionId": tx, "idTagInfo": {"status": "Accepted"}}
    yield fact(number, "StartTransactionResponse", key, at, answer)


def fact(number: int, action: str, key: str, at: str, body: dict[str, object]) -> Fact:
    """One of a charger. ``key``: what a Response shares with its CALL."""
    headers = {
        "ce-id": f"s{number}/{key}/{action}",
        "ce-time": at,
        "ocpp-session": f"s{number}",
        "ocpp-key": f"CP{number}/{action.removesuffix('Response')}/{key}",
        "Nats-Msg-Id": f"{number}/{key}/{action}",
    }
    return f"ocpp.tx.v16.{action}.CP{number}", headers, orjson.dumps(body)


def reading(tx: int, at: str, wh: int) -> dict[str, object]:
    """MeterValues with everything that chargers like to report."""
    register = {"measurand": "Energy.Active.Import.Register", "value": str(wh), "unit": "Wh"}
    sampled = [{"timestamp": at, "sampledValue": [register, *READING]}]
    return {"connectorId": 1, "transactionId": tx, "meterValue": sampled}


def fold(chargers: int, minutes: int, folder: Path) -> float:
    """Facts a second of CPU, without NATS."""
    database = store.opened(f"sqlite:///{folder}/fold.db")
    books = Books(database, Settings(Csms()), Pseudonyms(b"bench"))
    books.begin_at("OCPP_TX", CREATED)
    messages = [
        Message("OCPP_TX", seq, subject, headers, body, 0.0)
        for seq, (subject, headers, body) in enumerate(facts(chargers, minutes), 1)
    ]
    began = time.process_time()
    for first in range(0, len(messages), BATCH):
        books.fold(messages[first : first + BATCH])
    spent = time.process_time() - began
    books.close()
    return len(messages) / spent


async def feed_alone(client: Client, count: int) -> float:
    """Messages a second of CPU that nats-py delivers."""
    arrived = asyncio.Event()
    feed = Feed(client, client.jetstream(), Input("OCPP_TX"), arrived.set)
    began, taken = time.process_time(), 0
    feed.start(0)
    while taken < count:
        arrived.clear()
        while feed.waiting:
            feed.take()
            taken += 1
        if taken < count:
            await arrived.wait()
    spent = time.process_time() - began
    await feed.close()
    return count / spent


async def replay(client: Client, config: Config, count: int) -> tuple[float, float]:
    """Facts a second of CPU, and of time, from a full stream into the database."""
    stop, ledger = asyncio.Event(), Ledger(client, config)
    began, cpu = time.monotonic(), time.process_time()
    run = asyncio.create_task(ledger.run(stop))
    await ledger.caught_up.wait()
    spent, used = time.monotonic() - began, time.process_time() - cpu
    stop.set()
    await run
    return count / used, count / spent


async def lag(client: Client, config: Config) -> list[float]:
    """Seconds from the PubAck of a fact to its row, at :data:`LAG_RATE` facts a second."""
    stop, ledger = asyncio.Event(), Ledger(client, config)
    run = asyncio.create_task(ledger.run(stop))
    await ledger.caught_up.wait()
    made = list(facts(LAG_RATE // 2, 1 + 2 * LAG_SECONDS))
    folded: dict[int, float] = {}
    sent: dict[int, float] = {}
    changed = asyncio.Event()

    async def told(message: object) -> None:
        seq = orjson.loads(message.data)["position"]["OCPP_TX"]  # type: ignore[attr-defined]
        folded[seq] = time.monotonic()
        changed.set()

    subscription = await client.subscribe("ops.live", cb=told)
    jetstream, began = client.jetstream(), time.monotonic()
    for number in range(0, len(made), 20):
        for subject, headers, body in made[number : number + 20]:
            again = headers | {"Nats-Msg-Id": f"lag/{headers['Nats-Msg-Id']}"}
            with suppress(Error):
                ack = jetstream.publish_async(subject, body, headers=again)
                (await ack).add_done_callback(
                    lambda done: sent.setdefault(done.result().seq, time.monotonic())
                )
        due = began + (number + 20) / LAG_RATE
        await asyncio.sleep(max(due - time.monotonic(), 0))
    last = (await jetstream.stream_info("OCPP_TX")).state.last_seq
    while max(folded, default=0) < last:
        changed.clear()
        await changed.wait()
    await subscription.unsubscribe()
    stop.set()
    await run
    positions = sorted(folded)
    waits, index = [], 0
    for seq in sorted(sent):
        while positions[index] < seq:
            index += 1
        waits.append(max(folded[positions[index]] - sent[seq], 0.0))
    return waits


async def measured(chargers: int, minutes: int, port: int, folder: Path) -> list[tuple[str, str]]:
    """The rows."""
    client = await connected(port)
    await streams.apply(client, Config())
    made = list(facts(chargers, minutes))
    jetstream = client.jetstream(publish_async_max_pending=4000)
    for subject, headers, body in made:
        await jetstream.publish_async(subject, body, headers=headers)
    await jetstream.publish_async_completed()
    alone = await feed_alone(client, len(made))
    config = Config(csms=Csms(database=f"sqlite:///{folder}/live.db"))
    by_cpu, by_time = await replay(client, config, len(made))
    waits = sorted(await lag(client, config))
    await client.close()
    return [
        ("feed alone, facts per CPU second", f"{alone:,.0f}"),
        ("from NATS, facts per CPU second (of the feed alone)", f"{by_cpu:,.0f} ({by_cpu / alone:.2f})"),
        ("from NATS, facts per second", f"{by_time:,.0f}"),
        (f"lag at {LAG_RATE:,} facts/s, p50 and p99", f"{_ms(waits, 50)} ms, {_ms(waits, 99)} ms"),
        ("memory at most, load included", f"{memory():,.0f} MiB"),
    ]


def memory() -> float:
    """MiB of resident memory that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _ms(waits: list[float], percent: int) -> str:
    cuts = statistics.quantiles(waits, n=100)
    return f"{cuts[percent - 1] * 1000:.0f}"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="The ledger's figures.")
    parser.add_argument("--chargers", type=int, default=500)
    parser.add_argument("--minutes", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, (port,) = Path(name), free_ports(1)
        rows = [
            ("fold alone, facts per CPU second", f"{fold(options.chargers, options.minutes, folder):,.0f}")
        ]
        with embedded.server(folder / "nats", port, 1 << 20):
            rows += uvloop.run(measured(options.chargers, options.minutes, port, folder))
    for label, value in rows:
        print(f"{label:<55} {value}")


if __name__ == "__main__":
    main()
