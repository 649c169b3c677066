"""What the backend asks the ledger: ``ops.ask.*`` (docs/csms.md). Without a reply in time it does without.

A charger waits for its answer, so the ledger has 300 ms. ``None`` always means: not known, and nobody says so
to the charger. An absent cost is not a cost of 0.
"""

from typing import Any

import orjson
from nats.aio.client import Client
from nats.errors import Error

PATIENCE = 0.3  # seconds


class Ledger:
    """Questions to the ledger on one connection."""

    def __init__(self, nc: Client, prefix: str = "ops") -> None:
        self._nc, self._prefix = nc, prefix

    async def cost(self, charger: str, transaction: str, event: dict[str, Any]) -> float | None:
        """The cost so far, or in total, with tax, in the currency of the site.

        ``event``: the TransactionEvent behind the question, which the ledger may not have folded yet.
        """
        reply = await self._ask("cost", {"charger": charger, "transaction": transaction, "event": event})
        cost = reply.get("cost")
        try:
            return None if cost is None else float(cost)
        except (TypeError, ValueError):
            return None

    async def open_sessions(self, token: str, key: str) -> int | None:
        """The open sessions of a token, but for the one whose first message has this ``ocpp-key``."""
        count = (await self._ask("open", {"token": token, "but": key})).get("open")
        return count if isinstance(count, int) else None

    async def tariffs(self, chargers: list[str]) -> dict[str, dict[str, Any] | None]:
        """The tariff of each charger as 2.1 has it, None where it has none. Not known: absent."""
        tariffs = (await self._ask("tariffs", {"chargers": chargers})).get("tariffs")
        return tariffs if isinstance(tariffs, dict) else {}

    async def _ask(self, what: str, question: dict[str, Any]) -> dict[str, Any]:
        """The reply; empty if there is none."""
        try:
            subject = f"{self._prefix}.ask.{what}"
            reply = await self._nc.request(subject, orjson.dumps(question), timeout=PATIENCE)
            answer = orjson.loads(reply.data)
        except (Error, ValueError):
            return {}
        return answer if isinstance(answer, dict) else {}
