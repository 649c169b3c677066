"""A hub and a leaf node of one account, each with JetStream: whatever a gateway publishes is stored twice."""

from collections.abc import Callable
from pathlib import Path

import nats
import pytest

from jetstream import NatsServer, free_port
from voltgate.cli.check.copies import copies
from voltgate.config import load
from voltgate.gateway.bus import streams

pytestmark = pytest.mark.usefixtures("clean_environment")

SIZES = dict.fromkeys(("tx_max_bytes", "events_max_bytes", "commands_max_bytes"), 64 << 20)
Start = Callable[..., NatsServer]


@pytest.fixture
def hub_and_leaf(start_nats: Start, tmp_path: Path) -> tuple[NatsServer, NatsServer]:
    """Two domains whose subjects meet, as two servers without deny lists."""
    port = free_port()
    for name, peer in (
        ("hub", f"leafnodes {{host: 127.0.0.1, port: {port}}}"),
        ("leaf", f'leafnodes {{remotes: [{{url: "nats-leaf://127.0.0.1:{port}"}}]}}'),
    ):
        text = f'server_name: {name}\njetstream {{store_dir: "{tmp_path}/{name}", domain: {name}}}\n{peer}\n'
        (tmp_path / f"{name}.conf").write_text(text)
    hub = start_nats("-c", str(tmp_path / "hub.conf"))
    return hub, start_nats("-c", str(tmp_path / "leaf.conf"))


async def test_a_second_jetstream_that_stores_the_same_subjects_is_found(
    hub_and_leaf: tuple[NatsServer, NatsServer],
) -> None:
    config = load(streams=SIZES)
    clients = [await nats.connect(server.url) for server in hub_and_leaf]
    await streams.apply(clients[0], config)
    assert (await copies(clients[0], config)).severity == "ok"
    await streams.apply(clients[1], config)
    for client in clients:
        found = await copies(client, config)
        assert found.severity == "fail"
        assert found.text.startswith("2 streams store what is published below ocpp: every fact")
        state = await streams.state(client, "OCPP_REJECTS")
        assert state is not None
        assert state["messages"] == 0, "nothing is stored by the question"
        await client.close()
