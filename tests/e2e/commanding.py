"""Commands as a backend sends them, and chargers that they reach."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError

from e2e.house import PATIENCE, Gateway
from e2e.strangers import Charger, dial, token


async def send(
    client: Client, identity: str, action: str, payload: Any = None, **headers: str
) -> tuple[str, Msg]:
    """One command and how it ended."""
    body = json.dumps(payload or {}).encode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    subject = f"ocpprpc.send.{action}.{token(identity)}"
    reply = await client.request(subject, body, timeout=PATIENCE, headers=given or None)
    told = reply.headers or {}
    assert ("Nats-Service-Error-Code" in told) == (told["ocpp-outcome"] != "result")
    return told["ocpp-outcome"], reply


async def commandable(client: Client, identity: str) -> None:
    """Wait until commands reach the charger: its link is stored first, then the gateway listens."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await send(client, identity, "Nonsense")
                return
            except NoRespondersError:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def commanded(
    house: Gateway, client: Client, identity: str, version: str = "v16"
) -> AsyncIterator[Charger]:
    """A charger that commands reach; it answers nothing by itself."""
    async with dial(house.port, identity, version) as charger:
        await commandable(client, identity)
        yield charger


async def heard_call(charger: Charger) -> str:
    """The message id of the CALL that comes next."""
    kind, message_id, *_ = json.loads(await charger.hear())
    assert kind == 2
    return str(message_id)
