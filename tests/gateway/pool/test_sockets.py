"""The addresses that workers share."""

import socket

import pytest

from voltgate.config import Listener
from voltgate.gateway.pool.sockets import AddressError, kept


def test_kept_addresses_are_shared_with_workers_and_take_no_charger() -> None:
    """Port 0 becomes one number; who listens there with SO_REUSEPORT is the only one to be connected."""
    with kept([Listener(host="127.0.0.1", port=0), Listener(host="127.0.0.1", port=0)]) as ports:
        assert len(set(ports)) == 2
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", ports[0]))
        with socket.create_server(("127.0.0.1", ports[0]), reuse_port=True) as worker:
            for _ in range(20):
                socket.create_connection(("127.0.0.1", ports[0]), 5).close()
                worker.accept()[0].close()


@pytest.mark.parametrize(
    ("hosts", "expectation"),
    [
        (["127.0.0.1", "127.0.0.1"], "listener 127.0.0.1:{port}: Address already in use"),
        (["0.0.0.0", "127.0.0.1"], "listener 127.0.0.1:{port}: Address already in use"),
        (["nowhere.invalid"], "listener nowhere.invalid:{port}: "),
    ],
)
def test_an_address_that_cannot_be_had_is_named(hosts: list[str], expectation: str) -> None:
    """Two listeners on one address: a charger would meet either, with other rules."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (
        pytest.raises(AddressError, match=expectation.format(port=port)),
        kept([Listener(host=host, port=port) for host in hosts]),
    ):
        pytest.fail("not kept")
