"""Chargers that log in over TLS all at once, each by a full handshake, in a process of their own.

    python -m e2e.storm PORT CHARGERS CA

Prints the status of each answer. They are raw sockets: a client of a library costs more than the gateway.
"""

import asyncio
import ssl
import sys

from e2e.logins import KEY, login
from e2e.strangers import answer_of, request


async def status(port: int, identity: str, context: ssl.SSLContext) -> int:
    """The answer to one charger, which stays connected until the process ends."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost", ssl_handshake_timeout=60.0
    )
    writer.write(request(f"/{identity}", Authorization=login(identity, KEY)))
    answer = await answer_of(reader, writer)
    return answer.status


async def main(port: int, chargers: int, ca: str) -> None:
    """See the module."""
    context = ssl.create_default_context(cafile=ca)
    for one in await asyncio.gather(
        *(status(port, f"storm-{number}", context) for number in range(chargers))
    ):
        sys.stdout.write(f"{one}\n")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
