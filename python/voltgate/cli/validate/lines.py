"""Lines of bounded size, and the OCPP frame in a line of a charger's log.

Frames are found behind a prefix (a time, a level, a direction), in a member of a JSON object, as an array or
as a string, and in a string with escapes. Everything is linear in the size of the line, which may be hostile.
"""

import re
from collections.abc import Iterator
from typing import IO

import orjson

MAX_LINE = 1 << 20
"""Bytes of a line that are kept: twice as many as a gateway takes of a charger by default."""

_BEGIN = re.compile(rb'\[\s*[2-6]\s*,\s*\\?"')
_PART = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
_STRING_END = re.compile(rb'(?:[^"\\]|\\.)*+', re.DOTALL)


def bounded(file: IO[bytes]) -> Iterator[bytes]:
    """Its lines; of one that is longer, the first MAX_LINE bytes and one more."""
    while line := file.readline(MAX_LINE + 1):
        rest = line
        while len(rest) > MAX_LINE and not rest.endswith(b"\n"):
            rest = file.readline(MAX_LINE + 1)
        yield line


def is_cut(line: bytes) -> bool:
    """Whether the line was longer than MAX_LINE."""
    return len(line) > MAX_LINE and not line.endswith(b"\n")


def frame_in(line: bytes) -> bytes | None:
    """The first frame in a line of a log, as its bytes stand there; None if there is none."""
    begin = _BEGIN.search(line)
    if begin is None:
        return None
    if b"\\" in begin[0]:
        return _unescaped(line, begin.start())
    return line[begin.start() : _end(line, begin.start())]


def _end(line: bytes, start: int) -> int:
    """Behind the bracket that closes the one at ``start``; the end of the line if none does."""
    depth = 0
    for part in _PART.finditer(line, start):
        match part[0]:
            case b"[" | b"{":
                depth += 1
            case b"]" | b"}":
                depth -= 1
                if depth <= 0:
                    return part.end()
    return len(line)


def _unescaped(line: bytes, start: int) -> bytes | None:
    """The frame that begins at ``start`` within a string of JSON."""
    end = _STRING_END.match(line, start)
    assert end is not None, "it matches an empty text too"
    try:
        text: str = orjson.loads(b'"%s"' % end[0])
    except orjson.JSONDecodeError:
        return None
    frame = text.encode(errors="replace")
    return frame[: _end(frame, 0)]
