"""The answer to each action. No NATS here: a question in, a response payload out.

A question may violate its schema in any way: gateways pass on what chargers get wrong. Whatever is missing or
of another type counts as absent, and a token that cannot be read is Invalid.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from voltgate.backend.ledger import Ledger
from voltgate.backend.tokens import Standing, Standings

Payload = dict[str, Any]

# Characters of a token: an idTag, an idToken.
MAX_TOKENS = {"v16": 20, "v201": 36, "v21": 255}
MAX_TOKEN = 255  # the longest of all versions: others may have been passed on as they came
# Fields of certificateHashData, and how long they may be.
HASH_DATA = {"hashAlgorithm": 6, "issuerNameHash": 128, "issuerKeyHash": 128, "serialNumber": 40}
HASHES = ("SHA256", "SHA384", "SHA512")


@dataclass(frozen=True, slots=True)
class Question:
    """A charger's request, as received on ``ocpprpc.ask.<version>.<Action>.<token>``."""

    version: str
    action: str
    token: str
    key: str
    payload: Payload


class UnanswerableError(Exception):
    """No response can be made of what the question holds; ``code`` is the CALLERROR the charger gets."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Backend:
    """Answers questions. ``answer`` is the only entry; ``ANSWERS`` at the end maps actions to methods.

    ``transaction_id`` gives the same positive 31-bit id for the same ``ocpp-key``, always and everywhere.
    ``ledger``: that of a CSMS, which knows costs. ``concurrent``: a token may have several transactions.
    """

    def __init__(
        self,
        tokens: Standings,
        transaction_id: Callable[[str], Awaitable[int]],
        interval: int = 300,
        ledger: Ledger | None = None,
        concurrent: bool = True,
    ) -> None:
        self.tokens = tokens
        self.transaction_id = transaction_id
        self.interval = interval
        self.ledger = ledger
        self.concurrent = concurrent

    async def answer(self, question: Question) -> Payload:
        """The response payload. Raises UnanswerableError."""
        if question.action in NOTHING_TO_SAY:
            return {}
        if question.action not in ANSWERS:
            raise UnanswerableError("NotImplemented", "this backend does not know the action")
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
            return {"idTagInfo": self.id_tag_info(question)}
        return {"idTokenInfo": self.id_token_info(question)}

    async def start_transaction(self, question: Question) -> Payload:
        """1.6: the id must be the same when a charger asks again, here or at another instance.

        A refused token gets an id too; the charger then stops by itself (1.6 core, 4.8).
        """
        transaction = await self.transaction_id(question.key)
        info = self.id_tag_info(question)
        await self.limit(question, text(question.payload, "idTag"), info)
        return {"transactionId": transaction, "idTagInfo": info}

    async def stop_transaction(self, question: Question) -> Payload:
        """1.6: a stop cannot be refused; the answer only has the status of the token."""
        return {"idTagInfo": self.id_tag_info(question)} if "idTag" in question.payload else {}

    async def transaction_event(self, question: Question) -> Payload:
        """2.x: the charger has chosen the id of the transaction; the answer has the status of its token.

        And the cost, if it is known: in total at the end, in 2.1 also so far. No cost does not mean free.
        """
        payload, answer = question.payload, Payload()
        kind = text(payload, "eventType")
        if "idToken" in payload:
            info = answer["idTokenInfo"] = self.id_token_info(question)
            if kind == "Started":
                await self.limit(question, text(payload, "idToken", "idToken"), info)
        if self.ledger and (kind == "Ended" or (kind == "Updated" and question.version == "v21")):
            transaction = text(payload, "transactionInfo", "transactionId")
            cost = await self.ledger.cost(question.token, transaction, payload)
            if cost is not None:
                answer["totalCost"] = cost
        return answer

    async def limit(self, question: Question, token: str, info: Payload) -> None:
        """``ConcurrentTx`` for an accepted token that is charging elsewhere, if that is not allowed.

        If the ledger does not know, the token is accepted: a driver does not wait for the books.
        """
        if self.concurrent or self.ledger is None or info["status"] != "Accepted" or not token:
            return
        if await self.ledger.open_sessions(token, question.key):
            info["status"] = "ConcurrentTx"

    async def data_transfer(self, question: Question) -> Payload:
        """Echo the data of vendor ``voltgate``; no other vendor is known."""
        if question.payload.get("vendorId") != "voltgate":
            return {"status": "UnknownVendorId"}
        data = question.payload.get("data")
        # In 1.6 data is text.
        echoed = data is not None and (question.version != "v16" or isinstance(data, str))
        return {"status": "Accepted", **({"data": data} if echoed else {})}

    async def certificate(self, question: Question) -> Payload:
        """No certificate authority is connected."""
        return {"status": "Failed", "exiResponse": ""}

    async def certificate_status(self, question: Question) -> Payload:
        """No OCSP responder is connected."""
        return {"status": "Failed"}

    async def certificate_chain_status(self, question: Question) -> Payload:
        """2.1: no revocation list is known; the next update is in a day."""
        wanted = question.payload.get("certificateStatusRequests")
        statuses = [
            {
                "certificateHashData": {name: text(one, "certificateHashData", name) for name in HASH_DATA},
                "source": text(one, "source"),
                "status": "Unknown",
                "nextUpdate": utc(timedelta(days=1)),
            }
            for one in (wanted if isinstance(wanted, list) else ())
            if names_certificate(one)
        ]
        if not statuses:
            raise UnanswerableError(
                "PropertyConstraintViolation", "certificateStatusRequests: no certificate"
            )
        return {"certificateStatus": statuses[:4]}

    async def charging_needs(self, question: Question) -> Payload:
        """No schedules are planned: "no profile" in 2.1, which has a status for it."""
        return {"status": "NoChargingProfile" if question.version == "v21" else "Rejected"}

    async def vat_number(self, question: Question) -> Payload:
        """2.1: no register of companies is connected."""
        return {"status": "Rejected", "vatNumber": text(question.payload, "vatNumber")[:20]}

    async def accepted(self, question: Question) -> Payload:
        """Accept a report."""
        return {"status": "Accepted"}

    async def rejected(self, question: Question) -> Payload:
        """Reject a request that is not supported."""
        return {"status": "Rejected"}

    def id_tag_info(self, question: Question) -> Payload:
        """1.6: the status and the group of an idTag."""
        found = self.standing(text(question.payload, "idTag"))
        group = {"parentIdTag": found.group} if grouped(found, question.version) else {}
        return {"status": found.status, **group}

    def id_token_info(self, question: Question) -> Payload:
        """2.x: the status and the group of an idToken.

        ``NoAuthorization`` is a start button without a token (C02).
        """
        if text(question.payload, "idToken", "type") == "NoAuthorization":
            return {"status": "Accepted"}
        found = self.standing(text(question.payload, "idToken", "idToken"))
        group = {"groupIdToken": {"idToken": found.group, "type": "Central"}}
        return {"status": found.status, **(group if grouped(found, question.version) else {})}

    def standing(self, token: str) -> Standing:
        """Of a token; one that is empty, or longer than any may be, is Invalid."""
        return self.tokens.standing(token) if 0 < len(token) <= MAX_TOKEN else Standing("Invalid")


def grouped(standing: Standing, version: str) -> bool:
    """Whether a charger of this version can be given the group."""
    return 0 < len(standing.group) <= MAX_TOKENS[version]


def text(value: Any, *path: str) -> str:
    """The text at ``path``; "" where there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def names_certificate(request: Any) -> bool:
    """Whether an item of ``certificateStatusRequests`` says which certificate it is about."""
    fields = [text(request, "certificateHashData", name) for name in HASH_DATA]
    fits = all(0 < len(field) <= longest for field, longest in zip(fields, HASH_DATA.values(), strict=True))
    return fits and fields[0] in HASHES and text(request, "source") in ("CRL", "OCSP")


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
