"""The tokens that people decided on: ``ops.person.token.*`` of the stream ``OPS_PEOPLE`` (docs/csms.md).

The stream is read into memory and followed, so that a question is answered at once, also while the ledger is
away or rebuilds. An entry is ``{"token", "status", "group"}``; one with an empty body was removed.
"""

import asyncio
from contextlib import suppress

import orjson
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js.errors import NotFoundError

from voltgate.backend.tokens import STATUSES, Standing

log = structlog.get_logger()

STREAM = "OPS_PEOPLE"
HEARTBEAT = 2.0  # seconds; nats-py opens another consumer if two are missing
_POLL, _AGAIN, _ABSENT = 0.02, 1.0, 5.0  # seconds


class People:
    """See the module. ``unknown``: the status of a token that nobody decided on."""

    def __init__(self, nc: Client, prefix: str = "ops", unknown: str = "Accepted") -> None:
        self._nc, self._subject, self._unknown = nc, f"{prefix}.person.token.*", unknown
        self._known: dict[str, Standing] = {}
        self._read = asyncio.Event()

    def standing(self, token: str) -> Standing:
        """See Standings."""
        return self._known.get(token.lower()) or Standing(self._unknown)

    async def read(self) -> None:
        """Wait until the stream has been read once, or is known to be absent: no CSMS has run."""
        await self._read.wait()

    async def run(self) -> None:
        """Follow for the life of the process; the whole stream again after NATS was away."""
        while True:
            try:
                await self._follow()
            except NotFoundError:
                self._read.set()
                await asyncio.sleep(_ABSENT)
            except (Error, TimeoutError, OSError) as error:
                log.warning("people.unfollowed", error=str(error) or type(error).__name__)
                await asyncio.sleep(_AGAIN)

    async def _follow(self) -> None:
        entries = _Entries()
        reconnects = self._nc.stats["reconnects"]
        subscription = await self._nc.jetstream().subscribe(
            self._subject, stream=STREAM, cb=entries.take, ordered_consumer=True, idle_heartbeat=HEARTBEAT
        )
        try:
            while not entries.complete:
                info = await subscription.consumer_info()
                delivered = info.delivered.consumer_seq if info.delivered else 0
                entries.complete = info.num_pending == 0 and entries.taken >= delivered
                await asyncio.sleep(_POLL)
            self._known = entries.standings
            self._read.set()
            while self._nc.stats["reconnects"] == reconnects:  # noqa: ASYNC110 - nats-py has no event for it
                await asyncio.sleep(_AGAIN)
        finally:
            with suppress(Error, TimeoutError):
                await subscription.unsubscribe()


class _Entries:
    """What was read since the subscription."""

    def __init__(self) -> None:
        self.standings: dict[str, Standing] = {}
        self.taken = 0  # the number of the last message of this consumer
        self.complete = False
        self._tokens: dict[str, str] = {}  # subject -> token

    async def take(self, message: Msg) -> None:
        """One entry. One that cannot be read counts as removed."""
        self.taken = message.metadata.sequence.consumer
        self.standings.pop(self._tokens.pop(message.subject, ""), None)
        if not message.data:
            return
        try:
            entry = orjson.loads(message.data)
            token, status, group = entry["token"].lower(), entry["status"], entry.get("group") or ""
            if status not in STATUSES or not isinstance(group, str):
                raise ValueError("status or group")
        except (ValueError, KeyError, TypeError, AttributeError):
            log.warning("person.unreadable", kind="token", revision=message.metadata.sequence.stream)
            return
        self._tokens[message.subject] = token
        self.standings[token] = Standing(status, group)
