"""Answer Authorize: python authorize.py TAG... These tags are accepted."""

import asyncio
import json
import signal
import sys

from nats.aio.client import Client
from nats.aio.msg import Msg

from network import connect


def answer(question: Msg, known: list[str]) -> bytes:
    """The answer to an Authorize of any version."""
    payload = json.loads(question.data)
    if question.subject.split(".")[2] == "v16":
        tag, field = payload["idTag"], "idTagInfo"
    else:
        tag, field = payload["idToken"]["idToken"], "idTokenInfo"
    return json.dumps({field: {"status": "Accepted" if tag in known else "Invalid"}}).encode()


async def authorize(nc: Client, known: list[str]) -> None:
    """Answer for all chargers, in the one queue group that answers this question."""

    async def respond(question: Msg) -> None:
        try:
            body, headers = answer(question, known), None
        except (LookupError, TypeError, ValueError):  # the gateway answers by its fallback at once
            body, headers = b"", {"Nats-Service-Error-Code": "500", "Nats-Service-Error": "no answer"}
        await nc.publish(question.reply, body, headers=headers)
        print(question.subject, body.decode(), flush=True)

    await nc.subscribe("ocpprpc.ask.*.Authorize.*", queue="authorize", cb=respond)


async def main() -> None:
    nc = await connect()
    await authorize(nc, sys.argv[1:])
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await nc.drain()  # answers what has arrived, and leaves the queue group first


if __name__ == "__main__":
    asyncio.run(main())
