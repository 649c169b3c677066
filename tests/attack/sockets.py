"""A websocket client of raw frames and any upgrade request, from any loopback address."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from attack.driver import SOURCE
from frames import FIN, PING, PONG, TEXT, frame

ENDED = (OSError, EOFError)  # what a socket raises where the gateway ends the connection
PATIENCE = 20.0  # seconds for an answer that must come
CLOSE = 8


class RefusedError(Exception):
    """The upgrade was refused."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def request(identity: str, password: str | None = None, extra: str = "") -> bytes:
    """An upgrade request; ``extra`` are further header lines."""
    login = ""
    if password is not None:
        token = base64.b64encode(f"{identity}:{password}".encode()).decode()
        login = f"Authorization: Basic {token}\r\n"
    return (
        f"GET /ocpp/{quote(identity, safe='')} HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n{login}{extra}\r\n"
    ).encode()


DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate\r\n"


class Socket:
    """One TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        """Return when the system has taken nearly all of it."""
        self.writer.write(data)
        await self.writer.drain()

    async def status(self) -> int:
        """Of the HTTP answer, its head and body read; 0 where the connection ends without one."""
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except ENDED:
            return 0
        return int(head.split(" ", 2)[1]) if head.startswith("HTTP/1.1 ") else 0

    async def hear(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload. Raises what is in ENDED."""
        first, length = await self.reader.readexactly(2)
        if length == 126:
            length = int.from_bytes(await self.reader.readexactly(2), "big")
        elif length == 127:
            length = int.from_bytes(await self.reader.readexactly(8), "big")
        return first & 0x0F, await self.reader.readexactly(length)

    async def message(self) -> Any:
        """The next OCPP message; pings are answered. Raises what is in ENDED, also after a Close."""
        while True:
            opcode, payload = await self.hear()
            if opcode == PING:
                await self.send(frame(FIN | PONG, payload))
            elif opcode == CLOSE:
                raise EOFError(int.from_bytes(payload[:2], "big"))
            elif opcode == TEXT:
                return json.loads(payload)

    async def ask(self, number: str, action: str, payload: str) -> Any:
        """A CALL and the answer to it. Raises TimeoutError, and what is in ENDED."""
        await self.send(text(f'[2,"{number}","{action}",{payload}]'))
        async with asyncio.timeout(PATIENCE):
            while True:
                message = await self.message()
                if message[0] in (3, 4) and message[1] == number:
                    return message

    async def discard(self) -> None:
        """Read and ignore until the connection ends."""
        try:
            while await self.reader.read(1 << 18):
                pass
        except OSError:
            pass

    async def serve(self) -> None:
        """Answer pings until the connection ends."""
        try:
            while True:
                await self.message()
        except ENDED:
            pass


def text(message: str | bytes) -> bytes:
    """A text message as one masked frame."""
    return frame(FIN | TEXT, message.encode() if isinstance(message, str) else message)


@asynccontextmanager
async def tcp(
    port: int, source: str = SOURCE, secured: ssl.SSLContext | None = None
) -> AsyncIterator[Socket]:
    """A connection, reset at the end; ``secured``: with a full TLS handshake. Raises OSError."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1",
        port,
        local_addr=(source, 0),
        limit=1 << 20,
        ssl=secured,
        server_hostname="localhost" if secured else None,
    )
    try:
        yield Socket(reader, writer)
    finally:
        writer.transport.abort()


@asynccontextmanager
async def dial(
    port: int,
    identity: str,
    password: str | None = None,
    *,
    source: str = SOURCE,
    extra: str = "",
    secured: ssl.SSLContext | None = None,
) -> AsyncIterator[Socket]:
    """An upgraded connection. Raises RefusedError, OSError."""
    async with tcp(port, source, secured) as socket:
        await socket.send(request(identity, password, extra))
        async with asyncio.timeout(PATIENCE):
            status = await socket.status()
        if status != 101:
            raise RefusedError(status)
        yield socket
