"""Send a command: python command.py IDENTITY ACTION [JSON [SECONDS]]. Exit code 0 only for a result."""

import asyncio
import sys
from uuid import uuid4

from network import connect, send


async def main(identity: str, action: str, payload: str = "{}", seconds: str = "30") -> bool:
    nc = await connect()
    reply = await send(nc, identity, action, payload.encode(), str(uuid4()), float(seconds))
    await nc.close()
    print(reply.outcome, reply.body.decode())
    return reply.outcome == "result"


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(main(*sys.argv[1:])) else 1)
