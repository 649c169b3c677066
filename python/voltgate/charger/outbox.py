"""Transaction messages wait here until the CSMS has taken them over (OCPP.md C). No socket of its own."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson

from voltgate.charger.behaviour import Behaviour, Stats
from voltgate.charger.link import Answer, LinkLostError
from voltgate.charger.messages import Payload, Transaction

UNKNOWN_TRANSACTION = -1  # what chargers send when the CSMS never gave an id (OCPP.md B)


@dataclass(slots=True, eq=False)
class Queued:
    """One transaction message. Its body is fixed when it is first sent, so every resend is identical."""

    action: str
    payload: Payload
    transaction: Transaction | None = None
    id: str = ""
    body: bytes = b""
    sends: int = 0
    failures: int = 0
    due: float = 0.0
    """Loop time before which it is not sent again."""


class Outbox:
    """In order, one at a time, across connections.

    A CALLERROR or no answer is a failed attempt: the next waits ``retry_interval`` x (number of failed
    ones), and after ``attempts`` the message is dropped. A connection that ends under an open message is
    no attempt: the charger was offline, and sends it again as soon as it is back.

    ``settled(message, answer)`` is called at every answer, CALLERRORs included; ``dropped(message)``
    when one is given up.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        stats: Stats,
        new_id: Callable[[], str],
        settled: Callable[[Queued, Answer], None],
        dropped: Callable[[Queued], None],
    ) -> None:
        self._behaviour = behaviour
        self._stats = stats
        self._new_id = new_id
        self._settled = settled
        self._dropped = dropped
        self._queue: deque[Queued] = deque()
        self._filled = asyncio.Event()
        self.empty = asyncio.Event()
        self.empty.set()

    def __len__(self) -> int:
        return len(self._queue)

    def holds(self, transaction: int | str) -> bool:
        """Whether any message of that transaction still waits."""
        return any(m.transaction and m.transaction.id == transaction for m in self._queue)

    def put(self, message: Queued) -> None:
        """Behind all others, whether there is a connection or not."""
        self._queue.append(message)
        self._filled.set()
        self.empty.clear()

    async def run(self, call: Callable[[str, bytes, str], Awaitable[Answer]]) -> None:
        """Send through one connection until it is lost."""
        while True:
            await self._filled.wait()
            message = self._queue[0]
            await asyncio.sleep(message.due - asyncio.get_running_loop().time())
            self._fix(message)
            try:
                answer = await call(message.action, message.body, message.id)
            except TimeoutError:
                message.sends += 1
                self._failed(message)
                continue
            except LinkLostError as lost:
                message.sends += lost.sent
                raise
            message.sends += 1
            self._settled(message, answer)
            if answer.code:
                self._failed(message)
            else:
                self._remove()

    def _fix(self, message: Queued) -> None:
        if not message.body:
            if message.transaction and message.payload.get("transactionId", 0) is None:
                message.payload["transactionId"] = message.transaction.id
            message.body = orjson.dumps(message.payload)
        if not message.id or not self._behaviour.reuse_ids:
            message.id = self._new_id()

    def _failed(self, message: Queued) -> None:
        message.failures += 1
        wait = self._behaviour.retry_interval * message.failures
        message.due = asyncio.get_running_loop().time() + wait
        if message.failures >= self._behaviour.attempts:
            self._stats.dropped += 1
            if message.action == "StartTransaction" and message.transaction:
                message.transaction.id = UNKNOWN_TRANSACTION
            self._remove()
            self._dropped(message)

    def _remove(self) -> None:
        self._queue.popleft()
        if not self._queue:
            self._filled.clear()
            self.empty.set()
