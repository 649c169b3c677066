"""The addresses of listeners and of the admin pages: whether they contradict each other, and can be had."""

import errno
import ipaddress
import socket
from collections.abc import Iterator
from typing import NamedTuple

from voltgate.config import Config
from voltgate.config_lines import Key


class Address(NamedTuple):
    """One address of the configuration, and its key."""

    key: Key
    host: str
    port: int


def addresses(config: Config) -> list[Address]:
    """All of them; port 0, which takes a free one, too."""
    listeners = [Address(("listeners", n), one.host, one.port) for n, one in enumerate(config.listeners)]
    return [*listeners, Address(("admin",), config.admin.host, config.admin.port)]


def clashes(config: Config) -> Iterator[str]:
    """A line for each address that another one includes."""
    earlier: list[Address] = []
    for one in addresses(config):
        for other in earlier:
            if one.port == other.port != 0 and _meet(one.host, other.host):
                name = ".".join(map(str, (*other.key, "port")))
                yield f"{config.where(*one.key, 'port')}: {one.port} is {name} too: choose another port"
        earlier.append(one)


def _meet(one: str, other: str) -> bool:
    """Whether both include the same address. Names are compared as text: resolving them needs a network."""
    a, b = _parsed(one), _parsed(other)
    if a is None or b is None:
        return one == other or "" in (one, other)
    return a.version == b.version and (a == b or a.is_unspecified or b.is_unspecified)


def _parsed(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return None


def taken(config: Config) -> Iterator[str]:
    """A line for each address that cannot be had now: in use, not of this machine, not allowed."""
    for one in addresses(config):
        try:
            if one.port:
                _try(one)
        except OSError as error:
            key, text = _explained(one, error)
            yield f"{config.where(*one.key, key)}: {text}"


def _try(address: Address) -> None:
    """Listen for a moment. Raises OSError."""
    found = socket.getaddrinfo(
        address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    for family, kind, proto, _, name in dict.fromkeys(found):
        with socket.socket(family, kind, proto) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:  # as asyncio does when it listens
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(name)
            sock.listen(1)


def _explained(address: Address, error: OSError) -> tuple[str, str]:
    """The key to change, why the address cannot be had, and what to do."""
    host = address.host
    where = f"{f'[{host}]' if ':' in host else host}:{address.port}"
    if isinstance(error, socket.gaierror):
        return "host", f"{host}: no such host: name an address of this machine, or 0.0.0.0 for all"
    match error.errno:
        case errno.EADDRINUSE:
            return "port", f"{where} is in use: stop the other process (ss -ltnp), or choose another port"
        case errno.EADDRNOTAVAIL:
            return "host", f"{host} is not an address of this machine: `ip addr` lists them, 0.0.0.0 is all"
        case errno.EACCES:
            return "port", f"{where} is not allowed: ports below 1024 need CAP_NET_BIND_SERVICE"
    return "host", f"{where}: {error.strerror or error}: choose another address"
