"""ClientHellos of any kind (RFC 5246 7.4.1.2, RFC 8446 4.1.2), and what a server answers to one.

Written by hand, since no library offers any more what must be refused. None can be completed: nothing here
has the key of its key share.
"""

import os
import struct
from dataclasses import dataclass
from enum import Enum, auto

SSL_3_0, TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3 = 0x0300, 0x0301, 0x0302, 0x0303, 0x0304
GOOD = (0xC02B, 0xC02F, 0xC02C, 0xC030)
"""ECDHE with AES-GCM, for certificates of both kinds."""
GOOD_1_3 = (0x1301, 0x1302, 0x1303)
GROUPS = (0x001D, 0x0017)  # x25519, secp256r1
SIGNATURES = (0x0403, 0x0804, 0x0805, 0x0503, 0x0401, 0x0501)
DOWNGRADE = b"DOWNGRD\x01"
"""The end of a ServerHello's random where a server of TLS 1.3 was asked for 1.2 (RFC 8446 4.1.3)."""


def hello(
    suites: tuple[int, ...] = GOOD,
    *,
    version: int = TLS_1_2,
    versions: tuple[int, ...] = (),
    groups: tuple[int, ...] = GROUPS,
    signatures: tuple[int, ...] = SIGNATURES,
    compression: bytes = b"\0",
) -> bytes:
    """One record; ``versions``: the extension of TLS 1.3, with a key share."""
    extensions = _extension(10, _words(groups)) + _extension(11, b"\x01\x00")
    extensions += _extension(13, _words(signatures))
    if versions:
        offered = b"".join(map(_word, versions))
        extensions += _extension(43, bytes((len(offered),)) + offered)
        share = _word(GROUPS[0]) + _word(32) + os.urandom(32)
        extensions += _extension(51, _word(len(share)) + share)
    body = _word(version) + os.urandom(32) + b"\x20" + os.urandom(32) + _words(suites)
    body += bytes((len(compression),)) + compression
    if version >= TLS_1_0:
        body += _word(len(extensions)) + extensions
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16" + _word(min(version, TLS_1_0)) + _word(len(message)) + message


def hello_2() -> bytes:
    """The one of SSL 2.0, which may offer anything."""
    suites = b"\x01\x00\x80\x07\x00\xc0\x00\x00\x2f"
    body = b"\x01" + _word(TLS_1_2) + _word(len(suites)) + _word(0) + _word(16) + suites + os.urandom(16)
    return _word(0x8000 | len(body)) + body


def _word(value: int) -> bytes:
    return struct.pack("!H", value)


def _words(values: tuple[int, ...]) -> bytes:
    return _word(2 * len(values)) + b"".join(map(_word, values))


def _extension(kind: int, data: bytes) -> bytes:
    return _word(kind) + _word(len(data)) + data


class Kind(Enum):
    """What a server's first record is."""

    HELLO = auto()
    ALERT = auto()
    NOTHING = auto()  # the connection ended
    OTHER = auto()


@dataclass(frozen=True)
class Answer:
    """``version`` and what follows are those of a ServerHello."""

    kind: Kind
    version: int = 0
    random: bytes = b""
    compression: int = 0


def answer(record: bytes) -> Answer:
    """Read the first record of a server."""
    if not record:
        return Answer(Kind.NOTHING)
    if record[0] == 0x15:
        return Answer(Kind.ALERT)
    if record[0] != 0x16 or record[5:6] != b"\x02":
        return Answer(Kind.OTHER)
    version, random, session = *struct.unpack_from("!H32s", record, 9), record[43]
    compression, extensions = record[46 + session], record[49 + session :]
    while len(extensions) >= 4:
        kind, length = struct.unpack_from("!HH", extensions)
        if kind == 43:
            (version,) = struct.unpack_from("!H", extensions, 4)
        extensions = extensions[4 + length :]
    return Answer(Kind.HELLO, version, random, compression)
