"""The reference backend in the NATS service API: ``$SRV`` (docs/contract.md 3.7)."""

import time
from collections.abc import Awaitable, Callable, Mapping
from uuid import uuid4

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from voltgate import __version__
from voltgate.service_api import Counts, Endpoint, Service

NAME = "voltgate-backend"


class Tally:
    """Counts the questions on one subject."""

    def __init__(self) -> None:
        self._requests = self._errors = 0
        self._seconds = 0.0

    async def count(self, reply: Awaitable[bool]) -> None:
        """One question, and the seconds until its reply, which says whether there was an answer."""
        began = time.monotonic()
        self._errors += not await reply
        self._requests += 1
        self._seconds += time.monotonic() - began

    def counts(self) -> Counts:
        """So far."""
        return Counts(self._requests, self._errors, self._seconds)


class Services:
    """Answers for one instance."""

    def __init__(
        self, nc: Client, may_answer: Callable[[str], bool], group: str, tallies: Mapping[str, Tally]
    ) -> None:
        """``tallies``: by the subject of the questions."""
        endpoints = [
            Endpoint(_name(subject), subject, group, tally.counts) for subject, tally in tallies.items()
        ]
        self._nc, self._may_answer = nc, may_answer
        self._service = Service(NAME, uuid4().hex, __version__, "Answers to chargers", endpoints)

    async def subscribe(self) -> list[Subscription]:
        """Begin to answer; the subscriptions end it."""
        return [await self._nc.subscribe(one, cb=self._asked) for one in self._service.subjects()]

    async def _asked(self, msg: Msg) -> None:
        if self._may_answer(msg.reply):
            body = self._service.answer(msg.subject, time.monotonic())
            if body is not None:
                await self._nc.publish(msg.reply, body)


def _name(subject: str) -> str:
    """``ask`` for all questions, else their action."""
    return "ask" if subject.endswith(".>") else subject.split(".")[-2]
