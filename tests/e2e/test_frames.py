"""docs/contract.md 2.2 below OCPP: what a websocket may carry, in what pieces, how fast and how much."""

import asyncio
import random
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import psutil
import pytest
from nats.aio.msg import Msg

from e2e.house import Gateway, config, gateway, own_gateway
from e2e.strangers import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    SUBPROTOCOL,
    TEXT,
    Backend,
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
BIG = 65_536  # limits.max_message_bytes of the narrow gateway


@pytest.fixture(scope="module")
def narrow(nats_server: NatsServer) -> Iterator[Gateway]:
    limits = {"max_message_bytes": BIG, "ping_interval": 0.4, "ping_timeout": 0.4}
    with gateway(config(nats_server, limits=limits)) as running:
        yield running


@pytest.fixture(scope="module")
def slow_lane(nats_server: NatsServer) -> Iterator[Gateway]:
    limits = {"calls_per_second": 20, "calls_burst": 10, "max_buffered_bytes": 1 << 20}
    with gateway(config(nats_server, limits=limits)) as running:
        yield running


@pytest.fixture(scope="module")
def fast_lane(nats_server: NatsServer) -> Iterator[Gateway]:
    limits = {"calls_per_second": 1e6, "calls_burst": 1_000_000, "max_unread_bytes": 65_536}
    with gateway(config(nats_server, limits=limits)) as running:
        yield running


@asynccontextmanager
async def raw(
    running: Gateway, identity: str, protocol: str = "ocpp1.6", **headers: str
) -> AsyncIterator[Upgrade]:
    """An upgraded raw socket."""
    async with knock(running.port, request(f"/{quote(identity)}", protocol, **headers)) as upgraded:
        assert upgraded.status == 101
        yield upgraded


def fragments(*parts: bytes) -> bytes:
    """One message in these pieces."""
    first, *middle, last = parts
    return b"".join(
        [frame(TEXT, first, fin=False), *(frame(CONT, part, fin=False) for part in middle), frame(CONT, last)]
    )


def padded(size: int) -> bytes:
    """A Heartbeat of ``size`` bytes: white space between the tokens is legal."""
    return BEAT[:-1] + b" " * (size - len(BEAT)) + b"]"


BROKEN = {
    "a binary message": (frame(BINARY, BEAT), 1003),
    "an empty binary message": (frame(BINARY, b""), 1003),
    "a fragmented binary message": (frame(BINARY, BEAT, fin=False), 1003),
    "1,001 fragments": (fragments(*[b""] * 1000, BEAT), 1008),
    "endless empty fragments": (frame(TEXT, b"", fin=False) + frame(CONT, b"", fin=False) * 5000, 1008),
    "one byte more than max_message_bytes": (frame(TEXT, padded(BIG + 1)), 1009),
    "a length that only promises to be too much": (frame(TEXT, b" " * (BIG + 1))[:20], 1009),
    "fragments that are too much together": (fragments(b" " * (BIG // 2), b" " * (BIG // 2), b" "), 1009),
    "invalid UTF-8": (frame(TEXT, b'[2,"\xff","Heartbeat",{}]'), 1007),
    "a cut character at the end": (frame(TEXT, '[2,"é'.encode()[:-1]), 1007),
    "an encoded surrogate": (frame(TEXT, b'[2,"\xed\xa0\x80","Heartbeat",{}]'), 1007),
    "invalid UTF-8 over two fragments": (fragments(b'[2,"\xc3', b'","Heartbeat",{}]'), 1007),
    "an unmasked frame": (bytes([0x81, len(BEAT)]) + BEAT, 1002),
    "RSV1 without compression (docs/ocpp.md B)": (frame(TEXT, BEAT, rsv=4), 1002),
    "a reserved opcode": (frame(3, BEAT), 1002),
    "a continuation of nothing": (frame(CONT, BEAT), 1002),
    "a new message inside a fragmented one": (frame(TEXT, b"[", fin=False) + frame(TEXT, BEAT), 1002),
    "a ping of 126 bytes": (frame(PING, b"x" * 126), 1002),
    "a fragmented ping": (frame(PING, b"x", fin=False), 1002),
    "a length of 2^63-1": (b"\x81\xff" + (2**63 - 1).to_bytes(8, "big") + bytes(4), 1009),
    "a length of 2^64-1": (b"\x81\xff" + (2**64 - 1).to_bytes(8, "big") + bytes(4), 1009),
    "a ping that promises 2^40 bytes": (b"\x89\xff" + (2**40).to_bytes(8, "big") + bytes(4), 1009),
    "RSV2 and RSV3": (frame(TEXT, BEAT, rsv=3), 1002),
    "RSV1 on a ping": (frame(PING, b"", rsv=4), 1002),
    "two lone header bytes of an unmasked frame": (b"\x81\x05", 1002),
    "a broken frame behind a good one": (frame(PONG, b"") + frame(BINARY, b"x") + frame(TEXT, BEAT), 1003),
    "a close with one byte": (frame(CLOSE, b"x"), 1002),
    "a close with a code nobody may send": (frame(CLOSE, (1006).to_bytes(2, "big")), 1002),
    "a close with code 1000": (frame(CLOSE, (1000).to_bytes(2, "big")), 1000),
    "a close without a code": (frame(CLOSE, b""), 1005),
}


REASONS = {
    1002: ("protocol",),
    1003: ("binary",),
    1007: ("not_utf8",),
    1008: ("fragments",),
    1009: ("too_big",),
}


@pytest.mark.parametrize(("sent", "code"), BROKEN.values(), ids=BROKEN)
async def test_what_no_websocket_may_carry_is_closed_with_its_code(
    narrow: Gateway, identity: str, facts: Facts, sent: bytes, code: int
) -> None:
    """Close with that code; if the charger is at fault, a reject fact with the reason of the disconnect."""
    async with raw(narrow, identity) as charger:
        charger.writer.write(sent)
        got = await close_code(charger.reader)
        assert got == (0 if code == 1005 else code)
        assert await charger.reader.read() == b""
    down = await facts.link("down")
    rejects = [fact for fact in facts.seen if not fact.subject.startswith("ocpp.link.")]
    if code in (1000, 1005):
        assert (down["reason"], rejects) == ("client", [])
        return
    (reject,) = rejects
    assert reject.subject.startswith("ocpp.reject.v16.")
    assert down["reason"] in REASONS[code]
    assert reject.headers["ocpp-error-reason"].strip().startswith(f"{down['reason']}: ")
    assert len(reject.data) <= 4096


WHOLE = {
    "exactly max_message_bytes": frame(TEXT, padded(BIG)),
    "exactly 1,000 fragments": fragments(*[b""] * 999, BEAT),
    "two fragments": fragments(BEAT[:7], BEAT[7:]),
    "a fragment for each byte": fragments(*(bytes([byte]) for byte in BEAT)),
    "an empty first and last fragment": fragments(b"", BEAT, b""),
    "a length in its longest form": frame(TEXT, padded(BIG)),
}


@pytest.mark.parametrize("sent", WHOLE.values(), ids=WHOLE)
async def test_a_message_in_any_pieces_is_a_message(narrow: Gateway, identity: str, sent: bytes) -> None:
    async with raw(narrow, identity) as charger:
        charger.writer.write(sent)
        first, payload = await read_frame(charger.reader)
        assert (first, payload[:7]) == (0x81, b'[3,"1",')


@pytest.mark.parametrize("chunk", [1, 3, 7])
async def test_frames_may_arrive_in_any_chunks(house: Gateway, identity: str, chunk: int) -> None:
    stream = (
        frame(TEXT, BEAT) + frame(PING, b"p") + fragments(b'[2,"2","Heart', b'beat",{}]') + frame(PONG, b"")
    )
    async with raw(house, identity) as charger:
        for start in range(0, len(stream), chunk):
            charger.writer.write(stream[start : start + chunk])
            await charger.writer.drain()
        heard = [await read_frame(charger.reader) for _ in range(3)]
        answers = [payload[:7] for first, payload in heard if first == 0x81]
        assert answers == [b'[3,"1",', b'[3,"2",']
        assert (0x80 | PONG, b"p") in heard


async def test_control_frames_between_fragments_are_served_at_once(house: Gateway, identity: str) -> None:
    async with raw(house, identity) as charger:
        charger.writer.write(frame(TEXT, BEAT[:9], fin=False) + frame(PING, b"now"))
        assert await read_frame(charger.reader) == (0x80 | PONG, b"now")
        charger.writer.write(frame(PONG, b"unasked") + frame(CONT, BEAT[9:]))
        assert (await read_frame(charger.reader))[1][:7] == b'[3,"1",'


async def test_nothing_behind_a_close_frame_is_looked_at(house: Gateway, identity: str, facts: Facts) -> None:
    async with raw(house, identity) as charger:
        charger.writer.write(frame(CLOSE, (1000).to_bytes(2, "big")) + frame(TEXT, BEAT))
        assert await close_code(charger.reader) == 1000
    await facts.link("down")
    assert facts.about("Heartbeat") == []


# -- compression (docs/ocpp.md A4) ---------------------------------------------------------------------------

OFFER = {"Sec_WebSocket_Extensions": "permessage-deflate; client_max_window_bits"}


def deflated(payload: bytes, bits: int = -11) -> bytes:
    squeeze = zlib.compressobj(wbits=bits)
    return (squeeze.compress(payload) + squeeze.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")


@pytest.mark.parametrize("protocol", SUBPROTOCOL.values())
async def test_compression_is_agreed_in_every_version(narrow: Gateway, identity: str, protocol: str) -> None:
    """Without context takeover: nothing is kept per charger; answers come uncompressed (docs/ocpp.md D)."""
    async with raw(narrow, identity, protocol, **OFFER) as charger:
        agreed = charger.headers["sec-websocket-extensions"]
        for word in ("permessage-deflate", "server_no_context_takeover", "client_no_context_takeover"):
            assert word in agreed
        for number in b"12":
            beat = BEAT.replace(b"1", bytes([number]))
            charger.writer.write(frame(TEXT, deflated(beat), rsv=4))
            first, payload = await read_frame(charger.reader)
            assert (first, payload[:7]) == (0x81, b'[3,"%c",' % number)
        charger.writer.write(frame(TEXT, BEAT))  # RFC 7692 6: a message may stay as it is
        assert (await read_frame(charger.reader))[1][:7] == b'[3,"1",'


async def test_compressed_messages_inflate_one_by_one_as_they_are_served(
    house: Gateway, identity: str
) -> None:
    """A kilobyte may hold a megabyte: what is behind ``open_calls`` stays as small as it came."""
    big = b'[2,"%d","DataTransfer",{"vendorId":"x","data":"' + b"y" * 500_000 + b'"}]'
    before = house.metric("voltgate_reads_paused_total", bound="open_calls")
    async with raw(house, identity, **OFFER) as charger:
        charger.writer.write(b"".join(frame(TEXT, deflated(big % n), rsv=4) for n in range(60)))
        held = house.worker._shared.buffered
        await until(lambda: house.metric("voltgate_reads_paused_total", bound="open_calls") > before)
        await until(lambda: held.total > 8 * 500_000)
        assert held.total < 9 * 500_000 + 60 * 2000
    await until(lambda: held.total == 0)


OFFERS = {
    "plain": ("permessage-deflate", -15),
    "bits for us": ("permessage-deflate; server_max_window_bits=9", -15),
    "bits for both": ("permessage-deflate; server_max_window_bits=15; client_max_window_bits=15", -11),
    "small bits of its own": ("permessage-deflate; client_max_window_bits=9", -9),
    "the older name first": ("x-webkit-deflate-frame, permessage-deflate; client_max_window_bits", -11),
    "something else": ("x-unknown; a=b", 0),
    "bits out of range": ("permessage-deflate; client_max_window_bits=99", 0),
    "a parameter nobody knows": ("permessage-deflate; turbo", 0),
}


@pytest.mark.parametrize(("offer", "bits"), OFFERS.values(), ids=OFFERS)
async def test_any_offer_of_compression_gets_a_conversation(
    house: Gateway, identity: str, offer: str, bits: int
) -> None:
    """What cannot be agreed is left out; no charger is refused for it (docs/ocpp.md A4)."""
    async with raw(house, identity, Sec_WebSocket_Extensions=offer) as charger:
        agreed = "permessage-deflate" in charger.headers.get("sec-websocket-extensions", "")
        assert agreed == bool(bits)
        sent = frame(TEXT, deflated(BEAT, bits), rsv=4) if bits else frame(TEXT, BEAT)
        for _ in range(2):
            charger.writer.write(sent)
            first, payload = await read_frame(charger.reader)
            assert (first, payload[:7]) == (0x81, b'[3,"1",')


@pytest.mark.parametrize("seed", range(30))
async def test_any_mixture_of_frames_in_any_chunks(fast_lane: Gateway, identity: str, seed: int) -> None:
    """Plain, masked, compressed and fragmented, with control frames between: all answered, in order."""
    dice = random.Random(seed)
    stream, pings = bytearray(), 0
    for number in range(60):
        beat = b'[2,"%d","Heartbeat",{%s}]' % (number, b" " * dice.choice([0, 0, 0, 90, 300, 70_000]))
        rsv = dice.choice([0, 0, 4])
        body = deflated(beat) if rsv else beat
        cuts = sorted(dice.randrange(len(body) + 1) for _ in range(dice.choice([0, 0, 1, 3])))
        parts = [body[i:j] for i, j in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        for place, part in enumerate(parts):
            opcode, last = (CONT if place else TEXT), place == len(parts) - 1
            stream += masked(frame(opcode, part, fin=last, rsv=0 if place else rsv), dice.randbytes(4))
            if dice.random() < 0.2:
                pings += 1
                stream += masked(frame(PING, b"%d" % pings), dice.randbytes(4))
    pings += 1
    stream += masked(frame(PING, b"%d" % pings), dice.randbytes(4))
    async with raw(fast_lane, identity, **OFFER) as charger:

        async def write() -> None:
            while stream:
                size = dice.choice([1, 2, 5, 14, 100, 4000, 100_000])
                charger.writer.write(bytes(stream[:size]))
                del stream[:size]
                await charger.writer.drain()

        writing = asyncio.ensure_future(write())
        heard = [await read_frame(charger.reader)]
        while heard[-1] != (0x80 | PONG, b"%d" % pings):
            heard.append(await read_frame(charger.reader))
        await writing
    answers = [payload.split(b'"')[1] for first, payload in heard if first == 0x81]
    assert answers == [b"%d" % number for number in range(60)]
    pongs = [payload for first, payload in heard if first == 0x80 | PONG]
    assert [int(pong) for pong in pongs] == sorted({int(pong) for pong in pongs}), "one for several of a turn"


def masked(plain: bytes, mask: bytes) -> bytes:
    """The frame with another mask than zeros."""
    start = {126: 4, 127: 10}.get(plain[1] & 0x7F, 2)
    payload = plain[start + 4 :]
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    mixed = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(len(payload), "big")
    return plain[:start] + mask + mixed


BLANKS = deflated(b" " * 60_000_000)
NOISE = deflated(random.Random(1).randbytes(2 * BIG))
BOMBS = {
    "RSV1 on a continuation": (frame(TEXT, b"[", fin=False) + frame(CONT, b"]", rsv=4), 1002),
    "RSV1 on a ping": (frame(PING, b"", rsv=4), 1002),
    "a frame too big before it is inflated": (frame(TEXT, b"\0" * (BIG + 1), rsv=4), 1009),
    "fragments too big before they are inflated": (
        frame(TEXT, NOISE[:BIG], fin=False, rsv=4) + frame(CONT, NOISE[BIG:]),
        1009,
    ),
    "60 MB of blanks": (frame(TEXT, BLANKS, rsv=4), 1009),
    "one byte more than max_message_bytes": (frame(TEXT, deflated(padded(BIG + 1)), rsv=4), 1009),
    "invalid UTF-8 inside": (frame(TEXT, deflated(b'[2,"\xff"]'), rsv=4), 1007),
    "no deflate data at all": (frame(TEXT, b"\xff\xff\xff\xff", rsv=4), 1002),
    "a bomb in fragments": (
        frame(TEXT, BLANKS[:30_000], fin=False, rsv=4) + frame(CONT, BLANKS[30_000:]),
        1009,
    ),
}


@pytest.mark.parametrize(("sent", "code"), BOMBS.values(), ids=BOMBS)
async def test_sizes_count_after_inflating(narrow: Gateway, identity: str, sent: bytes, code: int) -> None:
    async with raw(narrow, identity, **OFFER) as charger:
        charger.writer.write(sent)
        assert await close_code(charger.reader) == code


async def test_a_fragmented_compressed_message(house: Gateway, identity: str) -> None:
    data = deflated(padded(3000))
    async with raw(house, identity, **OFFER) as charger:
        charger.writer.write(frame(TEXT, data[:9], fin=False, rsv=4) + frame(PING, b""))
        assert await read_frame(charger.reader) == (0x80 | PONG, b"")
        charger.writer.write(frame(CONT, data[9:]))
        assert (await read_frame(charger.reader))[1][:7] == b'[3,"1",'


# -- bounds ---------------------------------------------------------------------------------------------


async def test_beyond_max_buffered_bytes_the_largest_is_closed(slow_lane: Gateway, identity: str) -> None:
    """Three unfinished messages, 1.1 MB together: the one of 450 kB goes with 1009, the others are served."""
    async with (
        raw(slow_lane, identity + "a") as first,
        raw(slow_lane, identity + "b") as largest,
        raw(slow_lane, identity + "c") as last,
    ):
        first.writer.write(frame(TEXT, padded(400_000))[:300_000])
        largest.writer.write(frame(TEXT, b" " * 450_000, fin=False))
        last.writer.write(frame(TEXT, padded(500_000))[:350_000])
        assert await close_code(largest.reader) == 1009
        for charger, size, sent in ((first, 400_000, 300_000), (last, 500_000, 350_000)):
            charger.writer.write(frame(TEXT, padded(size))[sent:])
            assert (await read_frame(charger.reader))[1][:7] == b'[3,"1",'
    await until(lambda: slow_lane.worker._shared.buffered.total == 0)


async def test_calls_per_second_slows_and_drops_nothing(slow_lane: Gateway, identity: str) -> None:
    """10 at once, then 20 a second: 40 CALLs take a second and a half, and each is answered in order."""
    async with dial(slow_lane.port, identity) as charger:
        began = time.monotonic()
        for number in range(40):
            assert (await charger.ask(f'[2,"{number}","Heartbeat",{{}}]')).startswith(f'[3,"{number}",')
        assert 1.2 < time.monotonic() - began < 8
    assert slow_lane.metric("voltgate_reads_paused_total", bound="calls_per_second") > 0


async def test_beyond_open_calls_the_socket_is_not_read(
    house: Gateway, identity: str, facts: Facts, backend: Callable[..., Awaitable[Backend]]
) -> None:
    """With 8 CALLs unanswered not even a ping is read; then all are answered in order, one by one."""
    withheld: list[Msg] = []

    async def withhold(message: Msg) -> None:
        withheld.append(message)

    asked = await backend(Authorize=withhold)
    before = house.metric("voltgate_reads_paused_total", bound="open_calls")
    async with raw(house, identity) as charger:
        for number in range(8):
            charger.writer.write(frame(TEXT, b'[2,"%d","Authorize",{"idTag":"%d"}]' % (number, number)))
        await until(lambda: house.metric("voltgate_reads_paused_total", bound="open_calls") == before + 1)
        charger.writer.write(frame(PING, b"late"))
        await until(lambda: withheld)
        heard: list[tuple[int, bytes]] = []
        while len(heard) < 9:
            if withheld:
                assert len(withheld) == 1
                await withheld.pop().respond(b'{"idTagInfo":{"status":"Blocked"}}')
            heard.append(await read_frame(charger.reader))
            if len(asked.questions) < 8:
                await until(lambda: withheld)
    answers = [payload for first, payload in heard if first == 0x81]
    assert answers == [b'[3,"%d",{"idTagInfo":{"status":"Blocked"}}]' % number for number in range(8)]
    assert heard.index((0x80 | PONG, b"late")) > 0
    assert [question.data for question in asked.questions] == [b'{"idTag":"%d"}' % n for n in range(8)]
    assert [
        fact.data for fact in await facts.stored("EVENTS", f"ocpp.event.v16.Authorize.{facts.token}")
    ] == [b'{"idTag":"%d"}' % number for number in range(8)]


async def test_a_silent_charger_is_pinged_and_then_given_up(
    narrow: Gateway, identity: str, facts: Facts
) -> None:
    """No frame for ping_interval + ping_timeout (0.8 s here): closed, reason ``silent``."""
    async with raw(narrow, identity) as charger:
        began = time.monotonic()
        assert (await read_frame(charger.reader))[0] == 0x80 | PING
        assert await close_code(charger.reader) == 1006
        assert 0.7 < time.monotonic() - began + 0.05 < 3
    assert (await facts.link("down"))["reason"] == "silent"


async def test_a_charger_that_does_not_read_is_dropped(
    fast_lane: Gateway, identity: str, facts: Facts, backend: Callable[..., Awaitable[Backend]]
) -> None:
    """Beyond max_unread_bytes of answers (and what the kernel takes) it goes, reason ``slow_reader``."""
    await backend(DataTransfer=b'{"status":"Accepted","data":"%s"}' % (b"x" * 60_000))
    async with raw(fast_lane, identity) as charger:
        for number in range(400):
            charger.writer.write(frame(TEXT, b'[2,"%d","DataTransfer",{"vendorId":"v"}]' % number))
        assert (await facts.link("down"))["reason"] == "slow_reader"
    assert 0 < len(facts.about(".DataTransferResponse.")) < 400


# -- SIGHUP on live connections -------------------------------------------------------------------------


async def test_new_limits_reach_a_live_connection(
    nats_server: NatsServer, identity: str, facts: Facts
) -> None:
    """Pings, buffered bytes and handshakes at once; ``max_message_bytes`` with the next connection."""
    before = {"ping_interval": 3600.0, "max_message_bytes": 524_288}
    after = {
        "ping_interval": 0.4, "ping_timeout": 30.0, "max_message_bytes": BIG, "max_buffered_bytes": 1 << 20,
        "handshakes_per_second": 0.01,
    }  # fmt: skip
    settings = config(nats_server, limits=before)
    async with (
        own_gateway(settings) as running,
        raw(running, identity) as live,
        raw(running, identity + "b") as second,
        raw(running, identity + "c") as third,
    ):

        async def reload() -> None:
            running.worker.reload(config(nats_server, limits=before | after))

        await facts.link("up")
        await asyncio.to_thread(running.call, reload)
        assert await read_frame(live.reader) == (0x80 | PING, b"")
        live.writer.write(frame(TEXT, padded(2 * BIG)))
        while (answer := await read_frame(live.reader))[0] == 0x80 | PING:
            live.writer.write(frame(PONG, b""))
        assert answer[1][:7] == b'[3,"1",', "the connection keeps the max_message_bytes it began with"
        statuses = set()
        for number in range(3):
            async with knock(running.port, request(f"/storm{number}")) as refused:
                statuses.add(refused.status)
        assert 503 in statuses
        for charger, size in ((live, 520_000), (second, 500_000), (third, 100_000)):
            charger.writer.write(frame(TEXT, padded(size))[:-9])
        assert await close_code(live.reader) == 1009
    assert (await facts.link("down"))["reason"] == "buffer_full"


GARBAGE = [b"pong", b"[", b'{"a":', b'[2,"x","Nope",{}]', b"\x00", b'[2,"x"]', b"[" * 500, b'[3,"1",{}]']

# -- floods -----------------------------------------------------------------------------------------------


async def test_500_heartbeats_in_one_chunk(fast_lane: Gateway, identity: str) -> None:
    """All are answered, in order."""
    async with raw(fast_lane, identity) as charger:
        charger.writer.write(b"".join(frame(TEXT, b'[2,"%d","Heartbeat",{}]' % n) for n in range(500)))
        for number in range(500):
            _, payload = await read_frame(charger.reader)
            assert payload.startswith(b'[3,"%d",' % number)


async def test_10_000_garbage_frames_harm_nobody(fast_lane: Gateway, identity: str, facts: Facts) -> None:
    """Each is refused, ten are stored, the others counted; a neighbour is served; memory stays flat."""
    before = psutil.Process().memory_info().rss
    counted = ("voltgate_rejects_unstored_total", "voltgate_duplicates_total")
    unstored = sum(map(fast_lane.metric, counted))
    async with raw(fast_lane, identity) as rude, dial(fast_lane.port, identity + "b", "v201") as polite:

        async def flood() -> None:
            for number in range(10_000):
                rude.writer.write(frame(TEXT, GARBAGE[number % len(GARBAGE)]))
                await rude.writer.drain()
            rude.writer.write(frame(TEXT, BEAT))

        async def listen() -> None:
            while not (await read_frame(rude.reader))[1].startswith(b'[3,"1",'):
                pass

        lots = asyncio.gather(flood(), listen())
        while not lots.done():
            assert (await polite.ask('[2,"1","Heartbeat",{}]')).startswith("[3")
        await lots
    await facts.link("down")
    assert len(await facts.stored("REJECTS")) == 10
    # Two of the frames have the same id: while one is open the other is the same CALL.
    assert sum(map(fast_lane.metric, counted)) == unstored + 9_990
    assert psutil.Process().memory_info().rss - before < 30_000_000


async def test_half_open_sockets_keep_nobody_out(house: Gateway, identity: str) -> None:
    """Two hundred sockets that begin a head and stop."""
    pairs = [await asyncio.open_connection("127.0.0.1", house.port) for _ in range(200)]
    try:
        for _, writer in pairs:
            writer.write(b"GET /x HTTP/1.1\r\n")
        async with dial(house.port, identity) as charger:
            assert (await charger.ask('[2,"1","Heartbeat",{}]')).startswith("[3")
    finally:
        for _, writer in pairs:
            writer.transport.abort()
