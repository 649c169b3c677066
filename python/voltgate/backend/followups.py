"""What a backend does after a fact, unasked: commands about money, missing events, pending boots.

- An answer that announces a command (``Later``): that command, by the instance that has answered.
- A boot that was answered Pending: what a pending charger is asked for, then TriggerMessage when it is not
  pending any more. Only where there is a file of boots.
- A gap in ``seqNo``: GetTransactionStatus; the ledger reads the answer and knows whether to wait.
- An Updated event: CostUpdated with the cost so far, at most once in ``cost_interval`` a transaction.
- A boot of a 2.1 charger, and a tick after which it has another tariff: SetDefaultTariff or ClearTariffs.

Every instance of a backend does this. Their commands have the same ``ocpp-command-id``, so that the gateway
sends one. Memory is bounded: what is forgotten is a gap that is not noticed, or a command that is repeated.
"""

import asyncio
import hashlib
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

import orjson
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error
from nats.js.api import DeliverPolicy
from nats.js.errors import NotFoundError

from voltgate.backend.boots import ASKED, Boots
from voltgate.backend.bounded import Bounded
from voltgate.backend.ledger import Ledger
from voltgate.backend.payloads import payload, text
from voltgate.backend.rules import Command, Rules
from voltgate.ending import ended

log = structlog.get_logger()

COMMANDS = (
    "CertificateSigned",
    "ClearTariffs",
    "CostUpdated",
    "GetBaseReport",
    "GetConfiguration",
    "GetTransactionStatus",
    "SetChargingProfile",
    "SetDefaultTariff",
    "TriggerMessage",
)
# Facts, without their prefix.
BOOTS = "event.*.BootNotificationResponse.*"
TRANSACTIONS = ("tx.v201.TransactionEvent.*", "tx.v21.TransactionEvent.*")
ANNOUNCED = tuple(
    f"event.*.{action}Response.*"
    for action in ("NotifyEVChargingNeeds", "NotifyEVChargingSchedule", "SignCertificate")
)
FOLLOWED = (*TRANSACTIONS, *ANNOUNCED, BOOTS)
BATCH = 200  # chargers in a question for tariffs
AGAIN = 5.0  # seconds
PENDING_SECONDS = 2.0  # between two looks at the file of boots
AT_ONCE = 20  # chargers that are sent a tariff at the same time
REPLY_SECONDS = 35.0  # longer than the gateway waits for a charger
# A charger that answers so does not have the function; asked again after its next boot.
LACKING = frozenset({"NotImplemented", "NotSupported"})


@dataclass(frozen=True, slots=True)
class Names:
    """Prefixes: of facts, of questions and commands, of streams, of the CSMS."""

    facts: str = "ocpp"
    rpc: str = "ocpprpc"
    streams: str = "OCPP"
    ops: str = "ops"


class Followups:
    """See the module. Chargers are named by their tokens in subjects."""

    def __init__(self, nc: Client, ledger: Ledger, names: Names, rules: Rules) -> None:
        self._nc, self._ledger, self._names, self._rules = nc, ledger, names, rules
        self._pending: Bounded[str, str] = Bounded()  # charger -> the fact of its boot
        self._last: Bounded[tuple[str, str], int] = Bounded()  # (charger, transaction) -> seqNo
        self._costs: Bounded[tuple[str, str], float] = Bounded()  # when the last one was sent
        # Transactions whose cost is asked for, and their newest event meanwhile
        self._asking: dict[tuple[str, str], tuple[int, dict[str, Any]] | None] = {}
        self._lacking: Bounded[tuple[str, str], None] = Bounded()  # (charger, action)
        self._online: set[str] = set()  # 2.1 chargers
        self._tariffs: Bounded[str, Tariff] = Bounded()  # charger -> what it was sent
        self._pushing: set[str] = set()  # chargers that one is on its way to
        self._paced = asyncio.Semaphore(AT_ONCE)
        self._due = asyncio.Event()
        self._ticked = ""  # time of the last tick
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """For the life of the process."""
        names = self._names
        subscriptions = [
            await self._nc.subscribe(subject, cb=work)
            for subject, work in (
                *((f"{names.facts}.{facts}", self._event) for facts in TRANSACTIONS),
                *((f"{names.facts}.{facts}", self._answered) for facts in ANNOUNCED),
                (f"{names.facts}.{BOOTS}", self._booted),
                (f"{names.ops}.tick", self._tick),
            )
        ]
        try:
            if self._rules.boots:
                self._start(self._release(self._rules.boots))
            subscriptions.append(await self._links())
            while True:
                await self._due.wait()
                self._due.clear()
                await self._push(sorted(self._online), self._ticked)
        finally:
            await ended(self._running)
            with suppress(Error, TimeoutError):
                for subscription in subscriptions:
                    await subscription.unsubscribe()

    async def _links(self) -> Subscription:
        """Who is connected, and every change."""
        while True:
            try:
                return await self._nc.jetstream().subscribe(
                    f"{self._names.facts}.link.*",
                    stream=f"{self._names.streams}_LINKS",
                    cb=self._link,
                    ordered_consumer=True,
                    deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
                )
            except NotFoundError:  # no gateway has run yet
                await asyncio.sleep(AGAIN)
            except (Error, TimeoutError) as error:
                log.warning("links.unfollowed", error=str(error) or type(error).__name__)
                await asyncio.sleep(AGAIN)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    # Transactions

    async def _event(self, message: Msg) -> None:
        charger, event = message.subject.rsplit(".", 1)[1], payload(message.data)
        self._rules.saw(charger, event)
        transaction, kind = text(event, "transactionInfo", "transactionId"), text(event, "eventType")
        number, about = event.get("seqNo"), (charger, transaction)
        if not transaction or not isinstance(number, int):
            return
        last = self._last.get(about)
        if last is not None and number > last + 1:
            self._start(self._missed(charger, transaction, number))
        if kind == "Ended":
            self._last.pop(about, None)
            self._costs.pop(about, None)
        else:
            self._last[about] = number if last is None else max(last, number)
        without = event.get("offline") or (charger, "CostUpdated") in self._lacking
        now = monotonic()
        pause = self._rules.cost_interval
        if kind != "Updated" or without:
            return
        if about in self._asking:
            self._asking[about] = number, event
        elif now - self._costs.get(about, -pause) >= pause:
            self._costs[about], self._asking[about] = now, None
            self._start(self._cost(charger, transaction, number, event))

    async def _missed(self, charger: str, transaction: str, number: int) -> None:
        body = {"transactionId": transaction}
        await self._send(charger, "GetTransactionStatus", body, f"gap/{transaction}/{number}")

    async def _cost(self, charger: str, transaction: str, number: int, event: dict[str, Any]) -> None:
        about = charger, transaction
        try:
            cost = await self._cost_of(charger, transaction, event)
            while cost is None and (newer := self._asking[about]) is not None:
                # The books had not read the start; they have, perhaps, since this one came.
                self._asking[about] = None
                number, event = newer
                cost = await self._cost_of(charger, transaction, event)
        finally:
            del self._asking[about]
        if cost is None:
            self._costs.pop(about, None)  # it may be known with the next event
        else:
            body = {"transactionId": transaction, "totalCost": cost}
            await self._send(charger, "CostUpdated", body, f"cost/{transaction}/{number}")

    async def _cost_of(self, charger: str, transaction: str, event: dict[str, Any]) -> float | None:
        return await (self._rules.prices or self._ledger).cost(charger, transaction, event)

    # Answers

    async def _answered(self, message: Msg) -> None:
        key = (message.headers or {}).get("ocpp-key", "")
        command = self._rules.later.pop(key)
        if command is not None:
            charger = message.subject.rsplit(".", 1)[1]
            self._start(self._follow(charger, command, f"after/{key}"))

    async def _follow(self, charger: str, command: Command, command_id: str) -> None:
        await self._send(charger, command.action, command.payload, command_id)

    # Boots

    async def _release(self, boots: Boots) -> None:
        """For the life of the process: who is not pending any more need not wait for its interval."""
        while True:
            await asyncio.sleep(PENDING_SECONDS)
            for charger, boot in list(self._pending.items()):
                if boots.of(charger).status != "Pending":
                    del self._pending[charger]
                    trigger = Command("TriggerMessage", {"requestedMessage": "BootNotification"})
                    self._start(self._follow(charger, trigger, f"released/{boot}"))

    # Tariffs

    async def _link(self, message: Msg) -> None:
        charger, link = message.subject.rsplit(".", 1)[1], payload(message.data)
        if link.get("state") == "up" and link.get("version") == "v21":
            self._online.add(charger)
        else:
            self._online.discard(charger)

    async def _booted(self, message: Msg) -> None:
        *_, version, _, charger = message.subject.split(".")
        for action in COMMANDS:
            self._lacking.pop((charger, action), None)
        headers, status = message.headers or {}, payload(message.data).get("status")
        self._pending.pop(charger, None)
        if self._rules.boots and status == "Pending" and headers.get("ocpp-answered-by") == "backend":
            boot = self._pending[charger] = headers.get("ce-id", "")
            self._start(self._follow(charger, Command(*ASKED[version]), f"pending/{boot}"))
        if version == "v21" and status == "Accepted":
            self._tariffs.pop(charger, None)  # the charger may have been replaced
            self._start(self._push([charger], headers.get("ce-id", "")))

    async def _tick(self, message: Msg) -> None:
        self._ticked = text(payload(message.data), "at")
        self._due.set()

    async def _push(self, chargers: list[str], why: str) -> None:
        """``why``: the fact behind it, the same for every instance."""
        for batch in batched(chargers, BATCH):
            tariffs = await self._ledger.tariffs(batch)
            await asyncio.gather(*(self._tariff(one, tariffs[one], why) for one in batch if one in tariffs))

    async def _tariff(self, charger: str, content: dict[str, Any] | None, why: str) -> None:
        before = self._tariffs.get(charger)
        after = Tariff.of(content)
        if after == before or (before is None and content is None):
            return
        if charger in self._pushing:
            return  # of a boot and a tick together the second need not say the same: the next tick compares
        if content is not None:
            action, body = "SetDefaultTariff", {"evseId": 0, "tariff": content}
        else:
            assert before is not None
            action, body = "ClearTariffs", {"tariffIds": [before.id]}
        self._pushing.add(charger)
        try:
            async with self._paced:
                if await self._send(charger, action, body, f"tariff/{why}/{after.digest}"):
                    self._tariffs[charger] = after
        finally:
            self._pushing.discard(charger)

    # Commands

    async def _send(self, charger: str, action: str, body: dict[str, Any], command_id: str) -> bool:
        """Whether the charger has answered with a result."""
        if (charger, action) in self._lacking:
            return False
        subject = f"{self._names.rpc}.send.{action}.{charger}"
        headers = {"ocpp-command-id": command_id}
        try:
            reply = await self._nc.request(
                subject, orjson.dumps(body), timeout=REPLY_SECONDS, headers=headers
            )
        except Error as error:  # it is not connected any more, or nobody knows
            log.debug("followup.unsent", action=action, error=type(error).__name__)
            return False
        outcome = (reply.headers or {}).get("ocpp-outcome", "")
        if outcome == "error" and payload(reply.data).get("code") in LACKING:
            self._lacking[charger, action] = None
        return outcome == "result"


@dataclass(frozen=True, slots=True)
class Tariff:
    """What a charger was sent: the tariff's id, and a digest of the whole."""

    id: str
    digest: str

    @classmethod
    def of(cls, content: dict[str, Any] | None) -> "Tariff":
        """Of a TariffType; of None: that it has none."""
        whole = hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS))
        return cls(text(content, "tariffId"), whole.hexdigest()[:32])


def batched(items: list[str], size: int) -> Iterator[list[str]]:
    """Parts of at most ``size`` items."""
    return (items[start : start + size] for start in range(0, len(items), size))
