"""One websocket of a charger against a server that sends anything, and reasons of failed connects."""

import asyncio
import random
import ssl
from base64 import b64encode
from hashlib import sha1
from typing import Any

import pytest
import uvloop

from listening import listening
from scripted_csms import QUICK, new, wait_until
from voltgate.charger.wire import why

KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PIECES: list[bytes] = [
    b"\x88\x02\x03\xe8",  # Close 1000
    b"\x88\x00",
    b"\x89\x00",  # ping
    b"\x8a\x00",  # pong
    b"\x81\x13" + b'[2,"1","Reset",{}]]',
    b"\x81\x24" + b'[2,"1","ClearCache",{}]'.ljust(36),
    b"\x01\x01[",  # a fragment
    b"\x80\x01]",
    b"\x82\x01\x00",  # binary
    b"\x81\x7f\xff",  # half a header
    b"\xff\xff\xff",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
]


async def anything(rng: random.Random, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An upgrade, mostly, and then some pieces, partly in the same segment; then an end of either kind."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        accept = b64encode(sha1(fields[b"Sec-WebSocket-Key"] + KEY).digest())
        parts = [
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Protocol: ocpp1.6\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        ]
        if rng.random() < 0.2:
            parts = [rng.choice(PIECES)]
        parts += rng.choices(PIECES, k=rng.randrange(5))
        for part in parts:
            writer.write(part)
            if rng.random() < 0.5:
                await writer.drain()
                await asyncio.sleep(0)
        if rng.random() < 0.5:
            writer.transport.abort()
        else:
            writer.close()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.transport.abort()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_whatever_the_server_sends_no_exception_escapes_and_the_charger_redials(loop: Any) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(conversations())


async def conversations() -> None:
    rng, faults, dials = random.Random(3), list[dict[str, Any]](), 0
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal dials
        dials += 1
        await anything(rng, reader, writer)

    async with listening(served) as port:
        url = f"ws://127.0.0.1:{port}/"
        chargers = [new(url, "v16", QUICK, identity=f"CP {number}") for number in range(20)]
        for charger in chargers:
            charger.start()
        await wait_until(lambda: dials > 400)
        await asyncio.gather(*(charger.stop() for charger in chargers))
    assert faults == []


REASONS: list[tuple[Exception, str]] = [
    (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
    (ConnectionResetError(), "ConnectionResetError"),
    (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "TLS: [ssl: wrong version"),
    (ssl.SSLError(), "TLS: the handshake failed"),
    (ValueError("a bad host"), "a bad host"),
]


@pytest.mark.parametrize(("error", "words"), REASONS)
def test_a_failed_connect_always_has_a_reason(error: Exception, words: str) -> None:
    assert why(error).startswith(words)
