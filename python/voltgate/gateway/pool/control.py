"""The socket between the supervisor and one worker: a JSON array ``[word, content]`` a line.

The end of the stream means that the other process has ended, for whatever reason; no other check is needed.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

BEAT = 1.0  # seconds between a worker's beats, and between the supervisor's checks

# A line with all series of a worker has some hundred kilobytes.
_MAX_LINE = 16 << 20


class Word(StrEnum):
    """The kind of a line. Both processes run the same release."""

    HELLO = "hello"  # supervisor, first line: Hello
    LEAVE = "leave"  # supervisor: drain; the second one: exit immediately
    RELOAD = "reload"  # supervisor: the new ``reload.settings``, and Hello.tickets
    RELOAD_FAILED = "reload_failed"  # supervisor: the configuration was refused
    METRICS = "metrics"  # supervisor: the request; worker: the answer, ``merged.portable``
    ACCEPT = "accept"  # supervisor: the numbers of the sets of sockets to accept on
    BEAT = "beat"  # worker: Beat


@dataclass(frozen=True, slots=True)
class Hello:
    """A worker's number, and what is the same for all workers: ports, descriptors (``listening.Place``), and
    ``reload.settings`` in force.

    ``tickets``: the secret of session tickets, in hex. ``reload_failed``: a later configuration was refused.
    """

    worker: int
    ports: list[int]
    sets: list[list[list[int]]]
    settings: dict[str, Any]
    tickets: str
    reload_failed: bool = False


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat. ``checks``: ``Worker.checks()``; ``open``: whether the listeners are open; ``full``:
    whether ``limits.max_connections`` is reached.
    """

    checks: dict[str, str]
    open: bool
    full: bool = False


class Line:
    """One end of the socket. Made by :func:`line`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, word: Word, content: object = None) -> None:
        """Send a line; ignored after the other process has ended."""
        if not self._writer.is_closing():
            self._writer.write(orjson.dumps([word, content]) + b"\n")

    async def hello(self) -> Hello | None:
        """The supervisor's first line; None if the supervisor has ended."""
        async for _, content in self.lines():
            return Hello(**content)
        return None

    async def lines(self) -> AsyncIterator[tuple[Word, Any]]:
        """Received lines, until the other process ends."""
        with suppress(ConnectionError):
            while (text := await self._reader.readline()).endswith(b"\n"):  # else cut off in the middle
                word, content = orjson.loads(text)
                yield Word(word), content

    async def drained(self) -> None:
        """Wait while the other process does not read, so that lines for a frozen process do not pile up."""
        with suppress(ConnectionError):
            await self._writer.drain()

    def close(self) -> None:
        """End the stream."""
        self._writer.close()


async def line(sock: socket.socket) -> Line:
    """A line over ``sock``."""
    return Line(*await asyncio.open_unix_connection(sock=sock, limit=_MAX_LINE))
