"""docs/contract.md 2.2: whatever one charger sends, it is bounded, and the others are served meanwhile."""

import asyncio
import json
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from urllib.parse import quote

import pytest

from e2e.house import Gateway, config, gateway, own_gateway
from e2e.strangers import (
    CONT,
    PING,
    PONG,
    TEXT,
    Facts,
    Upgrade,
    close_code,
    dial,
    frame,
    knock,
    read_frame,
    request,
    until,
)
from jetstream import NatsServer

BEAT = b'[2,"1","Heartbeat",{}]'
BURST = 200  # limits.calls_burst


@pytest.fixture(scope="module")
def shipped(nats_server: NatsServer) -> Iterator[Gateway]:
    """A gateway with the limits as they are shipped; only its pings are more frequent."""
    with gateway(config(nats_server, limits={"ping_interval": 2.0})) as running:
        yield running


@asynccontextmanager
async def raw(running: Gateway, identity: str) -> AsyncIterator[Upgrade]:
    """An upgraded raw socket that may compress."""
    async with knock(running.port, head(identity)) as upgraded:
        assert upgraded.status == 101
        yield upgraded


def head(identity: str) -> bytes:
    return request(f"/{quote(identity)}", "ocpp1.6", Sec_WebSocket_Extensions="permessage-deflate")


def deflated(size: int) -> bytes:
    """A compressed frame that inflates to ``size`` bytes."""
    press = zlib.compressobj(9, zlib.DEFLATED, -11)
    packed = press.compress(b" " * size) + press.flush(zlib.Z_SYNC_FLUSH)
    return frame(TEXT, packed[:-4], rsv=4)


def held(running: Gateway) -> int:
    """Bytes that count towards limits.max_buffered_bytes."""
    return running.worker._shared.buffered.total  # noqa: SLF001


def repeated(one: bytes, size: int) -> bytes:
    return one * (size // len(one))


EMPTY_FRAGMENTS = frame(TEXT, b"", fin=False) + frame(CONT, b"", fin=False) * 998 + frame(CONT, BEAT)
FLOODS = {
    "4 MB of empty pings": (1, repeated(frame(PING, b""), 4_000_000)),
    "4 MB of pongs": (1, repeated(frame(PONG, b""), 4_000_000)),
    "2 MB of empty fragments": (1, repeated(EMPTY_FRAGMENTS, 2_000_000)),
    "252 kB of empty text frames": (1, repeated(frame(TEXT, b""), 252_000)),
    "4 MB of heartbeats": (1, repeated(frame(TEXT, BEAT), 4_000_000)),
    "8 times 198 kB of deflated frames": (8, repeated(deflated(500_000), 198_000)),
}


@pytest.mark.parametrize(("chargers", "flood"), FLOODS.values(), ids=FLOODS)
async def test_a_flood_waits_and_a_neighbour_is_served(
    shipped: Gateway, identity: str, chargers: int, flood: bytes
) -> None:
    """The flood is not read beyond the budget: most of it stays with its sender."""
    paused, turns = (
        ("voltgate_reads_paused_total", "calls_per_second"),
        ("voltgate_reads_paused_total", "turn"),
    )
    before = [shipped.metric(name, bound=bound) for name, bound in (paused, turns)]
    calls = shipped.metric("voltgate_frames_total", direction="in")
    buffered, began = 0, time.monotonic()
    async with dial(shipped.port, f"{identity}-polite") as polite, AsyncExitStack() as stack:
        rude = [await stack.enter_async_context(raw(shipped, f"{identity}-{n}")) for n in range(chargers)]
        for one in rude:
            one.writer.write(flood)
        await until(lambda: shipped.metric(paused[0], bound=paused[1]) >= before[0] + chargers)
        for _ in range(100):
            assert (await polite.ask(BEAT.decode())).startswith("[3")
            buffered = max(buffered, held(shipped))
        taken = shipped.metric("voltgate_frames_total", direction="in") - calls
        regained = 20 * (time.monotonic() - began)
        assert taken <= 101 + chargers * (BURST + regained + 1)
        assert buffered <= chargers * 600_000, "at most a chunk and a message"
        assert shipped.metric(turns[0], bound=turns[1]) > before[1], (
            "the burst took several turns of the loop"
        )
    await until(lambda: held(shipped) == 0)


async def test_pings_of_one_turn_get_one_pong(shipped: Gateway, identity: str) -> None:
    async with raw(shipped, identity) as charger:
        charger.writer.write(b"".join(frame(PING, b"%d" % n) for n in range(100)) + frame(TEXT, BEAT))
        pongs = []
        while (answer := await read_frame(charger.reader))[0] == 0x80 | PONG:
            pongs.append(int(answer[1]))
        assert answer[1].startswith(b'[3,"1",')
        assert len(pongs) <= 5
        assert pongs == sorted(pongs)


async def test_a_reconnect_brings_no_fresh_burst(shipped: Gateway, identity: str, facts: Facts) -> None:
    """Ten connections, each with 300 refused CALLs: the burst is there once, and ten rejects are stored."""
    before = shipped.metric("voltgate_frames_total", direction="in", type="call")
    paused = shipped.metric("voltgate_reads_paused_total", bound="calls_per_second")
    began = time.monotonic()

    def rested(times: float) -> bool:
        return shipped.metric("voltgate_reads_paused_total", bound="calls_per_second") >= times

    for number in range(10):
        async with raw(shipped, identity) as charger:
            charger.writer.write(b"".join(frame(TEXT, b'[2,"%d","Nonsense",{}]' % n) for n in range(300)))
            await until(partial(rested, paused + number + 1))
        await facts.link("down")
    taken = shipped.metric("voltgate_frames_total", direction="in", type="call") - before
    assert BURST < taken <= BURST + 20 * (time.monotonic() - began) + 10
    assert len(await facts.stored("REJECTS")) == 10


async def test_500_dials_of_a_live_identity_send_it_one_ping(shipped: Gateway, identity: str) -> None:
    """On a listener without credentials; all newcomers share the outcome."""
    pings, began = 0, time.monotonic()
    async with raw(shipped, identity) as victim:

        async def answer_pings() -> None:
            nonlocal pings
            while True:
                first, payload = await read_frame(victim.reader)
                assert first == 0x80 | PING
                pings += 1
                victim.writer.write(frame(PONG, payload))

        async def refused() -> int:
            async with knock(shipped.port, head(identity)) as newcomer:
                return newcomer.status

        answering = asyncio.create_task(answer_pings())
        statuses = await asyncio.gather(*(refused() for _ in range(500)))
        answering.cancel()
        await asyncio.wait([answering])
        assert set(statuses) == {503}
        assert 1 <= pings <= 1 + (time.monotonic() - began), "one in two seconds, and keepalive"
        victim.writer.write(frame(TEXT, BEAT))
        assert (await read_frame(victim.reader))[1].startswith(b'[3,"1",')


async def test_one_charger_does_not_fill_the_store(
    nats_server: NatsServer, identity: str, facts: Facts
) -> None:
    """267 MeterValues of 50 kB, of which the budget lets a few through; a neighbour's are stored."""
    limits = {"stored_bytes_per_second": 1000.0, "stored_bytes_burst": 500_000}
    sample = {"value": "1" * 500}
    value = {"timestamp": "2026-11-22T10:00:00Z", "sampledValue": [sample] * 90}
    large = json.dumps({"connectorId": 1, "meterValue": [value]}).encode()
    status = '{"connectorId":1,"errorCode":"NoError","status":"Available"}'
    async with (
        own_gateway(config(nats_server, limits=limits)) as running,
        raw(running, identity) as greedy,
        dial(running.port, f"{identity}-other") as other,
    ):
        for n in range(267):
            greedy.writer.write(frame(TEXT, b'[2,"%d","MeterValues",%s]' % (n, large)))
        for n in range(10):
            assert (await read_frame(greedy.reader))[1] == b'[3,"%d",{}]' % n
        await until(lambda: running.metric("voltgate_reads_paused_total", bound="stored_bytes") == 1)
        for n in range(20):
            assert await other.ask(f'[2,"{n}","StatusNotification",{status}]') == f'[3,"{n}",{{}}]'
        stored = running.metric("voltgate_frames_total", type="call", action="MeterValues")
        assert 10 <= stored <= 13, "half a megabyte, one message more, and what was regained"


async def test_single_bytes_of_an_endless_frame_are_no_sign_of_life(
    nats_server: NatsServer, identity: str
) -> None:
    limits = {"ping_interval": 0.4, "ping_timeout": 0.4}
    async with (
        own_gateway(config(nats_server, limits=limits)) as running,
        raw(running, identity) as charger,
    ):

        async def trickle() -> None:
            charger.writer.write(frame(TEXT, b" " * 60_000)[:20])
            while True:
                charger.writer.write(b" ")
                await asyncio.sleep(0.05)

        trickling = asyncio.create_task(trickle())
        assert await close_code(charger.reader) == 1006
        trickling.cancel()
        assert running.metric("voltgate_disconnects_total", reason="silent") == 1
