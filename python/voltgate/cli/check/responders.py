"""Which services answer questions, and where two answer the same one.

Only services of the NATS service API (``$SRV``) are seen: NATS does not show other subscribers to a client.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import orjson

from voltgate.cli.check.subjects import covers, meets
from voltgate.config import Config
from voltgate.gateway.preflight import Finding
from voltgate.service_api import ROOT

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

INFO = f"{ROOT}.INFO"
_FIRST, _REST = 1.0, 0.3  # seconds until the first reply, and for those that follow
_REPLIES = 1000
_NAMED = 3  # subjects of one service in a line


class Responder(NamedTuple):
    """The endpoints of equal services on one subject."""

    service: str
    group: str
    subject: str

    def __str__(self) -> str:
        return f"{self.service} ({f'queue group {self.group}' if self.group else 'no queue group'})"


async def responders(client: "Client", config: Config, complaints: list[str]) -> list[Finding]:
    """Ask all services for their endpoints. ``complaints``: the server's errors, filled meanwhile."""
    found = Counter[Responder]()
    async for info in _infos(client):
        found.update(set(_asked(info, f"{config.nats.rpc_prefix}.ask.>")))
    if not found and any(INFO.lower() in text.lower() for text in complaints):
        return [Finding("responders", "hint", "unknown", f"allow this user to publish to {INFO}")]
    return list(_rivals(found)) or [Finding("responders", "ok", _summary(found))]


async def _infos(client: "Client") -> AsyncIterator[bytes]:
    replies: asyncio.Queue[Msg] = asyncio.Queue()
    inbox = client.new_inbox()
    listening = await client.subscribe(inbox, cb=replies.put)
    await client.publish(INFO, b"", inbox)
    wait = _FIRST
    try:
        for _ in range(_REPLIES):
            yield (await asyncio.wait_for(replies.get(), wait)).data
            wait = _REST
    except TimeoutError:
        pass
    finally:
        await listening.unsubscribe()


def _asked(info: bytes, questions: str) -> Iterator[Responder]:
    """The endpoints of one instance that get questions; anybody may answer, with anything."""
    try:
        service = orjson.loads(info)
        endpoints = [(str(one["subject"]), str(one.get("queue_group", ""))) for one in service["endpoints"]]
        for subject, group in endpoints:
            if meets(subject, questions):
                yield Responder(str(service["name"]), group, subject)
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return


def _rivals(found: Counter[Responder]) -> Iterator[Finding]:
    """A hint for each two services that answer the same questions."""
    shared: dict[tuple[str, str, str], list[str]] = {}
    for one, other in combinations(sorted(found), 2):
        if meets(one.subject, other.subject) and one[:2] != other[:2]:
            text = (
                "some questions go to the one, some to the other"
                if one.group == other.group != ""
                else "both get each question, and the first answer wins"
            )
            narrow = other.subject if covers(one.subject, other.subject) else one.subject
            shared.setdefault((str(one), str(other), text), []).append(narrow)
    for (first, second, text), subjects in shared.items():
        remedy = "stop one, or exclude the action from it (voltgate backend --except ACTION)"
        yield Finding("responders", "hint", f"{first} and {second} answer {_list(subjects)}: {text}", remedy)
    for one, instances in found.items():
        if instances > 1 and not one.group:
            text = f"each of {instances} processes of {one.service} answers every question of {one.subject}"
            yield Finding("responders", "hint", text, "subscribe in a queue group")


def _summary(found: Counter[Responder]) -> str:
    by_service: dict[str, list[Responder]] = {}
    for one in sorted(found):
        by_service.setdefault(one.service, []).append(one)
    words = [
        f"{service} ({max(found[one] for one in rows)}) answers {_list([one.subject for one in rows])}"
        for service, rows in by_service.items()
    ]
    return "; ".join(words) or "no NATS service answers questions; other subscribers are not visible"


def _list(subjects: list[str]) -> str:
    more = len(subjects) - _NAMED
    return ", ".join(subjects[:_NAMED]) + (f" and {more} more" if more > 0 else "")
