"""Runs a block of Python that is a part of a program: what the text around it names is there."""

import ast
import asyncio
import inspect
import os
import signal
import sys
from pathlib import Path
from types import FunctionType
from typing import Any

import nats


async def known(token: bytes) -> bool:
    """A backend's own decision, which the page leaves to the reader: nobody may charge."""
    return not token


async def main(block: str) -> None:
    client = await nats.connect(os.environ["NATS_URL"])
    # What shows that the block has answered: nothing else in this process publishes.
    publish = client.publish

    async def shown(subject: str, *arguments: Any, **options: Any) -> None:
        print("answered", subject, flush=True)
        await publish(subject, *arguments, **options)

    client.publish = shown  # type: ignore[method-assign]
    names: dict[str, Any] = {"nc": client, "known": known}
    code = compile(block, "block.py", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    subscribed = ".subscribe(" in block
    running = FunctionType(code, names)()
    if inspect.isawaitable(running):
        await running
    if not subscribed:  # the block shows the handler alone
        (handler,) = (
            value for value in names.values() if inspect.iscoroutinefunction(value) and value is not known
        )
        await client.subscribe("ocpprpc.ask.v16.Authorize.*", queue="tokens", cb=handler)
    await client.flush()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    await stop.wait()
    await client.close()


asyncio.run(main(Path(sys.argv[1]).read_text()))
