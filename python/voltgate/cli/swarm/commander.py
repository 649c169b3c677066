"""Commands to the chargers of a swarm over NATS (``--commands``, ``--fan-out``): outcomes and round trips."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from voltgate import _core
from voltgate.charger.tally import Latencies
from voltgate.cli.service import connected
from voltgate.cli.swarm.figures import row
from voltgate.config import Config
from voltgate.ending import ended

if TYPE_CHECKING:
    from nats.aio.client import Client

TIMEOUT = 35.0  # a gateway answers after 30 at the latest


class Commander:
    """Connected to NATS during its block. An open loop: no command waits for an earlier one."""

    def __init__(
        self, config: Config, identities: list[str], rate: float, command: tuple[str, bytes], *, once: bool
    ) -> None:
        self._config, self._identities, self._rate = config, identities, rate
        self._action, self._body = command
        self._once = once
        """Whether every charger gets one command, instead of random ones."""
        self._latencies, self._outcomes = Latencies(), Counter[str]()
        self._open: dict[asyncio.Task[None], float] = {}

    async def __aenter__(self) -> Self:
        self._connection = connected(self._config, "voltgate-swarm")
        self._client: Client = await self._connection.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await ended(self._open)
        await self._connection.__aexit__(kind, error, trace)

    async def load(self, seconds: float) -> None:
        """Send for ``seconds``, or once to every charger, and wait for the replies."""
        began = due = monotonic()
        rng = random.Random()  # noqa: S311 - a simulation
        for identity in self._targets(rng):
            due += rng.expovariate(self._rate)
            if not self._once and due - began > seconds:
                break
            await asyncio.sleep(max(0.0, due - monotonic()))
            task = asyncio.create_task(self._send(identity, due))
            self._open[task] = due
            task.add_done_callback(self._open.pop)
        while self._open:
            await asyncio.wait(list(self._open))

    def _targets(self, rng: random.Random) -> Iterator[str]:
        if self._once:
            yield from rng.sample(self._identities, len(self._identities))
            return
        while True:
            yield rng.choice(self._identities)

    async def _send(self, identity: str, due: float) -> None:
        from nats.errors import Error  # noqa: PLC0415 - not every command needs NATS

        subject = f"{self._config.nats.rpc_prefix}.send.{self._action}.{_core.token(identity)}"
        try:
            reply = await self._client.request(subject, self._body, timeout=TIMEOUT)
            outcome = (reply.headers or {}).get("ocpp-outcome", "unknown")
        except (Error, TimeoutError) as error:
            outcome = OUTCOMES.get(type(error).__name__, "unknown")
        self._outcomes[outcome] += 1
        self._latencies.add(monotonic() - due)

    def figures(self) -> dict[str, Any]:
        """As a part of the output of ``--json``; a command without a reply counts at its age."""
        now = monotonic()
        for due in self._open.values():
            self._outcomes["unanswered"] += 1
            self._latencies.add(now - due)
        errors = self._outcomes.total() - self._outcomes["result"]
        return {"errors": errors, "outcomes": dict(self._outcomes), **row(self._latencies)}


OUTCOMES = {"NoRespondersError": "not_connected", "TimeoutError": "unanswered"}
