"""TLS that was asked for is insisted on, against real servers (docs/contract.md 4.2)."""

import asyncio
import inspect
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nats.aio import client as nats_py

from certificates import Authority
from jetstream import ONCE, NatsServer
from listening import listening
from voltgate.config import Nats
from voltgate.gateway.bus.bus import Bus
from voltgate.gateway.bus.connect import BusError, connect
from voltgate.gateway.bus.insist import InsistingClient, NoTlsError
from voltgate.gateway.clock import Wheel
from voltgate.gateway.telemetry.metrics import Metrics

StartNats = Callable[..., NatsServer]


def test_the_overridden_method_of_nats_py_has_its_signature() -> None:
    """nats-py reads the server's first line with it, before it sends its own (``test_pin`` has the names)."""
    assert list(inspect.signature(nats_py.Client._process_info).parameters) == [
        "self", "info", "initial_connection",
    ]  # fmt: skip


async def quiet(_: Exception) -> None:
    pass


async def dial(url: str, context: ssl.SSLContext | None, **options: Any) -> InsistingClient:
    client = InsistingClient()
    try:
        await client.connect(url, tls=context, error_cb=quiet, **{**ONCE, **options})
    except BaseException:
        await client.close()
        raise
    return client


async def test_a_server_without_tls_gets_nothing_where_tls_was_asked_for() -> None:
    """Neither by ``tls://`` nor by ``nats.tls_ca``: no byte, and so no password, is sent."""
    received = bytearray()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.15.1","max_payload":1048576}\r\n')
        received.extend(await reader.read(1000))
        writer.close()

    async with listening(greet) as port:
        for scheme, context in (
            ("tls", None),
            ("tls", ssl.create_default_context()),
            ("nats", ssl.create_default_context()),
        ):
            with pytest.raises(NoTlsError):
                await dial(f"{scheme}://user:secret@127.0.0.1:{port}", context)
    assert received == b""


async def test_where_nothing_asks_for_tls_a_server_without_is_used(nats_server: NatsServer) -> None:
    client = await dial(nats_server.url, None)
    assert client.is_connected
    await client.close()


@pytest.mark.parametrize("scheme", ["tls", "nats"])
async def test_a_server_with_tls_is_used(start_nats: StartNats, tmp_path: Path, scheme: str) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server").pair
    server = start_nats("--tls", "--tlscert", certificate, "--tlskey", key)
    client = await dial(
        f"{scheme}://127.0.0.1:{server.port}", ssl.create_default_context(cafile=authority.file)
    )
    assert client.is_connected
    await client.close()


@pytest.mark.parametrize("asked", ["tls://", "nats.tls_ca"])
async def test_every_command_names_the_server_without_tls(
    nats_server: NatsServer, tmp_path: Path, asked: str
) -> None:
    url = nats_server.url.replace("nats://", "tls://" if asked == "tls://" else "nats://")
    ca = Authority(tmp_path).file if asked == "nats.tls_ca" else ""
    with pytest.raises(BusError, match=f"NATS at {url} offers no TLS"):
        await connect(Nats(url=url, tls_ca=ca))


async def test_the_bus_refuses_a_server_without_tls(nats_server: NatsServer) -> None:
    config = Nats(url=nats_server.url.replace("nats://", "tls://"))
    bus = Bus(config, Wheel(lambda: 0.0, lambda: 0.0), Metrics())
    with pytest.raises(BusError, match="offers no TLS"):
        await bus.start()
