"""A fleet moves behind the HAProxy of docs/migrate.md, charger by charger, and back, with old passwords."""

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import bcrypt
import pytest
from nats.aio.client import Client
from websockets.asyncio.server import ServerConnection, serve

from e2e.house import Gateway, config, gateway
from e2e.logins import KEY, beats, charger
from e2e.strangers import Facts, until
from jetstream import NatsServer, free_port

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
PAGE = Path(__file__).parents[2] / "docs" / "migrate.md"


@pytest.fixture(scope="module")
def house(nats_server: NatsServer) -> Iterator[Gateway]:
    listener = {"allow_unauthenticated": False, "proxy_protocol": True, "trusted_proxies": ["127.0.0.1"]}
    names = {"stream_prefix": "MOVING", "prefix": "moving", "rpc_prefix": "movingrpc"}
    with gateway(config(nats_server, listener, registry={"required": True}, nats=names)) as running:
        yield running


@pytest.fixture
async def old() -> AsyncIterator[tuple[int, list[str]]]:
    """The port of the old system, and the paths that were dialled there."""
    dialled: list[str] = []

    async def accepted(connection: ServerConnection) -> None:
        dialled.append(connection.request.path if connection.request else "")
        await connection.wait_closed()

    async with serve(accepted, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as server:  # type: ignore[list-item]
        (listener,) = server.sockets
        yield listener.getsockname()[1], dialled


@contextmanager
def proxy(folder: Path, moved: list[str], gateway_port: int, old_port: int) -> Iterator[int]:
    """HAProxy with the page's configuration; addresses and the path of the list are replaced."""
    if HAPROXY is None:
        assert "CI" not in os.environ, "CI installs haproxy"
        pytest.skip("haproxy is not installed: apt install haproxy")
    port = free_port()
    (text,) = re.findall(r"(?ms)^```text\n(frontend chargers\n.+?)^```", PAGE.read_text())
    for here, there in (
        ("bind :9000", f"bind 127.0.0.1:{port}"),
        ("/etc/haproxy/moved.lst", str(folder / "moved.lst")),
        ("10.0.0.5:9000", f"127.0.0.1:{gateway_port}"),
    ):
        assert here in text
        text = text.replace(here, there)
    text += f"backend steve\n  mode http\n  timeout server 120s\n  server old 127.0.0.1:{old_port}\n"
    (folder / "moved.lst").write_text("".join(f"/{quote(one, safe='')}\n" for one in moved))
    (folder / "haproxy.cfg").write_text("defaults\n  timeout connect 5s\n" + text)
    process = subprocess.Popen([HAPROXY, "-db", "-f", str(folder / "haproxy.cfg")])
    try:
        yield port
    finally:
        process.kill()
        process.wait()


def listening(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


async def test_the_charger_in_the_list_comes_with_its_old_password_and_goes_back(
    client: Client, house: Gateway, old: tuple[int, list[str]], identity: str, tmp_path: Path
) -> None:
    facts = Facts(client, identity, "moving", "MOVING")
    await facts.listen()
    bucket = await client.jetstream().key_value("moving_chargers")
    brought = bcrypt.hashpw(KEY, bcrypt.gensalt(4, b"2a")).decode()
    await bucket.put(facts.token, json.dumps({"enabled": True, "password_hashes": [brought]}).encode())
    old_port, dialled = old
    (gateway_port,) = house.ports
    with proxy(tmp_path, [identity], gateway_port, old_port) as port:
        await until(lambda: listening(port))
        async with charger(port, identity) as moved, charger(port, f"{identity}-2"):
            assert await beats(moved)
            host, own = moved.socket.local_address[:2]
            assert (await facts.link("up"))["remote"] == f"{host}:{own}", "its own address, not the proxy's"
            assert dialled == [f"/ocpp/{quote(identity)}-2"], "the other has not moved"
    with proxy(tmp_path, [], gateway_port, old_port) as port:
        await until(lambda: listening(port))
        async with charger(port, identity):
            assert dialled[-1] == f"/ocpp/{quote(identity)}"
