"""What the console writes to NATS: decisions to ``OPS_SET``, people to ``OPS_PEOPLE``.

A write with an expected revision happens only if that is the last of its subject: of two people who change
one thing, one is refused.
"""

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
NEVER = 0  # the revision of what is not there
GONE_AFTER = timedelta(minutes=10)  # readers that were away longer read the whole stream again


class Writer:
    """Raises Problem: CHANGED where the expected revision is not the last, UNAVAILABLE without NATS."""

    def __init__(self, jetstream: JetStreamContext, prefix: str) -> None:
        self._jetstream, self._prefix = jetstream, prefix

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
        return await self._store(people.subject(self._prefix, kind, id_), orjson.dumps(body), expected, lasts)

    async def remove(self, kind: people.Kind, id_: str, expected: int | None = None) -> None:
        """Remove an entry. An empty one takes its place until every reader has seen it."""
        await self._store(people.subject(self._prefix, kind, id_), b"", expected, GONE_AFTER)

    async def _store(
        self, subject: str, data: bytes, expected: int | None, lasts: timedelta | None = None
    ) -> int:
        headers = {} if expected is None else {EXPECTED: str(expected)}
        try:
            ack = await self._jetstream.publish(
                subject, data, headers=headers or None, msg_ttl=lasts and lasts.total_seconds()
            )
        except APIError as error:
            if error.err_code == WRONG_LAST:
                raise Problem(Kind.CHANGED) from None
            raise Problem(Kind.UNAVAILABLE, f"NATS: {error.description}") from None
        except (Error, TimeoutError) as error:
            raise Problem(Kind.UNAVAILABLE, f"NATS: {str(error) or type(error).__name__}") from None
        return ack.seq
