"""What the console writes to NATS: decisions to ``OPS_SET``, people to ``OPS_PEOPLE``.

A write with an expected revision happens only if that is the last of its subject: of two people who change
one thing, one is refused.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import orjson
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.errors import APIError

from voltgate.csms.console import people
from voltgate.csms.console.problems import Kind, Problem
from voltgate.csms.ledger import decisions

EXPECTED = "Nats-Expected-Last-Subject-Sequence"
WRONG_LAST = 10_071  # of the error of JetStream
GONE_AFTER = timedelta(minutes=1)  # readers that were away longer read the whole stream again


class Writer:
    """Raises Problem: CHANGED where the expected revision is not the last, UNAVAILABLE without NATS."""

    def __init__(
        self,
        jetstream: JetStreamContext,
        prefix: str,
        followed: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        """``followed``: wait until this process has read a revision of ``OPS_PEOPLE``."""
        self._jetstream, self._prefix, self._followed = jetstream, prefix, followed

    async def decide(  # noqa: PLR0913 - a decision
        self,
        kind: decisions.Kind,
        id_: str,
        body: dict[str, Any],
        *,
        by: str,
        at: datetime,
        why: str = "",
        valid_from: datetime | None = None,
        expected: int | None = None,
    ) -> int:
        """Store a decision; its revision."""
        subject = decisions.subject(self._prefix, kind, id_)
        data = decisions.encoded(by=by, at=at, body=body, why=why, valid_from=valid_from)
        return await self._store(subject, data, expected)

    async def put(
        self,
        kind: people.Kind,
        id_: str,
        body: dict[str, Any],
        *,
        expected: int | None = None,
        lasts: timedelta | None = None,
    ) -> int:
        """Store an entry of a person; its revision. NATS forgets it after ``lasts``."""
        subject = people.subject(self._prefix, kind, id_)
        return await self._person(await self._store(subject, orjson.dumps(body), expected, lasts))

    async def remove(self, kind: people.Kind, id_: str, expected: int | None = None) -> None:
        """Remove an entry. An empty one takes its place until every reader has seen it."""
        subject = people.subject(self._prefix, kind, id_)
        await self._person(await self._store(subject, b"", expected, GONE_AFTER))

    async def _person(self, revision: int) -> int:
        if self._followed is not None:
            await self._followed(revision)
        return revision

    async def _store(
        self, subject: str, data: bytes, expected: int | None, lasts: timedelta | None = None
    ) -> int:
        headers = {} if expected is None else {EXPECTED: str(expected)}
        try:
            ack = await self._jetstream.publish(
                subject,
                data,
                headers=headers or None,
                msg_ttl=None if lasts is None else lasts.total_seconds(),
            )
        except APIError as error:
            if error.err_code == WRONG_LAST:
                raise Problem(Kind.CHANGED) from None
            raise Problem(Kind.UNAVAILABLE, f"NATS: {error.description}") from None
        except (Error, TimeoutError) as error:
            raise Problem(Kind.UNAVAILABLE, f"NATS: {str(error) or type(error).__name__}") from None
        return ack.seq
