"""The reference backend on a nats-server, the questions it is asked, and who answers in place of a CSMS."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import nats
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg

from voltgate.backend import run


@asynccontextmanager
async def backend_on(nc: Client, asker: Client | None = None, **options: Any) -> AsyncIterator[None]:
    """A backend that is subscribed when the block begins and drained when it has ended.

    ``asker``: who may ask, if the backend's own connection may not.
    """
    stop = asyncio.Event()
    answering = asyncio.create_task(run(nc, stop, **options))
    subject = "ocpprpc.ask.v16.Heartbeat.probe"
    while True:
        try:
            await (asker or nc).request(subject, b"{}", timeout=5)
            break
        except nats.errors.NoRespondersError:
            assert not answering.done()
    yield
    stop.set()
    await asyncio.wait_for(answering, 5)


async def ask(nc: Client, what: str, body: bytes, key: str = "", prefix: str = "ocpprpc") -> Msg:
    headers = {"ocpp-key": key, "ocpp-session": "s1"} if key else None
    return await nc.request(f"{prefix}.ask.{what}.CP001", body, timeout=5, headers=headers)


class Answering:
    """A service beside the backend: a ledger, or the gateway. ``answers``: by a token of the subject."""

    def __init__(self, nc: Client, answers: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self.answers, self.headers = answers, headers
        self.asked: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        """Subject, body, headers."""
        self._nc, self._news = nc, asyncio.Condition()

    async def listen(self, subject: str) -> "Answering":
        """Answer from now on; what has no answer is noted and not answered."""
        await self._nc.subscribe(subject, cb=self._take)
        await self._nc.flush()
        return self

    async def until(self, count: int) -> None:
        """Wait for this many questions."""
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: len(self.asked) >= count)

    async def _take(self, msg: Msg) -> None:
        self.asked.append((msg.subject, orjson.loads(msg.data), dict(msg.headers or {})))
        for token in msg.subject.split("."):
            if token in self.answers:
                await self._nc.publish(msg.reply, orjson.dumps(self.answers[token]), headers=self.headers)
        async with self._news:
            self._news.notify_all()
