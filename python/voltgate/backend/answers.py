"""What the backend answers, action by action. No NATS here: a question in, a response payload out."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from voltgate.backend.tokens import Tokens

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """A charger's request, as it stands on ``ocpprpc.ask.<version>.<Action>.<token>``."""

    version: str
    action: str
    token: str
    key: str
    payload: Payload


class Backend:
    """Decides for the operator. ``answer`` is the one entry; ``ANSWERS`` at the end says who decides what.

    ``transaction_id`` gives the same positive 31-bit id for the same ``ocpp-key``, always and everywhere.
    """

    def __init__(
        self, tokens: Tokens, transaction_id: Callable[[str], Awaitable[int]], interval: int = 300
    ) -> None:
        self.tokens = tokens
        self.transaction_id = transaction_id
        self.interval = interval

    async def answer(self, question: Question) -> Payload:
        """The response payload. NotImplementedError for an action that no charger sends."""
        if question.action in NOTHING_TO_SAY:
            return {}
        if question.action not in ANSWERS:
            raise NotImplementedError(question.action)
        return await ANSWERS[question.action](self, question)

    async def boot(self, question: Question) -> Payload:
        """Everybody the gateway let in may work; heartbeats every ``interval`` seconds."""
        return {"status": "Accepted", "currentTime": utc(), "interval": self.interval}

    async def heartbeat(self, question: Question) -> Payload:
        """The clock. The gateway gives it, unless its policy says that we do."""
        return {"currentTime": utc()}

    async def authorize(self, question: Question) -> Payload:
        """May this token charge?"""
        if question.version == "v16":
            return {"idTagInfo": self.id_tag_info(question.payload)}
        return {"idTokenInfo": self.id_token_info(question.payload)}

    async def start_transaction(self, question: Question) -> Payload:
        """1.6: the id has to be the same when a charger asks again, here or at another instance.

        It gets one for a refused token too, and then stops by itself (1.6 core, 4.8).
        """
        transaction = await self.transaction_id(question.key)
        return {"transactionId": transaction, "idTagInfo": self.id_tag_info(question.payload)}

    async def stop_transaction(self, question: Question) -> Payload:
        """1.6: what happened has happened; only the status of the token is news to the charger."""
        return {"idTagInfo": self.id_tag_info(question.payload)} if "idTag" in question.payload else {}

    async def transaction_event(self, question: Question) -> Payload:
        """2.x: the charger chose the id of the transaction; its token is ours to judge."""
        return {"idTokenInfo": self.id_token_info(question.payload)} if "idToken" in question.payload else {}

    async def data_transfer(self, question: Question) -> Payload:
        """We know one vendor, ourselves, and give back what came."""
        if question.payload["vendorId"] != "voltgate":
            return {"status": "UnknownVendorId"}
        data = {"data": question.payload["data"]} if "data" in question.payload else {}
        return {"status": "Accepted", **data}

    async def certificate(self, question: Question) -> Payload:
        """There is no certificate authority behind us."""
        return {"status": "Failed", "exiResponse": ""}

    async def certificate_status(self, question: Question) -> Payload:
        """There is no OCSP responder behind us."""
        return {"status": "Failed"}

    async def certificate_chain_status(self, question: Question) -> Payload:
        """2.1: nor a revocation list; worth asking again in a day."""
        return {
            "certificateStatus": [
                {
                    "certificateHashData": wanted["certificateHashData"],
                    "source": wanted["source"],
                    "status": "Unknown",
                    "nextUpdate": utc(timedelta(days=1)),
                }
                for wanted in question.payload["certificateStatusRequests"]
            ]
        }

    async def charging_needs(self, question: Question) -> Payload:
        """We plan no schedules: "no profile" where the version can say so, not "one will come"."""
        return {"status": "NoChargingProfile" if question.version == "v21" else "Rejected"}

    async def vat_number(self, question: Question) -> Payload:
        """2.1: we have no register of companies."""
        return {"status": "Rejected", "vatNumber": question.payload["vatNumber"]}

    async def accepted(self, question: Question) -> Payload:
        """Noted."""
        return {"status": "Accepted"}

    async def rejected(self, question: Question) -> Payload:
        """What we cannot do."""
        return {"status": "Rejected"}

    def id_tag_info(self, payload: Payload) -> Payload:
        """1.6."""
        return {"status": self.tokens.status(payload["idTag"])}

    def id_token_info(self, payload: Payload) -> Payload:
        """2.x. ``NoAuthorization`` is a start button: there is no token to look up (C02)."""
        token = payload["idToken"]
        if token["type"] == "NoAuthorization":
            return {"status": "Accepted"}
        return {"status": self.tokens.status(token["idToken"])}


def utc(later: timedelta = timedelta()) -> str:
    """Now in RFC 3339, ms; ``Z``, because some chargers read nothing else (OCPP.md B)."""
    return (datetime.now(UTC) + later).isoformat(timespec="milliseconds").replace("+00:00", "Z")


ANSWERS: Mapping[str, Callable[[Backend, Question], Awaitable[Payload]]] = {
    "Authorize": Backend.authorize,
    "BootNotification": Backend.boot,
    "DataTransfer": Backend.data_transfer,
    "Get15118EVCertificate": Backend.certificate,
    "GetCertificateChainStatus": Backend.certificate_chain_status,
    "GetCertificateStatus": Backend.certificate_status,
    "Heartbeat": Backend.heartbeat,
    "NotifyEVChargingNeeds": Backend.charging_needs,
    "NotifyEVChargingSchedule": Backend.accepted,
    "OpenPeriodicEventStream": Backend.accepted,
    "PullDynamicScheduleUpdate": Backend.rejected,
    "SignCertificate": Backend.rejected,
    "StartTransaction": Backend.start_transaction,
    "StopTransaction": Backend.stop_transaction,
    "TransactionEvent": Backend.transaction_event,
    "VatNumberValidation": Backend.vat_number,
}

# Reports. The gateway thanks for them itself, unless its policy says that we do.
NOTHING_TO_SAY = frozenset(
    {
        "BatterySwap",
        "ClearedChargingLimit",
        "ClosePeriodicEventStream",
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "LogStatusNotification",
        "MeterValues",
        "NotifyChargingLimit",
        "NotifyCustomerInformation",
        "NotifyDERAlarm",
        "NotifyDERStartStop",
        "NotifyDisplayMessages",
        "NotifyEvent",
        "NotifyMonitoringReport",
        "NotifyPriorityCharging",
        "NotifyReport",
        "NotifySettlement",
        "PublishFirmwareStatusNotification",
        "ReportChargingProfiles",
        "ReportDERControl",
        "ReservationStatusUpdate",
        "SecurityEventNotification",
        "SignedFirmwareStatusNotification",
        "StatusNotification",
    }
)
