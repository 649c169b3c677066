"""A backend that commands the chargers as a sane one does: the same id again until it knows how it ended."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

import nats.errors
from nats.aio.client import Client

from voltgate import _core
from voltgate.charger.messages import VENDOR
from voltgate.gateway.bus import uplink

HANDS = 6  # commands under way at once; some wait for a charger that is away
PAUSE = 0.1  # seconds before a hand takes up the next, or the same once more
# ocpp-timeout; a frozen gateway answers nothing, so a caller waits longer (docs/contract.md 3.5)
TIMEOUT = 3.0
PATIENCE = 1.5

# Nothing was sent: the command may be given again, and is.
UNSENT = {"no responders", "busy", "expired", "gone", "unavailable"}
# Nobody knows yet: asked once more under the same id.
UNKNOWN = {"timeout", "lost"}


class Commander:
    """``async with``: it commands; :meth:`leave` lets it bring what it began to an end."""

    def __init__(self, urls: Sequence[str], identities: Sequence[str], chance: random.Random) -> None:
        self.outcomes: dict[str, str] = {}  # by command id; "" while nobody knows
        self.tries = Counter[str]()  # what every single request came to
        self._urls, self._identities, self._chance = urls, identities, chance
        self._client = Client()
        self._hands: list[asyncio.Task[None]] = []
        self._leaving = False

    async def __aenter__(self) -> "Commander":
        async def quiet(error: Exception) -> None:
            del error  # servers come and go here

        # nats-py's own transport forgets to close a connection in which no server greeted.
        uplink.attach(self._client, list(self._urls))
        await self._client.connect(
            list(self._urls),
            error_cb=quiet,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.2,  # type: ignore[arg-type]  # it waits any time
            ping_interval=1,
            max_outstanding_pings=2,
        )
        self._hands = [asyncio.create_task(self._work(hand)) for hand in range(HANDS)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hand in self._hands:
            hand.cancel()
        await asyncio.gather(*self._hands, return_exceptions=True)
        with suppress(nats.errors.Error, OSError):
            await self._client.close()

    @property
    def waiting(self) -> int:
        """Commands that have not ended."""
        return sum(not hand.done() for hand in self._hands)

    def leave(self) -> None:
        """No new command."""
        self._leaving = True

    async def _work(self, hand: int) -> None:
        number = 0
        while not self._leaving:
            number += 1
            command_id = f"{hand}-{number}"
            self.outcomes[command_id] = ""
            self.outcomes[command_id] = await self._command(command_id, self._chance.choice(self._identities))
            await asyncio.sleep(PAUSE)

    async def _command(self, command_id: str, identity: str) -> str:
        """Give it until it is known how it ended; what is unknown twice stays so."""
        unknown = 0
        while True:
            outcome = await self._try(command_id, identity)
            self.tries[outcome] += 1
            unknown += outcome in UNKNOWN
            if outcome not in UNSENT | UNKNOWN | {"no reply"} or unknown == 2:
                return outcome
            await asyncio.sleep(PAUSE)

    async def _try(self, command_id: str, identity: str) -> str:
        body = json.dumps({"vendorId": VENDOR, "data": command_id}).encode()
        headers = {"ocpp-command-id": command_id, "ocpp-timeout": str(TIMEOUT)}
        subject = f"ocpprpc.send.DataTransfer.{_core.token(identity)}"
        try:
            reply = await self._client.request(subject, body, TIMEOUT + PATIENCE, headers=headers)
        except nats.errors.NoRespondersError:
            return "no responders"
        except (nats.errors.Error, OSError):
            return "no reply"
        return (reply.headers or {}).get("ocpp-outcome", "without an outcome")
