"""Whether a second JetStream stores what gateways publish: a hub and a leaf node of one account, for example.

Every fact is then stored twice. The API of JetStream shows one domain only, so a message is published that
every stream on its subject must refuse, and the refusals are counted.
"""

import asyncio
from typing import TYPE_CHECKING

from voltgate.config import Config
from voltgate.gateway.preflight import Finding

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

_FIRST, _REST = 2.0, 0.3  # seconds until the first refusal, and for those that follow


async def copies(client: "Client", config: Config) -> Finding:
    """Count the streams that take a fact.

    Its subject has a token more than facts of its class: ``ocpp.violation.*`` does not see it.
    """
    refusals: asyncio.Queue[Msg] = asyncio.Queue()
    inbox = client.new_inbox()
    listening = await client.subscribe(inbox, cb=refusals.put)
    subject = f"{config.nats.prefix}.violation.check.copies"
    await client.publish(subject, b"", inbox, {"Nats-Expected-Stream": "none"})
    stores, wait = 0, _FIRST
    try:
        while True:
            refusal = await asyncio.wait_for(refusals.get(), wait)
            stores += b'"stream"' in refusal.data
            wait = _REST
    except TimeoutError:
        pass
    finally:
        await listening.unsubscribe()
    prefix = config.nats.prefix
    if stores > 1:
        found = f"{stores} streams store what is published below {prefix}: every fact is stored twice"
        remedy = f"deny {prefix}.> between the hub and its leaf nodes, or use one JetStream"
        return Finding("copies", "fail", found, remedy)
    if not stores:
        return Finding("copies", "hint", "unknown", f"allow this user to publish to {subject}")
    return Finding("copies", "ok", "one JetStream stores what gateways publish")
