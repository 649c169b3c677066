"""Runs a block of Python that shows the handler of a question, and calls it for each Authorize."""

import asyncio
import inspect
import os
import signal
import sys
from pathlib import Path
from typing import Any

import nats


async def main(block: str) -> None:
    client = await nats.connect(os.environ["NATS_URL"])
    # What shows that the block has answered: nothing else in this process publishes.
    publish = client.publish

    async def shown(subject: str, *arguments: Any, **options: Any) -> None:
        print("answered", subject, flush=True)
        await publish(subject, *arguments, **options)

    client.publish = shown  # type: ignore[method-assign]
    names: dict[str, Any] = {}
    exec(compile(block, "block.py", "exec"), names)  # the block shows the handler alone
    (handler,) = (value for value in names.values() if inspect.iscoroutinefunction(value))
    await client.subscribe("ocpprpc.ask.v16.Authorize.*", queue="tokens", cb=handler)
    await client.flush()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    await stop.wait()
    await client.close()


asyncio.run(main(Path(sys.argv[1]).read_text()))
