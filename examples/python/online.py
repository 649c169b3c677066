"""List the chargers that are connected: python online.py."""

import asyncio
import json

from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from network import connect


async def online(nc: Client) -> list[dict[str, str]]:
    """The links of the chargers that are connected: the last of each charger, where it is an ``up``."""
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.LAST_PER_SUBJECT, ack_policy=AckPolicy.NONE, inactive_threshold=30
    )
    consumer = await nc.jetstream().pull_subscribe("ocpp.link.*", stream="OCPP_LINKS", config=config)
    pending = (await consumer.consumer_info()).num_pending or 0
    links: list[dict[str, str]] = []
    while len(links) < pending:
        links += [
            json.loads(message.data) for message in await consumer.fetch(min(100, pending - len(links)))
        ]
    await consumer.unsubscribe()
    return [link for link in links if link["state"] == "up"]


async def main() -> None:
    nc = await connect()
    for link in await online(nc):
        print(link["identity"], link["version"])
    await nc.close()


if __name__ == "__main__":
    asyncio.run(main())
