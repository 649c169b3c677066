"""Forged PROXY headers (haproxy's doc/proxy-protocol.txt), from anywhere and from the load balancer."""

import asyncio
import os
import struct

from attack.certificates import MUTUAL
from attack.driver import SOURCE, Attacker
from attack.metrics import metric
from attack.sockets import ENDED, request, tcp
from attack.target import HANDSHAKE_TIMEOUT, TRUSTED
from attack.trickles import MARGIN, drip

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ADDRESSES = bytes((192, 0, 2, 7, 192, 0, 2, 1)) + struct.pack("!HH", 40_000, 443)
VERIFIED = 0x07  # TLS, with a certificate in this connection and in this session
PAUSE = 0.2  # seconds


def header(body: bytes = ADDRESSES, *, first: int = 0x21, family: int = 0x11, length: int = -1) -> bytes:
    """One of version 2; ``length`` claims another one than the body's."""
    return SIGNATURE + struct.pack("!BBH", first, family, len(body) if length < 0 else length) + body


def tlv(kind: int, value: bytes, length: int = -1) -> bytes:
    """One type, length, value."""
    return struct.pack("!BH", kind, len(value) if length < 0 else length) + value


def tls(name: str, *, client: int = VERIFIED, verify: int = 0, more: bytes = b"") -> bytes:
    """PP2_TYPE_SSL with a common name."""
    inside = tlv(0x21, b"TLSv1.3") + tlv(0x22, name.encode()) + more
    return tlv(0x20, struct.pack("!BI", client, verify) + inside)


SOUND = header(ADDRESSES + tls(MUTUAL))


def from_the_balancer() -> dict[str, bytes]:
    """None of them lets the charger MUTUAL in, although the sender is trusted."""
    random = os.urandom(200)
    return {
        "no header": b"",
        "version 1": b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 443\r\n",
        "version 1, unknown": b"PROXY UNKNOWN\r\n",
        "version 1 without an end": b"PROXY TCP4 " + b"1" * 2000,
        "version 3": header(ADDRESSES + tls(MUTUAL), first=0x31),
        "an unknown command": header(ADDRESSES + tls(MUTUAL), first=0x22),
        "a local connection": header(ADDRESSES + tls(MUTUAL), first=0x20),
        "UDP": header(ADDRESSES + tls(MUTUAL), family=0x12),
        "a unix socket": header(bytes(216) + tls(MUTUAL), family=0x31),
        "no family": header(ADDRESSES + tls(MUTUAL), family=0x00),
        "addresses cut short": header(ADDRESSES[:7]),
        "65,535 bytes": header(ADDRESSES + tls(MUTUAL), length=65_535),
        "65,535 bytes, all of them": header(ADDRESSES + tls(MUTUAL), length=65_535) + bytes(65_535),
        "4,097 bytes": header(ADDRESSES + tls(MUTUAL) + tlv(0x04, bytes(4097))),
        "random TLVs": header(ADDRESSES + random),
        "random TLVs after the name": header(ADDRESSES + tls(MUTUAL) + b"\x01\xff\xff" + random),
        "a TLV beyond the header": header(ADDRESSES + tlv(0x20, b"x", 60_000)),
        "a name beyond its TLV": header(ADDRESSES + tls(MUTUAL, more=tlv(0x22, b"x", 60_000))),
        "two names": header(ADDRESSES + tls("another", more=tlv(0x22, MUTUAL.encode()))),
        "two TLS TLVs": header(ADDRESSES + tls(MUTUAL) + tls(MUTUAL)),
        "a TLS TLV cut short": header(ADDRESSES + tlv(0x20, b"\x07\x00")),
        "no TLS": header(),
        "TLS without a certificate": header(ADDRESSES + tls(MUTUAL, client=0x01)),
        "a certificate without TLS": header(ADDRESSES + tls(MUTUAL, client=0x06)),
        "a certificate that was not verified": header(ADDRESSES + tls(MUTUAL, verify=1)),
        "another's certificate": header(ADDRESSES + tls("another")),
        "no name": header(ADDRESSES + tls("")),
        "a longer name": header(ADDRESSES + tls(MUTUAL + "\0")),
        "a name in other letters": header(ADDRESSES + tls(MUTUAL.upper())),
        "a header within a header": header(ADDRESSES + tlv(0x04, SOUND)),
        "two headers": header() + SOUND,
    }


async def forged_headers(attacker: Attacker) -> None:
    """No header makes its sender a charger; one that never ends is ended at the deadline."""
    ports = attacker.ports
    ask = request(MUTUAL)

    async def one(name: str, port: int, source: str, head: bytes) -> int:
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT + MARGIN), tcp(port, source) as socket:
                await socket.send(head + ask)
                return await socket.status()
        except TimeoutError:  # an OSError too
            attacker.expect(False, f"{name}: no end")
        except ENDED:
            pass
        return 0

    async def trickle() -> None:
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT + MARGIN), tcp(ports.balanced, TRUSTED) as socket:
                await drip(socket, header(ADDRESSES + tls(MUTUAL), length=4000) + bytes(4000))
        except TimeoutError:
            attacker.expect(False, "a header that never ends: no end")
        except OSError:
            pass

    cases = {name: (ports.balanced, TRUSTED, head) for name, head in from_the_balancer().items()}
    for name, port in {"balanced": ports.balanced, "open": ports.open, "tls": ports.tls}.items():
        cases[f"a sound header from anywhere, to {name}"] = (port, SOURCE, SOUND)
    untrusted = await metric(ports.admin, "voltgate_handshakes_total", result="proxy_untrusted")
    status = await one("a sound header", ports.balanced, TRUSTED, SOUND)
    attacker.expect(status == 101, f"a sound header: {status}")
    trickling = asyncio.gather(*(trickle() for _ in range(20)))
    while True:
        statuses = await asyncio.gather(*(one(name, *case) for name, case in cases.items()))
        for name, status in zip(cases, statuses, strict=True):
            attacker.expect(status in (0, 503) or 400 <= status < 500, f"{name}: {status}")
            attacker.counts[str(status) if status else "closed"] += 1
        if not await attacker.pause(PAUSE):
            break
    await trickling
    counted = await metric(ports.admin, "voltgate_handshakes_total", result="proxy_untrusted") - untrusted
    attacker.expect(counted > 0, "none was counted as proxy_untrusted")
