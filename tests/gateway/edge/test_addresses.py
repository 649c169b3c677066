"""Addresses that contradict each other, or cannot be had."""

import socket
from collections.abc import Callable
from typing import Any

import pytest

from voltgate.config import load
from voltgate.gateway.edge.addresses import clashes, taken

pytestmark = pytest.mark.usefixtures("clean_environment")

HOSTS = [
    ("127.0.0.1", "127.0.0.1", True, "the same"),
    ("0.0.0.0", "127.0.0.1", True, "all include one"),
    ("127.0.0.1", "0.0.0.0", True, "in either order"),
    ("", "127.0.0.1", True, "no host is all"),
    ("localhost", "127.0.0.1", True, "a name that everybody knows"),
    ("127.0.0.1", "127.0.0.2", False, "two of one machine"),
    ("::", "::1", True, "of IPv6 too"),
    ("::", "0.0.0.0", False, "a socket of IPv6 takes IPv6 alone"),
    ("a.example", "a.example", True, "one name"),
    ("a.example", "b.example", False, "two names"),
]


@pytest.mark.parametrize(("one", "other", "clash", "why"), HOSTS, ids=[why for *_, why in HOSTS])
def test_two_listeners_on_one_port(one: str, other: str, clash: bool, why: str) -> None:
    config = load(listeners=[{"host": one, "port": 9000}, {"host": other, "port": 9000}])
    told = ["command line: listeners.1.port: 9000 is listeners.0.port too: choose another port"]
    assert list(clashes(config)) == (told if clash else []), why


def test_the_admin_port_and_ports_that_are_free_to_choose() -> None:
    config = load(listeners=[{"port": 9464}])
    assert list(clashes(config)) == ["admin.port: 9464 is listeners.0.port too: choose another port"]
    assert list(clashes(load(listeners=[{"port": 0}, {"port": 0}], admin={"port": 0}))) == []


def test_a_port_in_use_and_addresses_of_others(free_port: Callable[[], int]) -> None:
    def told(**listener: Any) -> list[str]:
        return list(taken(load(listeners=[listener], admin={"port": 0})))

    assert told(host="127.0.0.1", port=free_port()) == []
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        for host in ("127.0.0.1", "0.0.0.0"):
            (line,) = told(host=host, port=port)
            assert line.startswith(f"command line: listeners.0.port: {host}:{port} is in use: stop the other")
    (line,) = told(host="192.0.2.1", port=9000)
    assert "listeners.0.host: 192.0.2.1 is not an address of this machine" in line
    (line,) = told(host="no.such.host.invalid", port=9000)
    assert "listeners.0.host: no.such.host.invalid: no such host" in line
    assert told(host="192.0.2.1", port=0) == [], "tried when it is opened"
