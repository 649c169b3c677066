"""The addresses that workers share."""

import socket

import pytest

from voltgate.config import Listener
from voltgate.gateway.listening import ListenError
from voltgate.gateway.pool.sockets import kept


def test_each_worker_has_a_set_and_nobody_is_connected_before_one_listens() -> None:
    """Port 0 becomes one number; only sockets that listen get connections, and they keep what waits."""
    with kept([Listener(host="127.0.0.1", port=0), Listener(host="127.0.0.1", port=0)], 3) as sockets:
        assert len(set(sockets.ports)) == 2
        ports = [[listener[0].getsockname()[1] for listener in one] for one in sockets.sets]
        assert ports == [sockets.ports] * 3
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", sockets.ports[0]))
        with socket.socket(fileno=socket.dup(sockets.descriptors[1][0][0])) as worker:
            worker.listen()
            waiting = [socket.create_connection(("127.0.0.1", sockets.ports[0]), 5) for _ in range(20)]
        with socket.socket(fileno=socket.dup(sockets.descriptors[1][0][0])) as successor:
            for charger in waiting:
                successor.accept()[0].close()
                charger.close()
        sockets.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", sockets.ports[0]))


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
        pytest.raises(ListenError, match=expectation.format(port=port)),
        kept([Listener(host=host, port=port) for host in hosts], 1),
    ):
        pytest.fail("not kept")
