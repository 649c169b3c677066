"""What tests of ``voltgate chargers`` do with its registry."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from nats.aio.client import Client

Run = Callable[..., tuple[int, str, str]]
"""Run a command of the group: exit code, stdout, stderr."""
OnNats = Callable[[Callable[[Client], Awaitable[Any]]], Any]
"""Do something with a plain client."""
Kept = Callable[[str], Any]
"""The record under a key of the bucket, as it is."""


async def put(client: Client, key: str, record: Any) -> None:
    bucket = await client.jetstream().key_value("ocpp_chargers")
    await bucket.put(key, record if isinstance(record, bytes) else json.dumps(record).encode())
