"""``nats sub``, ``reply`` and ``req`` as the documentation uses them, where the nats CLI is not installed.

Written with nats-py; options and output are those of the nats CLI that the pages show.
"""

import argparse
import asyncio
import os
import signal

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg


async def main() -> None:
    parser = argparse.ArgumentParser(prog="nats")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("sub").add_argument("subject")
    reply = verbs.add_parser("reply")
    reply.add_argument("--queue", default="NATS-RPLY-22")
    request = verbs.add_parser("req")
    request.add_argument("--timeout", default="5s")
    for one in (reply, request):
        one.add_argument("subject")
        one.add_argument("body")
    given = parser.parse_args()
    client = await nats.connect(os.environ["NATS_URL"])
    try:
        await {"sub": sub, "reply": answer, "req": ask}[given.verb](client, given)
    finally:
        await client.close()


async def sub(client: Client, given: argparse.Namespace) -> None:
    await client.subscribe(given.subject, cb=show)
    await ended(client)


async def answer(client: Client, given: argparse.Namespace) -> None:
    async def respond(message: Msg) -> None:
        await show(message)
        await message.respond(given.body.encode())

    await client.subscribe(given.subject, given.queue, cb=respond)
    await ended(client)


async def ask(client: Client, given: argparse.Namespace) -> None:
    timeout = float(given.timeout.removesuffix("s"))
    await show(await client.request(given.subject, given.body.encode(), timeout))


async def show(message: Msg) -> None:
    print(f"[#] Received on {message.subject!r}", message.headers or {}, message.data.decode(), flush=True)


async def ended(client: Client) -> None:
    await client.flush()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


asyncio.run(main())
