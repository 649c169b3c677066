"""The answer to each action. No NATS here: a question in, a response payload out.

A question may violate its schema in any way: gateways pass on what chargers get wrong. Whatever is missing or
of another type counts as absent, and a token that cannot be read is Invalid.
"""

from asyncio import gather
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from voltgate import _core
from voltgate.backend.boots import Boot
from voltgate.backend.ledger import Ledger
from voltgate.backend.payloads import Payload, text
from voltgate.backend.revocation import HASHES, Validity
from voltgate.backend.rules import Command, Rules
from voltgate.backend.tokens import Standing, Standings

log = structlog.get_logger()

# Characters of a token: an idTag, an idToken.
MAX_TOKENS = {"v16": 20, "v201": 36, "v21": 255}
MAX_TOKEN = 255  # the longest of all versions: others may have been passed on as they came
# Fields of certificateHashData, and how long they may be.
HASH_DATA = {"hashAlgorithm": 6, "issuerNameHash": 128, "issuerKeyHash": 128, "serialNumber": 40}
# What CertificateSigned repeats of SignCertificate.
ABOUT = ("certificateType", "requestId")
# Characters of an ocspResult.
MAX_OCSP = {"v201": 5_500, "v21": 18_000}
# The worst one counts.
CONTRACTS = [
    (Validity.REVOKED, "CertificateRevoked"),
    (Validity.EXPIRED, "CertificateExpired"),
    (Validity.UNKNOWN, "CertChainError"),
    (Validity.GOOD, "Accepted"),
]


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
    ``ledger``: that of a CSMS, which knows costs.
    """

    def __init__(
        self,
        tokens: Standings,
        transaction_id: Callable[[str], Awaitable[int]],
        rules: Rules | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self.tokens = tokens
        self.transaction_id = transaction_id
        self.rules = rules or Rules()
        self.ledger = ledger

    async def answer(self, question: Question) -> Payload:
        """The response payload. Raises UnanswerableError."""
        if question.action in NOTHING_TO_SAY:
            return {}
        if question.action not in ANSWERS:
            raise UnanswerableError("NotImplemented", "this backend does not know the action")
        return await ANSWERS[question.action](self, question)

    async def boot(self, question: Question) -> Payload:
        """Accept every charger that the gateway let in, unless ``boots`` says otherwise."""
        boot = self.rules.boots.of(question.token) if self.rules.boots else Boot()
        interval = self.rules.interval if boot.status == "Accepted" else boot.interval
        return {"status": boot.status, "currentTime": utc(), "interval": interval}

    async def heartbeat(self, question: Question) -> Payload:
        """The time. The gateway answers itself, unless its policy says otherwise."""
        return {"currentTime": utc()}

    async def authorize(self, question: Question) -> Payload:
        """Whether this token may charge."""
        if question.version == "v16":
            return {"idTagInfo": self.id_tag_info(question)}
        info = self.id_token_info(question)
        status = await self.contract(question)
        if status is None:
            return {"idTokenInfo": info}
        if status != "Accepted":
            info = {"status": "Invalid"}
        return {"idTokenInfo": info, "certificateStatus": status}

    async def contract(self, question: Question) -> str | None:
        """2.x: the ``certificateStatus`` of a vehicle's contract (C07, C08). None: there is no contract."""
        checks, hashes = self.rules.revocation, question.payload.get("iso15118CertificateHashData")
        if checks is None:
            return None
        if isinstance(hashes, list) and hashes:
            asked = (checks.of_hashes(one, text(one, "responderURL")) for one in hashes[:4])
            found = set(await gather(*asked))
        elif chain := text(question.payload, "certificate"):
            found = {await checks.of_contract(chain)}
        else:
            return None
        return next(status for validity, status in CONTRACTS if validity in found)

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

        And the cost, if it is known: in total at the end, in 2.1 also so far. No cost does not mean free. It
        comes from the file of prices where there is one, else from the ledger.
        """
        payload, answer = question.payload, Payload()
        kind = text(payload, "eventType")
        if "idToken" in payload:
            info = answer["idTokenInfo"] = self.id_token_info(question)
            if kind == "Started":
                await self.limit(question, text(payload, "idToken", "idToken"), info)
        costs = self.rules.prices or self.ledger
        if costs and (kind == "Ended" or (kind == "Updated" and question.version == "v21")):
            transaction = text(payload, "transactionInfo", "transactionId")
            cost = await costs.cost(question.token, transaction, payload)
            if cost is not None:
                answer["totalCost"] = cost
        return answer

    async def limit(self, question: Question, token: str, info: Payload) -> None:
        """``ConcurrentTx`` for an accepted token that is charging elsewhere, if that is not allowed.

        If the ledger does not know, the token is accepted: a driver does not wait for the books.
        """
        if self.rules.concurrent or self.ledger is None or info["status"] != "Accepted" or not token:
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

    async def sign_certificate(self, question: Question) -> Payload:
        """CertificateSigned follows the answer, if there is an authority and it signs."""
        authorities, use = self.rules.authorities, text(question.payload, "certificateType")
        if authorities is None:
            return {"status": "Rejected"}
        try:
            identity = _core.identity(question.token)
            chain = authorities.sign(text(question.payload, "csr"), identity, use)
        except ValueError as error:
            log.warning("certificate.refused", identity=question.token, reason=str(error))
            return {"status": "Rejected"}
        about = {name: question.payload[name] for name in ABOUT if name in question.payload}
        self.rules.later.put(question.key, Command("CertificateSigned", {"certificateChain": chain, **about}))
        log.info("certificate.signed", identity=question.token)
        return {"status": "Accepted"}

    async def contract_certificate(self, question: Question) -> Payload:
        """2.x: of the folder of contracts."""
        contracts, request = self.rules.contracts, text(question.payload, "exiRequest")
        answer = contracts.answer(question.version, request) if contracts else None
        return {"status": "Accepted" if answer else "Failed", "exiResponse": answer or ""}

    async def certificate_status(self, question: Question) -> Payload:
        """2.x: the answer of the OCSP responder that the charger has named."""
        checks = self.rules.revocation
        found = await checks.answer(question.payload.get("ocspRequestData")) if checks else None
        result = b64encode(found or b"").decode()
        if not 0 < len(result) <= MAX_OCSP[question.version]:
            return {"status": "Failed"}
        return {"status": "Accepted", "ocspResult": result}

    async def certificate_chain_status(self, question: Question) -> Payload:
        """2.1: by OCSP, at the first URL; no revocation list is read. The next update is in a day."""
        wanted = question.payload.get("certificateStatusRequests")
        asked = [one for one in (wanted if isinstance(wanted, list) else ()) if names_certificate(one)][:4]
        if not asked:
            raise UnanswerableError(
                "PropertyConstraintViolation", "certificateStatusRequests: no certificate"
            )
        return {"certificateStatus": list(await gather(*map(self.chain_status, asked)))}

    async def chain_status(self, request: Payload) -> Payload:
        """Of one item of ``certificateStatusRequests``."""
        checks, urls = self.rules.revocation, request.get("urls")
        url = urls[0] if isinstance(urls, list) and urls and isinstance(urls[0], str) else ""
        validity = Validity.UNKNOWN
        if checks and url and request["source"] == "OCSP":
            validity = await checks.of_hashes(request["certificateHashData"], url)
        return {
            "certificateHashData": {name: text(request, "certificateHashData", name) for name in HASH_DATA},
            "source": request["source"],
            "status": {Validity.GOOD: "Good", Validity.REVOKED: "Revoked"}.get(validity, "Unknown"),
            "nextUpdate": utc(timedelta(days=1)),
        }

    async def charging_needs(self, question: Question) -> Payload:
        """2.x: SetChargingProfile follows the answer, if the site of the EVSE has a limit."""
        if self.planned(question):
            return {"status": "Accepted"}
        return {"status": "NoChargingProfile" if question.version == "v21" else "Rejected"}

    async def charging_schedule(self, question: Question) -> Payload:
        """2.x: what the vehicle has chosen; if it is above the limit, the profile follows once more (K15)."""
        sites = self.rules.sites
        if sites is None or sites.allows(question.token, question.payload):
            return {"status": "Accepted"}
        self.planned(question)
        return {"status": "Rejected"}

    def planned(self, question: Question) -> bool:
        """Whether a SetChargingProfile follows the answer."""
        profile = self.rules.sites.profile(question.token, question.payload) if self.rules.sites else None
        if profile is not None:
            self.rules.later.put(question.key, Command("SetChargingProfile", profile))
        return profile is not None

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
    "Get15118EVCertificate": Backend.contract_certificate,
    "GetCertificateChainStatus": Backend.certificate_chain_status,
    "GetCertificateStatus": Backend.certificate_status,
    "Heartbeat": Backend.heartbeat,
    "NotifyEVChargingNeeds": Backend.charging_needs,
    "NotifyEVChargingSchedule": Backend.charging_schedule,
    "OpenPeriodicEventStream": Backend.accepted,
    "PullDynamicScheduleUpdate": Backend.rejected,
    "SignCertificate": Backend.sign_certificate,
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
