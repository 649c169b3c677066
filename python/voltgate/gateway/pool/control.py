"""The socket between the supervisor and one worker: JSON objects, one a line, and its end.

A worker says ``beat`` (its readiness checks, whether its doors are open) and, when asked, ``metrics``. The
supervisor says ``hello`` first, then ``leave``, ``limits``, ``metrics``. That the other side is gone, however
it went, is the end of the stream: nothing else needs to be watched.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

BEAT = 1.0  # seconds between a worker's beats, and between the supervisor's looks at them

# All series of a worker in one line are some hundred kilobytes.
_MAX_LINE = 16 << 20


@dataclass(frozen=True, slots=True)
class Hello:
    """What a worker must know besides its configuration: which one it is, and what was settled for all."""

    worker: int
    ports: list[int]
    limits: dict[str, Any]


class Line:
    """One end of the socket. Made by :func:`line`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def say(self, what: str, content: Any = None) -> None:
        """Send; nothing happens when the other side is gone."""
        if not self._writer.is_closing():
            self._writer.write(orjson.dumps([what, content]) + b"\n")

    async def greeting(self) -> Hello | None:
        """What the supervisor says first; None when it is gone."""
        async for _, content in self.hear():
            return Hello(**content)
        return None

    async def hear(self) -> AsyncIterator[tuple[str, Any]]:
        """What the other side says, until it is gone."""
        with suppress(ConnectionError):
            while (text := await self._reader.readline()).endswith(b"\n"):  # else cut off in the middle
                what, content = orjson.loads(text)
                yield what, content

    async def heard(self) -> None:
        """Wait while the other side does not read: it may be frozen, and nothing shall pile up here."""
        with suppress(ConnectionError):
            await self._writer.drain()

    def close(self) -> None:
        """The other side sees the end."""
        self._writer.close()


async def line(sock: socket.socket) -> Line:
    """The end of which ``sock`` is the socket."""
    return Line(*await asyncio.open_unix_connection(sock=sock, limit=_MAX_LINE))
