"""Streams of websocket frames made by dice: what chargers send, and what breaks a rule, cut anywhere.

Spelled without websockets' own writer, which refuses most of it. Knows nothing of the slicer.
"""

import random
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from websockets.utils import apply_mask

FIN, RSV1, RSV2, RSV3, MASK = 0x80, 0x40, 0x20, 0x10, 0x80
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

MESSAGES = [
    b'[2,"1","Heartbeat",{}]',
    b'[3,"19223201",{"status":"Accepted"}]',
    '[2,"ü","StatusNotification",{"connectorId":1,"info":"Störung ☢"}]'.encode(),
    b"",
    b"\xff\xfe no text",
    b"[" * 40,
]
LIMITS = [0, 60, 125, 126, 127, 300, 700, 700, 700, 700]
# No takeover of the context from message to message, and bits of the window.
DEFLATES = [None, None, None, (True, 11), (True, 9), (False, 9)]


def frame(
    first: int, data: bytes = b"", *, mask: int = MASK, form: int = 0, claim: int | None = None
) -> bytes:
    """A frame; ``form`` 126 or 127 spells the length longer than it needs be, ``claim`` says another one."""
    length = len(data) if claim is None else claim
    if form == 127 or length > 0xFFFF:
        head = struct.pack("!BBQ", first, mask | 127, length)
    elif form == 126 or length > 125:
        head = struct.pack("!BBH", first, mask | 126, length)
    else:
        head = bytes((first, mask | length))
    if not mask:
        return head + data
    key = (length * 2654435761 + 0x5A17C3E1 & 0xFFFFFFFF).to_bytes(4, "big")
    return head + key + apply_mask(data, key)


class Stream:
    """One stream: ``limit`` bytes a message, ``deflate`` as negotiated.

    Some are lawful throughout, so that they get far; the others break a rule now and then.
    """

    def __init__(self, dice: random.Random) -> None:
        self.dice, self.random = dice, dice.random
        self.limit = 70_000 if self.random() < 0.003 else self.one_of(LIMITS)
        self.deflate = self.one_of(DEFLATES)
        self.lawless = 0.1 if self.random() < 0.6 else 0.0
        self.press: zlib._Compress | None = None

    def one_of(self, choices: Sequence[Any]) -> Any:
        return choices[int(self.random() * len(choices))]

    def data(self) -> bytes:
        dice = self.random()
        if dice < 0.6:
            data = MESSAGES[int(dice * 10)]
        elif dice < 0.9:
            data = self.dice.randbytes(int(self.random() * 40))
        elif self.limit > 1000:
            data = bytes(65_530 + int(self.random() * 12))
        else:
            edge = 126 if self.random() < 0.4 else self.limit
            data = self.dice.randbytes(max(0, edge - 3 + int(self.random() * 7)))
        return data if self.lawless else data[: self.limit]

    def form(self) -> int:
        return 126 + (self.random() < 0.3) if self.random() < 0.1 else 0

    def compressed(self, data: bytes, last: bool) -> bytes:
        assert self.deflate is not None
        fresh, bits = self.deflate
        if self.press is None:
            self.press = zlib.compressobj(1, zlib.DEFLATED, -bits, 1)
        data = self.press.compress(data) + self.press.flush(zlib.Z_SYNC_FLUSH)
        if last and fresh:
            self.press = None
        return data[:-4] if last else data

    def control(self) -> bytes:
        return frame(FIN | (PING if self.random() < 0.7 else PONG), self.data()[:125], form=self.form())

    def message(self) -> Iterator[bytes]:
        opcode = BINARY if self.random() < 0.15 else TEXT
        packed = RSV1 if self.deflate and self.random() < 0.4 else 0
        parts = 1 if self.random() < 0.7 else 2 + int(self.random() * 4)
        for number in range(parts):
            last = number == parts - 1
            data = self.data()
            if parts > 1 and not self.lawless:
                data = data[: self.limit // parts]
            if packed:
                data = self.compressed(data, last)
            first = (FIN if last else 0) | (CONT if number else opcode | packed)
            yield frame(first, data, form=self.form())
            if not last and self.random() < 0.4:
                yield self.control()

    def crime(self) -> bytes:
        """What breaks a rule, or does where it stands."""
        data, form, one_of = self.data(), self.form(), self.one_of
        kind = int(self.random() * 11)
        if kind == 0:
            return frame(FIN | one_of((3, 4, 5, 6, 7, 11, 12, 13, 14, 15)), data, form=form)
        if kind == 1:
            return frame(FIN | one_of((TEXT, BINARY, CLOSE, PING)), data, mask=0, form=form)
        if kind == 2:
            return frame(FIN | TEXT | one_of((RSV1, RSV2, RSV3, RSV2 | RSV3)), data, form=form)
        if kind == 3:
            return frame(FIN | one_of((CLOSE, PING, PONG)) | one_of((RSV1, RSV2)), data, form=form)
        if kind == 4:
            return frame(one_of((CLOSE, PING, PONG)), data, form=form)
        if kind == 5:
            return frame(FIN | one_of((CLOSE, PING, PONG)), data + bytes(126), form=form)
        if kind == 6:
            return frame(CONT | one_of((0, FIN)) | one_of((0, RSV1)), data, form=form)
        if kind == 7:
            return frame(one_of((TEXT, BINARY)), data, form=form)  # never continued
        if kind == 8:
            return frame(
                FIN | one_of((CONT, TEXT, BINARY, PING)), bytes(self.limit + one_of((1, 2))), form=form
            )
        if kind == 9:
            return frame(FIN | TEXT, data, form=127, claim=one_of((2**64 - 1, 2**63, 2**32, 65_536)))
        return self.dice.randbytes(1 + int(self.random() * 20))

    def close(self) -> bytes:
        if self.random() < 0.2:
            return frame(FIN | CLOSE, self.data()[:125], form=self.form())
        return frame(FIN | CLOSE, struct.pack("!H", self.one_of((1000, 1001, 1005, 4000))) + b"bye")

    def frames(self) -> Iterator[bytes]:
        for _ in range(1 + int(self.random() * 8)):
            what = self.random()
            if what < self.lawless:
                yield self.crime()
            elif what < 0.85:
                lost = int(self.random() * 60) if self.lawless else None
                yield from (part for number, part in enumerate(self.message()) if number != lost)
            elif what < 0.97:
                yield self.control()
            else:
                yield self.close()


def cut(stream: bytes, dice: random.Random) -> Iterator[bytes]:
    """The stream in chunks: whole, a few, many, or byte by byte."""
    way, size = dice.random(), len(stream)
    if way < 0.15:
        places = []
    elif way < 0.75 or size > 2000:
        places = [int(dice.random() * size) for _ in range(1 + int(dice.random() * 3))]
    elif way < 0.9:
        places = [int(dice.random() * size) for _ in range(size // 10)]
    else:
        places = list(range(1, size))
    start = 0
    for place in sorted(places):
        yield stream[start:place]
        start = place
    yield stream[start:]
