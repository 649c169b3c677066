"""The first bytes of a socket behind a load balancer: a PROXY header, then what the charger sends.

    header --whole, PROXY--> passed on (TLS of our own, or the upgrade)
      |-----whole, LOCAL--> closed: a health check of the load balancer, there is no charger
      |
      +--refused, or not from a trusted proxy--> reset

``inner`` is made at the accept: its deadline includes the header. Bytes behind the header go to it directly;
this object stays its transport, because it knows the charger's address.
"""

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Any, cast

from voltgate.gateway.edge.proxy import NeedMore, Proxied, ProxyTls, Refused, TrustedProxies, parse
from voltgate.gateway.edge.socket import peer_of
from voltgate.gateway.edge.tls import Peer


class Untrusted(Enum):
    """The one reason that lies in where a connection comes from."""

    UNTRUSTED = "not from listeners.trusted_proxies"

    @property
    def label(self) -> str:
        """The ``result`` label of ``voltgate_handshakes_total``."""
        return f"proxy_{self.name.lower()}"

    @property
    def is_security(self) -> bool:
        """Whether it is also a security fact: who is not trusted may have claimed any address."""
        return True


class ProxiedTransport(asyncio.Transport, asyncio.Protocol):
    """The protocol of a transport until its header ends; the transport of ``inner``.

    ``refused(reason, peer)`` is called once where the socket is reset; ``peer``: who sent the header.
    ``named(peer)``: whether the charger may stay, now that its address is known. ``get_extra_info`` knows
    ``peername``, the charger's, and where its TLS ended at the load balancer ``tls_version`` and
    ``client_certificate``.
    """

    __slots__ = ("_header", "_inner", "_named", "_proxied", "_raw", "_refused", "_trusted")

    _raw: asyncio.Transport

    def __init__(
        self,
        inner: asyncio.Protocol,
        trusted: TrustedProxies,
        refused: Callable[[Refused | Untrusted, str], None],
        named: Callable[[str], bool],
    ) -> None:
        self._inner: asyncio.Protocol | None = inner
        self._trusted, self._refused, self._named = trusted, refused, named
        self._header = b""
        self._proxied: Proxied | None = None

    # -- the protocol of the transport below --------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket was accepted."""
        self._raw = cast(asyncio.Transport, transport)
        self._below.connection_made(self)
        peer = transport.get_extra_info("peername")
        if peer is None:  # reset already, as HAProxy's health checks of the connection alone do
            self._raw.abort()
        elif not (isinstance(peer, tuple) and self._trusted.includes(peer[0])):
            self._end(Untrusted.UNTRUSTED)

    def data_received(self, data: bytes) -> None:
        """Bytes of the header."""
        if self._raw.is_closing():
            return
        self._header += data
        match parse(self._header):
            case NeedMore.NEED_MORE:
                pass
            case Refused() as reason:
                self._end(reason)
            case Proxied(peer=None):
                self._raw.close()
            case Proxied() as proxied:
                behind, self._header = self._header[proxied.size :], b""
                self._proxied = proxied
                if not self._named(peer_of(self)):
                    self._raw.abort()
                    return
                inner = self._below
                self._raw.set_protocol(inner)
                if behind:
                    inner.data_received(behind)

    def connection_lost(self, error: Exception | None) -> None:
        """The socket is gone before the end of its header."""
        inner, self._inner = self._inner, None  # else the two would be a reference cycle
        if inner is not None:
            inner.connection_lost(error)

    def _end(self, reason: Refused | Untrusted) -> None:
        self._refused(reason, peer_of(self._raw))
        self._raw.abort()

    @property
    def _below(self) -> asyncio.Protocol:
        assert self._inner is not None  # until connection_lost
        return self._inner

    # -- the transport of the inner protocol --------------------------------------------------------

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Deliver to ``protocol`` from now on."""
        self._inner = cast(asyncio.Protocol, protocol)
        if self._proxied is not None:
            self._raw.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """What it delivers to."""
        return self._below

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """See the class."""
        proxied = self._proxied
        if proxied is None:
            return self._raw.get_extra_info(name, default)
        match name, proxied.tls:
            case "peername", _:
                return proxied.peer
            case "tls_version", ProxyTls() as tls:
                return tls.version
            case "client_certificate", ProxyTls() as tls:
                return Peer(tls.common_name, "") if tls.verified else None
            case _:
                return self._raw.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data``."""
        self._raw.write(data)

    def pause_reading(self) -> None:
        """Deliver nothing until :meth:`resume_reading`."""
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Go on reading."""
        self._raw.resume_reading()

    def can_write_eof(self) -> bool:
        """As the transport below."""
        return self._raw.can_write_eof()

    def write_eof(self) -> None:
        """As the transport below."""
        self._raw.write_eof()

    def close(self) -> None:
        """Send what is buffered, then close."""
        self._raw.close()

    def abort(self) -> None:
        """Reset the socket."""
        self._raw.abort()

    def is_closing(self) -> bool:
        """Whether the socket is closed or closing."""
        return self._raw.is_closing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """As the transport below."""
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """As the transport below."""
        return self._raw.get_write_buffer_size()
