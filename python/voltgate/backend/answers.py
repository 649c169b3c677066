"""The answer to each action. No NATS here: a question in, a response payload out."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from voltgate.backend.tokens import Tokens

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """A charger's request, as received on ``ocpprpc.ask.<version>.<Action>.<token>``."""

    version: str
    action: str
    token: str
    key: str
    payload: Payload


class Backend:
    """Answers questions. ``answer`` is the only entry; ``ANSWERS`` at the end maps actions to methods.

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
        """Accept every charger that the gateway let in; heartbeats every ``interval`` seconds."""
        return {"status": "Accepted", "currentTime": utc(), "interval": self.interval}

    async def heartbeat(self, question: Question) -> Payload:
        """The time. The gateway answers itself, unless its policy says otherwise."""
        return {"currentTime": utc()}

    async def authorize(self, question: Question) -> Payload:
        """Whether this token may charge."""
        if question.version == "v16":
            return {"idTagInfo": self.id_tag_info(question.payload)}
        return {"idTokenInfo": self.id_token_info(question.payload)}

    async def start_transaction(self, question: Question) -> Payload:
        """1.6: the id must be the same when a charger asks again, here or at another instance.

        A refused token gets an id too; the charger then stops by itself (1.6 core, 4.8).
        """
        transaction = await self.transaction_id(question.key)
        return {"transactionId": transaction, "idTagInfo": self.id_tag_info(question.payload)}

    async def stop_transaction(self, question: Question) -> Payload:
        """1.6: a stop cannot be refused; the answer only has the status of the token."""
        return {"idTagInfo": self.id_tag_info(question.payload)} if "idTag" in question.payload else {}

    async def transaction_event(self, question: Question) -> Payload:
        """2.x: the charger has chosen the id of the transaction; the answer has the status of its token."""
        return {"idTokenInfo": self.id_token_info(question.payload)} if "idToken" in question.payload else {}

    async def data_transfer(self, question: Question) -> Payload:
        """Echo the data of vendor ``voltgate``; no other vendor is known."""
        if question.payload["vendorId"] != "voltgate":
            return {"status": "UnknownVendorId"}
        data = {"data": question.payload["data"]} if "data" in question.payload else {}
        return {"status": "Accepted", **data}

    async def certificate(self, question: Question) -> Payload:
        """No certificate authority is connected."""
        return {"status": "Failed", "exiResponse": ""}

    async def certificate_status(self, question: Question) -> Payload:
        """No OCSP responder is connected."""
        return {"status": "Failed"}

    async def certificate_chain_status(self, question: Question) -> Payload:
        """2.1: no revocation list is known; the next update is in a day."""
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
        """No schedules are planned: "no profile" in 2.1, which has a status for it."""
        return {"status": "NoChargingProfile" if question.version == "v21" else "Rejected"}

    async def vat_number(self, question: Question) -> Payload:
        """2.1: no register of companies is connected."""
        return {"status": "Rejected", "vatNumber": question.payload["vatNumber"]}

    async def accepted(self, question: Question) -> Payload:
        """Accept a report."""
        return {"status": "Accepted"}

    async def rejected(self, question: Question) -> Payload:
        """Reject a request that is not supported."""
        return {"status": "Rejected"}

    def id_tag_info(self, payload: Payload) -> Payload:
        """1.6: the status of an idTag."""
        return {"status": self.tokens.status(payload["idTag"])}

    def id_token_info(self, payload: Payload) -> Payload:
        """2.x: the status of an idToken. ``NoAuthorization`` is a start button without a token (C02)."""
        token = payload["idToken"]
        if token["type"] == "NoAuthorization":
            return {"status": "Accepted"}
        return {"status": self.tokens.status(token["idToken"])}


def utc(later: timedelta = timedelta()) -> str:
    """Now in RFC 3339, ms; ``Z``, because some chargers parse nothing else (docs/ocpp.md B)."""
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

# Reports. The gateway answers them itself, unless its policy says otherwise.
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
