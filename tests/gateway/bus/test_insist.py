"""TLS that was asked for is insisted on, against real servers (docs/contract.md 4.2)."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nats.aio import client as nats_py

from certificates import Authority
from jetstream import ONCE, NatsServer
from voltgate.gateway.bus.insist import InsistingClient, NoTlsError

StartNats = Callable[..., NatsServer]


def test_what_is_overridden_is_still_there() -> None:
    """nats-py reads the server's first line with it, before it sends its own."""
    assert asyncio.iscoroutinefunction(nats_py.Client._process_info)
    assert {"_process_info", "_current_server", "_server_pool"} <= set(
        nats_py.Client._process_connect_init.__code__.co_names
    ) | set(vars(nats_py.Client())) | set(vars(nats_py.Client))


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

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        for scheme, context in (
            ("tls", None),
            ("tls", ssl.create_default_context()),
            ("nats", ssl.create_default_context()),
        ):
            with pytest.raises(NoTlsError, match="offers no TLS"):
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
