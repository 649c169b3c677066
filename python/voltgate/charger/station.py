"""A charger's own messages: boot, statuses, heartbeats, transactions. Commands are in ``commands``."""

import asyncio
import random
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from voltgate.charger.calls import Answer, End, Queued, Unanswered
from voltgate.charger.connectors import Connectors
from voltgate.charger.line import Line, Observer
from voltgate.charger.link import Phase, Timer
from voltgate.charger.messages import DIALECTS, MODEL, VENDOR, accepted
from voltgate.charger.settings import Behaviour, Settings
from voltgate.charger.tally import Tally

if TYPE_CHECKING:
    from voltgate.charger.certificates import Request


class Station(Line):
    """A charger without commands."""

    __slots__ = (
        "_boot_reason",
        "configuration",
        "connectors",
        "dialect",
        "interval",
        "local_list",
        "registration",
        "signing",
    )

    def __init__(
        self,
        settings: Settings,
        observer: Observer | None = None,
        tally: Tally | None = None,
        rng: random.Random | None = None,
    ) -> None:
        super().__init__(settings, observer or Observer(), tally, rng)
        self.dialect = DIALECTS[settings.version]
        self.connectors = Connectors(self)
        self.configuration = configuration(settings.version, settings.behaviour)
        self.local_list = 0
        self.signing: Request | None = None
        """The certificate that the CSMS was asked to sign."""
        self.registration = ""
        """Status of the last boot answer."""
        self.interval = 0.0
        """Seconds between heartbeats; 0: none."""
        self._boot_reason = "PowerUp"

    # Life

    def greet(self) -> None:
        """Boot, unless already accepted (J16 5.4), then send the statuses."""
        if self.registration != "Accepted":
            self._boot()
        else:
            self.connectors.report(self.be_ready)

    def be_ready(self) -> None:
        """See Line; also starts heartbeats and arrivals of vehicles."""
        if self.phase is Phase.STOPPED:
            return  # the last answer of the connect came behind the Close
        super().be_ready()
        self.connectors.open()
        self.beat_every(self.interval)

    async def stop(self) -> None:
        """See Line."""
        self.connectors.close()
        await super().stop()

    def drop(self, seconds: float, silently: bool = False) -> None:
        """See Line; after a power failure a charger boots."""
        self.registration, self._boot_reason = "", "PowerUp"
        super().drop(seconds, silently)

    def reconnect_soon(self) -> None:
        """End the connection once the open command is answered; the charger dials again."""
        asyncio.get_running_loop().call_soon(self.hang_up)

    def reset(self) -> None:
        """End transactions, reconnect, boot."""
        for tx in self.connectors.transactions:
            self.connectors.end(tx, "SoftReset")
        self.registration, self._boot_reason = "", "RemoteReset"
        self.reconnect_soon()

    # Boot and heartbeats

    def boot_now(self, reason: str) -> None:
        """Send a BootNotification, even if its retry interval has not passed."""
        if self.registration == "Accepted":
            self.send(self.dialect.boot(reason))
            return
        self._boot_reason = reason
        if self.disarm(Timer.BOOT):
            self._boot()

    def _boot(self) -> None:
        self.send(self.dialect.boot(self._boot_reason), self._booted, greeting=True)

    def _booted(self, end: End) -> None:
        """Repeat at the CSMS's interval until Accepted; nothing else is sent before (docs/ocpp.md A18)."""
        if end is Unanswered.LOST:
            return
        payload = end.payload if isinstance(end, Answer) else {}
        behaviour = self.settings.behaviour
        self.registration = str(payload.get("status", ""))
        wait = float(payload.get("interval", 0)) * behaviour.second
        if self.registration == "Accepted":
            self.interval = wait if behaviour.heartbeat is None else behaviour.heartbeat
            self.connectors.report(self.be_ready)
        else:
            self.tally.boots[self.registration or (end.code if isinstance(end, Answer) else "no answer")] += 1
            self.arm(Timer.BOOT, wait or behaviour.boot_retry, self._boot)

    def beat_every(self, seconds: float) -> None:
        """Set the interval of heartbeats; 0: none."""
        self.interval = seconds
        self.disarm(Timer.HEARTBEAT)
        if seconds and self.ready:
            self.arm(Timer.HEARTBEAT, seconds, self._beat)

    def _beat(self) -> None:
        self.send(("Heartbeat", {}), lambda _: self.beat_every(self.interval))

    # Transaction messages

    def settled(self, message: Queued, answer: Answer) -> None:
        """See Line: take the transaction id, and end the transaction if its token is not accepted."""
        tx = message.transaction
        if tx is None:
            return
        if message.action == "StartTransaction":
            tx.id = int(answer.payload.get("transactionId", 0))
        if not accepted(answer.payload) and not self.connectors.stubborn:
            self.connectors.end(tx, "DeAuthorized")


@cache
def configuration(version: str, behaviour: Behaviour) -> Mapping[str, str]:
    """The keys (1.6) or component.variable (2.x) of a new charger. Shared: a change replaces the mapping."""
    attempts, interval = str(behaviour.attempts), f"{behaviour.retry_interval:.0f}"
    sampled = f"{behaviour.meter_interval:.0f}"
    if version == "v16":
        return {
            "HeartbeatInterval": "0",
            "MeterValueSampleInterval": sampled,
            "NumberOfConnectors": str(behaviour.connectors),
            "TransactionMessageAttempts": attempts,
            "TransactionMessageRetryInterval": interval,
        }
    return {
        "ChargingStation.Model": MODEL,
        "ChargingStation.VendorName": VENDOR,
        "OCPPCommCtrlr.HeartbeatInterval": "0",
        "OCPPCommCtrlr.MessageAttempts": attempts,
        "OCPPCommCtrlr.MessageAttemptInterval": interval,
        "SampledDataCtrlr.TxUpdatedInterval": sampled,
    }
