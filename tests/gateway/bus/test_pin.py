"""Guards of the pin nats-py>=2.16,<2.17: every private part of it that is touched, and what it must do.

When one of these tests fails after an upgrade, ``subscriptions`` and ``uplink`` are the files to read.
"""

import ast
import inspect
import re
from pathlib import Path

import nats
import pytest
from nats.aio import client as nats_py
from nats.aio.transport import TcpTransport

import voltgate
from desk import TX, desk
from e2e.strangers import until
from jetstream import NatsServer
from voltgate.gateway.bus import uplink
from voltgate.gateway.bus.subscriptions import Client, Subscription
from voltgate.gateway.bus.uplink import Uplink

SOURCE = Path(voltgate.__file__).parent

# What is touched of a client, by file.
PRIVATE = {
    "gateway/bus/insist.py": {"_current_server", "_process_info", "_server_pool"},
    "gateway/bus/subscriptions.py": {"_pongs", "_process_msg", "_process_pong", "_sid", "_subs"},
    "gateway/bus/uplink.py": {
        "_flush_pending", "_io_writer", "_pending", "_pending_data_size", "_send_command", "_transport",
    },
}  # fmt: skip
# What nats-py asks of a subscription that is not its own.
ASKED = {
    "_max_msgs", "_message_iterator", "_pending_next_msgs_calls", "_queue", "_received", "_subject",
    "_wait_for_msgs_task",
}  # fmt: skip


def touched(path: Path) -> set[str]:
    """The private attributes of nats-py's client and transport that a file uses and does not define."""
    tree = ast.parse(path.read_text())
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    own |= {node.attr for node in nodes if isinstance(node.ctx, ast.Store) and _is_self(node.value)}
    # An attribute of theirs is touched also where ours assigns to it.
    own -= {*vars(TcpTransport())}  # type: ignore[no-untyped-call]
    names = {node.attr for node in nodes if not _is_self(node.value) or node.attr not in own}
    theirs = {*dir(nats_py.Client()), *dir(TcpTransport())}  # type: ignore[no-untyped-call]
    return {name for name in names & theirs if re.match(r"_[a-z]", name)}


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def test_the_private_parts_that_are_touched_are_these() -> None:
    found = {str(path.relative_to(SOURCE)): touched(path) for path in (SOURCE / "gateway").rglob("*.py")}
    assert {file: names for file, names in found.items() if file in PRIVATE} == PRIVATE
    importing = {
        file: names
        for file, names in found.items()
        if names
        and re.search(r"^(from|import) nats\b|InsistingClient$", (SOURCE / file).read_text(), re.MULTILINE)
    }
    assert importing == PRIVATE


def test_the_private_parts_exist() -> None:
    client, transport = nats_py.Client(), TcpTransport()  # type: ignore[no-untyped-call]
    for name in set().union(*PRIVATE.values()) - {"_io_writer"}:
        assert hasattr(client, name), name
    assert hasattr(transport, "_io_writer")
    assert {"max_reconnect_attempts", "reconnect_time_wait"} <= set(
        inspect.signature(nats_py.Client.connect).parameters
    )
    assert list(inspect.signature(nats_py.Client._process_msg).parameters) == [
        "self", "sid", "subject", "reply", "data", "headers",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "block",
    [
        None,
        b"",
        b"NATS/1.0\r\n\r\n",
        b"NATS/1.0\r\nNats-Msg-Id: a: b\r\nocpp-key:c\r\nempty:\r\nno colon\r\n\r\n",
        "NATS/1.0\r\nce-source: /chargers/\u00e9\r\n\r\n".encode(),
        b"NATS/1.0\r\nbroken: \xff\r\n\r\n",
        b"NATS/1.0 503\r\n\r\n",
        b"NATS/1.0 404 No Messages\r\n\r\n",
        b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 1016\r\nNats-Last-Stream: 1024\r\n\r\n",
        b"NATS/1.0 100 FlowControl Request\r\n\r\n",
    ],
)
async def test_headers_are_those_that_nats_py_finds(block: bytes | None) -> None:
    theirs = await nats_py.Client()._process_headers(block)
    ours = await Client()._process_headers(block)
    # An empty description is none there.
    assert (ours and {name: text for name, text in ours.items() if text or name != "Description"}) == theirs


def test_what_nats_py_asks_of_a_subscription_is_what_ours_has() -> None:
    """When it closes and when it subscribes again, it reads these of every subscription it knows."""
    asked = {
        name
        for method in (nats_py.Client._close, nats_py.Client._attempt_reconnect)
        for name in re.findall(r"\bsub\.(_\w+)", inspect.getsource(method))
    }
    assert asked == ASKED
    # `_received` only where `_max_msgs` is above 0, which ours never is.
    assert asked - {"_received"} <= set(dir(Subscription))


async def test_the_options_of_reconnecting_are_read_when_it_reconnects(nats_server: NatsServer) -> None:
    """``connect`` sets ``client.options`` after the first connection."""
    client = await nats.connect(nats_server.url)
    assert {"max_reconnect_attempts", "reconnect_time_wait"} <= client.options.keys()
    await client.close()
    source = inspect.getsource(nats_py.Client)
    for name in ("max_reconnect_attempts", "reconnect_time_wait"):
        assert f'self.options["{name}"]' in source


async def test_our_transport_stays_over_a_reconnect_and_what_waits_can_be_dropped(
    nats_server: NatsServer,
) -> None:
    async with desk(nats_server) as at:
        client = at.client
        assert isinstance(client._transport, Uplink)
        connections = at.bus.connections
        await client.force_reconnect()
        await until(lambda: at.bus.connections == connections + 1 and at.bus.connected)
        assert isinstance(client._transport, Uplink)
        await client._send_command(b"PUB plain 2\r\nhi\r\n")
        assert uplink.waiting(client) == len(b"".join(client._pending)) == client._pending_data_size == 17
        uplink.forget(client)
        assert uplink.waiting(client) == 0
        assert await at.store(TX) is not None


async def test_ready_made_lines_go_out_whole_and_are_counted_while_they_wait(nats_server: NatsServer) -> None:
    async with desk(nats_server) as at:
        client = at.client
        plain = await client.subscribe("plain")
        await client.flush()
        before = client.pending_data_size
        await client._send_command(b"PUB plain 2\r\nhi\r\n")
        assert client.pending_data_size == before + 17
        await client._flush_pending()
        await uplink.hand_over(client, b"PUB plain 3\r\nyou\r\n")
        assert [(await plain.next_msg()).data for _ in range(2)] == [b"hi", b"you"]
