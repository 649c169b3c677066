"""PROXY protocol version 2: the charger's address, and its TLS where the load balancer terminates that.

Bytes in, values out; the specification is haproxy's ``doc/proxy-protocol.txt``, whose sections are cited.
Only bytes from ``listeners.trusted_proxies`` may be read here: the sender of a header chooses the address and
the name that are believed. Version 1 is refused: it cannot carry TLS, and its length is not known beforehand.
"""

import struct
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
FIXED = 16  # bytes before the part whose length they name (2.2)
MAX_BYTES = 4096  # of that part; haproxy sends less than 1,000 with a common name

_ADDRESSES = {1: 4, 2: 16}  # family (2.2): bytes of an address
_TLV_TLS = 0x20
_TLV_TLS_VERSION, _TLV_TLS_CN = 0x21, 0x22
_CLIENT_TLS, _CLIENT_CERT_CONN, _CLIENT_CERT_SESS = 0x01, 0x02, 0x04

_head = struct.Struct(">12sBBH")
_tlv = struct.Struct(">BH")
_tls = struct.Struct(">BI")


class Refused(Enum):
    """Why the bytes are not accepted; the socket is closed without an answer (2)."""

    MISSING = "not a PROXY protocol header"
    VERSION_1 = "PROXY protocol version 1: let the load balancer send version 2"
    VERSION = "a later version of the PROXY protocol"
    COMMAND = "neither PROXY nor LOCAL"
    FAMILY = "not TCP over IPv4 or IPv6"
    TOO_LONG = "longer than any header in use"
    BROKEN = "a part ends beyond its whole"

    @property
    def label(self) -> str:
        """The ``result`` label of ``voltgate_handshakes_total``."""
        return f"proxy_{self.name.lower()}"

    @property
    def is_security(self) -> bool:
        """Whether it is also a security fact: only a trusted load balancer has sent these bytes."""
        return False


class NeedMore(Enum):
    """The header goes on behind these bytes."""

    NEED_MORE = "need more"


@dataclass(frozen=True, slots=True)
class ProxyTls:
    """The charger's TLS, which ended at the load balancer (2.2.6).

    ``verified``: a client certificate was presented in this session and verified; else ``common_name`` is "".
    The header cannot carry the certificate's organisation or serial number.
    """

    version: str
    verified: bool
    common_name: str


@dataclass(frozen=True, slots=True)
class Proxied:
    """A whole header. ``size``: its bytes; the charger's own begin behind them.

    ``peer``: address and port of the charger; None for LOCAL, a connection of the load balancer itself, such
    as a health check. ``tls``: None where the charger's connection has none.
    """

    size: int
    peer: tuple[str, int] | None
    tls: ProxyTls | None


def parse(data: bytes) -> Proxied | NeedMore | Refused:
    """Read the header at the beginning of ``data``."""
    if len(data) < FIXED:
        if SIGNATURE.startswith(data[: len(SIGNATURE)]):
            return NeedMore.NEED_MORE
        return Refused.VERSION_1 if data[:5] == b"PROXY"[: len(data)] else Refused.MISSING
    signature, version_command, family_protocol, length = _head.unpack_from(data)
    if signature != SIGNATURE:
        return Refused.VERSION_1 if data.startswith(b"PROXY") else Refused.MISSING
    if version_command >> 4 != 2:
        return Refused.VERSION
    if length > MAX_BYTES:
        return Refused.TOO_LONG
    if len(data) < FIXED + length:
        return NeedMore.NEED_MORE
    body = data[FIXED : FIXED + length]
    match version_command & 0x0F:
        case 0:  # LOCAL: what else it says is to be ignored (2.2)
            return Proxied(FIXED + length, None, None)
        case 1:
            return _proxied(body, family_protocol)
        case _:
            return Refused.COMMAND


def _proxied(body: bytes, family_protocol: int) -> Proxied | Refused:
    bytes_ = _ADDRESSES.get(family_protocol >> 4)
    if bytes_ is None or family_protocol & 0x0F != 1:
        return Refused.FAMILY
    end = 2 * bytes_ + 4
    if len(body) < end:
        return Refused.BROKEN
    (port,) = struct.unpack_from(">H", body, 2 * bytes_)
    parts = _parts(body[end:])
    if parts is None:
        return Refused.BROKEN
    peer = (str(ip_address(body[:bytes_])), port)
    tls = None
    if (value := parts.get(_TLV_TLS)) is not None:
        if len(value) < _tls.size:
            return Refused.BROKEN
        client, verify = _tls.unpack_from(value)
        inner = _parts(value[_tls.size :])
        if inner is None:
            return Refused.BROKEN
        if client & _CLIENT_TLS:
            # "verify" is also 0 where no certificate was presented (2.2.6).
            verified = bool(client & (_CLIENT_CERT_CONN | _CLIENT_CERT_SESS)) and verify == 0
            name = _text(inner.get(_TLV_TLS_CN)) if verified else ""
            tls = ProxyTls(_text(inner.get(_TLV_TLS_VERSION)), verified, name)
    return Proxied(FIXED + len(body), peer, tls)


def _parts(data: bytes) -> dict[int, bytes] | None:
    """The values by type, None where one ends beyond the data or a type that is read here is repeated."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        if at + _tlv.size > len(data):
            return None
        kind, length = _tlv.unpack_from(data, at)
        at += _tlv.size
        if at + length > len(data):
            return None
        if kind in found and kind in (_TLV_TLS, _TLV_TLS_VERSION, _TLV_TLS_CN):
            return None  # of two names neither counts
        found[kind] = data[at : at + length]
        at += length
    return found


def _text(value: bytes | None) -> str:
    """UTF-8 as the specification says; what is not becomes "", which is no charger's name."""
    try:
        return (value or b"").decode()
    except UnicodeDecodeError:
        return ""


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The networks of ``listeners.trusted_proxies``."""

    networks: tuple[IPv4Network | IPv6Network, ...]

    @classmethod
    def of(cls, texts: list[str]) -> "TrustedProxies":
        """Addresses and networks such as ``10.0.0.0/8``. Raises ValueError with the text that is none."""
        return cls(tuple(ip_network(text) for text in texts))

    def includes(self, address: str) -> bool:
        """Whether a PROXY header from ``address``, as ``getpeername`` gives it, is believed."""
        try:
            found = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = found.ipv4_mapped if found.version == 6 else None  # a socket for both families
        return any((mapped or found) in network for network in self.networks)
