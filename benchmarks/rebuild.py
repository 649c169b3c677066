"""Rebuild of the books of a month, and the ledger's memory: 100 chargers for 30 days are 2.6 million facts.

Each charger has a session an hour for fourteen hours of a day, with a reading a minute. A ledger folds them
from NATS, as after a month without one, and settles; then the database is made anew from the streams, twice.
Both must give one hash. Filling the stream and the first fold take longer than what is measured.
Run: ``python benchmarks/rebuild.py`` (15 min); ``--chargers 10000 --days 0`` is one session of each charger
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import uvloop
from ledger import START, Fact, begin, fact, memory, reading
from nats.aio.client import Client
from servers import connected, free_ports

from voltgate.cli.dev import embedded
from voltgate.config import Config
from voltgate.config_csms import Csms
from voltgate.csms.ledger import rebuild, times
from voltgate.csms.ledger.service import Ledger
from voltgate.gateway.bus import streams

HOURS = 14  # of a day with sessions
READINGS = 58


def month(chargers: int, days: int) -> Iterator[Fact]:
    """Facts in the order in which a network sends them; without a day: sessions that do not end."""
    hours = [24 * day + hour for day in range(days) for hour in range(HOURS)] or [0]
    for hour in hours:
        for minute in range(READINGS + 2):
            at = times.text(START + timedelta(hours=hour, minutes=minute))
            for number in range(chargers):
                yield from _minute(number, hour, minute, at, bool(days))


def _minute(number: int, hour: int, minute: int, at: str, ends: bool) -> Iterator[Fact]:
    tx, key = hour + 1, f"{number}/{hour}/{minute}"
    if minute == 0:
        yield from begin(number, tx, key, at, hour * 7000)
    elif minute <= READINGS:
        yield fact(number, "MeterValues", key, at, reading(tx, at, hour * 7000 + minute * 120))
    elif ends:
        end = {"transactionId": tx, "meterStop": hour * 7000 + minute * 120, "timestamp": at}
        yield fact(number, "StopTransaction", key, at, end)


async def _publish(client: Client, made: Iterator[Fact]) -> int:
    jetstream, count = client.jetstream(publish_async_max_pending=4000), 0
    for subject, headers, body in made:
        await jetstream.publish_async(subject, body, headers=headers)
        count += 1
    await jetstream.publish_async_completed()
    return count


async def _settled(client: Client, config: Config, documents: int) -> None:
    """Run a ledger until it has published so many documents."""
    stop, ledger = asyncio.Event(), Ledger(client, config)
    run = asyncio.create_task(ledger.run(stop))
    await ledger.caught_up.wait()
    while (await client.jsm().stream_info("OPS_CDR")).state.messages < documents:  # noqa: ASYNC110
        await asyncio.sleep(1)
    stop.set()
    await run


async def measured(chargers: int, days: int, folder: Path, port: int) -> list[tuple[str, str]]:
    """The rows."""
    client = await connected(port)
    config = _config(folder / "live.db")
    await streams.apply(client, config)
    count = await _publish(client, month(chargers, days))
    began = time.monotonic()
    await _settled(client, config, chargers * days * HOURS)
    rows = [
        (f"first fold of {count:,} facts, with its ticks", f"{time.monotonic() - began:.0f} s"),
        ("memory at most, load included", f"{memory():,.0f} MiB"),
    ]
    hashes = {await rebuild.digest(client, config)}
    for number in range(2 if days else 0):
        began = time.monotonic()
        made = await rebuild.rebuild(client, _config(folder / f"again{number}.db"), asyncio.Event())
        hashes.add(made.digest)
        rows.append((f"rebuild with {made.documents:,} documents", f"{time.monotonic() - began:.0f} s"))
    await client.close()
    return [*rows, ("different hashes", str(len(hashes) - 1))]


def _config(file: Path) -> Config:
    return Config().model_copy(
        update={"csms": Csms(database=f"sqlite:///{file}", tick_seconds=5, settle_after=10)}
    )


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="The ledger's rebuild and memory.")
    parser.add_argument("--chargers", type=int, default=100)
    parser.add_argument("--days", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, (port,) = Path(name), free_ports(1)
        with embedded.server(folder / "nats", port, 1 << 20):
            rows = uvloop.run(measured(options.chargers, options.days, folder, port))
    for label, value in rows:
        print(f"{label:<55} {value}")


if __name__ == "__main__":
    main()
