"""``voltgate tail --since``: what it replays, and that live messages follow without gap or repeat."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic

import nats
import pytest
from nats.aio.client import Client

from jetstream import NatsServer
from processes import PATIENCE, Start
from voltgate.cli.faults import Failure
from voltgate.cli.tail.replay import PAGE, Reader, Source, moment, narrowed, sources
from voltgate.config import Config, Nats, load
from voltgate.gateway.bus import streams

pytestmark = pytest.mark.usefixtures("clean_environment")


@asynccontextmanager
async def stored(url: str) -> AsyncIterator[Client]:
    """A client of a NATS that has the streams."""
    client = await nats.connect(url)
    await streams.apply(client, small())
    yield client
    await client.close()


def small() -> Config:
    size = 64 << 20
    return load(streams={"tx_max_bytes": size, "events_max_bytes": size, "commands_max_bytes": size})


def payloads(out: str) -> list[int]:
    return [json.loads(line)["payload"]["n"] for line in out.splitlines()]


async def put(client: Client, subject: str, n: int) -> None:
    await client.jetstream().publish(subject, b'{"n":%d}' % n)


PLACES = [
    "ocpp.tx.v16.MeterValues.CP1", "ocpp.event.v16.StatusNotification.CP1", "ocpp.reject.v16.CP2",
    "ocpp.security.bad_password.-", "ocpp.command.v16.Reset.CP1", "ocpp.link.CP1",
]  # fmt: skip
PASTS = [
    ([], [0, 1, 2, 3, 4, 5], "every stream, in the order of time"),
    (["tx", "link"], [0, 5], "the streams the filters need"),
    (["security"], [3], "a class that shares its stream"),
    (["*.v16.>"], [0, 1, 2, 4], "a pattern over classes"),
    (["tx.*.*.CP1", "tx.v16.*.*"], [0], "patterns that overlap show a message once"),
    (["--charger", "CP1"], [0, 1, 4, 5], "one charger"),
    (["--charger", "CP1", "event.>"], [1], "one charger of a pattern"),
    (["live"], [], "a class no stream keeps"),
]


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A NATS that has stored a message at each place."""

    async def fill() -> None:
        async with stored(server.url) as client:
            for n, subject in enumerate(PLACES):
                await put(client, subject, n)

    server = NatsServer(tmp_path_factory.mktemp("past"))
    asyncio.run(fill())
    yield server
    server.kill()


@pytest.mark.parametrize(("filters", "expected", "why"), PASTS, ids=[why for *_, why in PASTS])
async def test_stored_messages_are_replayed_in_order(
    voltgate: Callable[..., tuple[int, str, str]],
    past: NatsServer,
    monkeypatch: pytest.MonkeyPatch,
    filters: list[str],
    expected: list[int],
    why: str,
) -> None:
    monkeypatch.setenv("VOLTGATE_NATS__URL", past.url)
    command = ("tail", *filters, "--since", "1h", "--no-follow", "--json")
    code, out, err = await asyncio.to_thread(voltgate, *command)
    assert (code, payloads(out)) == (0, expected), why
    assert ("not stored" in err) == (filters == ["live"]), "and only then a word"
    client = await nats.connect(past.url)
    for stream in ("TX", "EVENTS", "REJECTS", "COMMANDS", "LINKS"):
        assert await client.jsm().consumers_info(f"OCPP_{stream}") == [], "nothing is left behind"
    await client.close()


async def test_the_past_begins_where_it_was_asked_to_and_lines_have_a_date(
    start: Start, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOLTGATE_NATS__URL", nats_server.url)
    async with stored(nats_server.url) as client:
        await put(client, "ocpp.tx.v16.MeterValues.CP1", 1)
        first = (await client.jsm().get_msg("OCPP_TX", 1)).time
        assert first
        await put(client, "ocpp.tx.v16.MeterValues.CP1", 2)
        running = start("tail", "--since", (first + timedelta(microseconds=1)).isoformat(), "--no-follow")
        assert running.process.wait(PATIENCE) == 0
        (line,) = running.out.splitlines()
        assert line.endswith('{"n":2}')
        assert line.startswith(f"{datetime.now().astimezone():%Y-%m-}")


async def test_the_present_follows_the_past_without_gap_or_repeat(
    start: Start, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a page is stored, and new messages arrive during the replay."""
    monkeypatch.setenv("VOLTGATE_NATS__URL", nats_server.url)
    async with stored(nats_server.url) as client:
        subjects = ["ocpp.tx.v16.MeterValues.CP1", "ocpp.event.v16.StatusNotification.CP1"]
        for n in range(2000):
            await put(client, subjects[n % 2], n)
        running = start("tail", "--since", "1h", "--json")
        n = 2000
        while not running.out:
            await put(client, subjects[n % 2], n)
            n += 1
        for last in range(n, n + 500):
            await put(client, subjects[last % 2], last)
        running.until(lambda: len(running.out.splitlines()) >= n + 500, "everything")
        seen = payloads(running.out)
        assert sorted(seen) == list(range(n + 500)), "each once"
        assert seen[:2000] == list(range(2000)), "the past in the order of time over both streams"
        deadline = monotonic() + PATIENCE
        while "ocpp.live" not in running.out:
            assert monotonic() < deadline, running.err
            await client.publish("ocpp.live.v16.Heartbeat.CP1", b"{}")
            await client.flush()
        assert running.ends(signal.SIGINT) == 0
        assert running.err == ""
        assert await client.jsm().consumers_info("OCPP_TX") == [], "nothing is left behind"


async def test_a_page_is_all_that_is_held(nats_server: NatsServer) -> None:
    """However long the history: the server has never delivered more than a page ahead of what was read."""
    async with stored(nats_server.url) as client:
        for n in range(2000):
            await put(client, "ocpp.tx.v16.MeterValues.CP1", n)
        reader = Reader(client, Source("OCPP_TX", ["ocpp.tx.>"]), datetime.now(UTC) - timedelta(hours=1))
        await reader.open()
        read = 0
        while await reader.past():
            read += 1
            if read % 100 == 0:
                (consumer,) = await client.jsm().consumers_info("OCPP_TX")
                assert consumer.delivered
                assert consumer.delivered.consumer_seq - read <= PAGE
        assert read == 2000
        await reader.close()


async def test_messages_of_an_outage_are_replayed_afterwards(
    start: Start, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOLTGATE_NATS__URL", nats_server.url)
    async with stored(nats_server.url) as client:
        await put(client, "ocpp.tx.v16.MeterValues.CP1", 0)
        running = start("tail", "tx", "--since", "1h", "--json")
        running.until(lambda: running.out, "the past")
    nats_server.kill()
    nats_server.start()
    async with stored(nats_server.url) as client:
        await put(client, "ocpp.tx.v16.MeterValues.CP1", 1)
        running.until(lambda: len(running.out.splitlines()) == 2, "the consumer died with the server")
        assert payloads(running.out) == [0, 1]
    assert "reconnected to NATS; missed messages follow" in running.err


async def test_a_stream_that_is_missing_is_named(
    start: Start, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOLTGATE_NATS__URL", nats_server.url)
    running = start("tail", "tx", "--since", "1h")
    assert running.process.wait(PATIENCE) == 1
    assert "stream OCPP_TX is missing: run `voltgate streams apply" in running.err


WITHIN = [
    (["ocpp.>"], "tx", ["ocpp.tx.>"], "everything"),
    (["ocpp.>"], "link", ["ocpp.link.*"], "a link has one token"),
    (["ocpp.*.v16.>", "ocpp.tx.>"], "tx", ["ocpp.tx.>"], "covered once narrowed"),
    (["ocpp.*.*.*.CP1"], "link", [], "never a link"),
    (["ocpp.*"], "tx", [], "never a fact"),
    (["ocpp.event.>"], "tx", [], "another class"),
    (["ocpp.link.CP1"], "link", ["ocpp.link.CP1"], "one charger's"),
]


@pytest.mark.parametrize(("patterns", "class_", "expected", "why"), WITHIN)
def test_patterns_narrowed_to_a_class(
    patterns: list[str], class_: str, expected: list[str], why: str
) -> None:
    assert narrowed(patterns, class_) == expected, why


def test_a_stream_of_two_classes_is_read_once() -> None:
    (one,) = sources(Nats(), ["ocpp.reject.>", "ocpp.security.>"])
    assert (one.stream, one.subjects) == ("OCPP_REJECTS", ["ocpp.reject.>", "ocpp.security.>"])


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), ("7d", 604_800)])
def test_a_time_ago(text: str, seconds: int) -> None:
    assert abs((datetime.now(UTC) - moment(text)).total_seconds() - seconds) < 5


def test_a_time_with_its_zone() -> None:
    assert moment("2026-01-31T13:00:00+01:00") == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert moment("2026-01-31T12:00:00Z") == datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "10", "10x", "m", "-10m", "nanm", "9e99d", "2026-01-31T12:00:00", "2999-01-01T00:00:00Z"]
)
def test_no_time(text: str) -> None:
    with pytest.raises(Failure, match="--since"):
        moment(text)
