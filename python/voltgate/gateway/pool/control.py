"""The socket between the supervisor and one worker: a JSON array ``[word, content]`` a line.

The end of the stream means that the other process is gone, however it went; nothing else needs to be watched.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

BEAT = 1.0  # seconds between a worker's beats, and between the supervisor's looks at them

# All series of a worker in one line are some hundred kilobytes.
_MAX_LINE = 16 << 20


class Word(StrEnum):
    """What a line is about. Both processes are of one release, so both know all of them."""

    HELLO = "hello"  # supervisor, first of all: Hello
    LEAVE = "leave"  # supervisor: drain; a second time: leave at once
    LIMITS = "limits"  # supervisor: the new limits
    METRICS = "metrics"  # supervisor: send them; worker: ``merged.portable``
    BEAT = "beat"  # worker: Beat


@dataclass(frozen=True, slots=True)
class Hello:
    """What a worker must know besides its configuration: its number, and what is the same for all workers."""

    worker: int
    ports: list[int]
    limits: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life. ``checks``: ``Worker.checks()``; ``open``: whether the listeners are open."""

    checks: dict[str, str]
    open: bool


class Line:
    """One end of the socket. Made by :func:`line`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, word: Word, content: object = None) -> None:
        """Send a line; does nothing when the other side is gone."""
        if not self._writer.is_closing():
            self._writer.write(orjson.dumps([word, content]) + b"\n")

    async def hello(self) -> Hello | None:
        """The supervisor's first line; None when the supervisor is gone."""
        async for _, content in self.lines():
            return Hello(**content)
        return None

    async def lines(self) -> AsyncIterator[tuple[Word, Any]]:
        """The lines of the other side, until it is gone."""
        with suppress(ConnectionError):
            while (text := await self._reader.readline()).endswith(b"\n"):  # else cut off in the middle
                word, content = orjson.loads(text)
                yield Word(word), content

    async def drained(self) -> None:
        """Wait while the other side does not read: a frozen process must not let lines pile up here."""
        with suppress(ConnectionError):
            await self._writer.drain()

    def close(self) -> None:
        """End the stream."""
        self._writer.close()


async def line(sock: socket.socket) -> Line:
    """The end of the line that ``sock`` is."""
    return Line(*await asyncio.open_unix_connection(sock=sock, limit=_MAX_LINE))
