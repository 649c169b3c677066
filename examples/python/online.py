"""List the chargers that are connected: python online.py."""

import asyncio
import json

from nats.aio.client import Client

from network import connect, latest


async def online(nc: Client) -> list[dict[str, str]]:
    """The links of the chargers that are connected: the last of each charger, where it is an ``up``."""
    links = [json.loads(message.data) for message in await latest(nc, "OCPP_LINKS", "ocpp.link.*")]
    return [link for link in links if link["state"] == "up"]


async def main() -> None:
    nc = await connect()
    for link in await online(nc):
        print(link["identity"], link["version"])
    await nc.close()


if __name__ == "__main__":
    asyncio.run(main())
