"""The policy of each action a charger may send: its class, what answers it, its fallback.

See docs/contract.md 3.4.

The defaults come from the core's action table; the configuration changes single entries. No message is
handled here.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import orjson

from voltgate import _core
from voltgate.config import ActionPolicy, Class, Config, ConfigError, Level
from voltgate.schemas import SUBPROTOCOLS, Codec

Answer = Literal["gateway", "backend", "backend-if-idtoken", "none"]

# Fallbacks (docs/contract.md 3.4); every action not named here: CALLERROR InternalError.
FALLBACKS: dict[str, dict[str, Any]] = {
    "BootNotification": {"status": "Pending", "interval": 60},
    "TransactionEvent": {},
    "NotifySettlement": {},
    "DataTransfer": {"status": "UnknownVendorId"},
    "SignCertificate": {"status": "Rejected"},
    "NotifyEVChargingNeeds": {"status": "Rejected"},
    "NotifyEVChargingSchedule": {"status": "Rejected"},
    "GetCertificateStatus": {"status": "Failed"},
}


@dataclass(frozen=True, slots=True)
class Fallback:
    """The answer when no backend answers: a payload, a CALLERROR code, or the end of the connection."""

    payload: dict[str, Any] | None = None
    code: str = ""

    @property
    def closes(self) -> bool:
        """Whether the connection is closed, so that the charger queues (1.6 StartTransaction)."""
        return self.payload is None and not self.code

    def __str__(self) -> str:
        if self.closes:
            return "close"
        return self.code or orjson.dumps(self.payload).decode()


@dataclass(frozen=True, slots=True)
class Rule:
    """The policy of one action of one version."""

    version: str
    action: str
    class_: Class
    answer: Answer
    validation: Level
    fallback: Fallback


Rules = dict[str, Rule]


def rules(config: Config) -> dict[str, Rules]:
    """Version token -> action -> rule, for every action a charger may send, ``-Signed`` ones included.

    Raises ConfigError, one line per fault, if OCPP does not allow what the configuration asks for.
    """
    faults: list[str] = []
    table = {version: _version_rules(version, config, faults) for version in SUBPROTOCOLS}
    if faults:
        raise ConfigError("\n".join(faults))
    return table


def _version_rules(version: str, config: Config, faults: list[str]) -> Rules:
    codec = Codec(SUBPROTOCOLS[version])
    table: Rules = {}
    changes = dict(config.policy.get(version, {}))  # type: ignore[call-overload]
    for action, sender, class_, answer in _core.actions(version):
        if sender == "csms":
            continue
        change = changes.pop(action, ActionPolicy())
        rule = Rule(
            version,
            action,
            cast(Class, change.class_ or class_),
            cast(Answer, change.answer or answer),
            "strict",
            _fallback(action, change.fallback),
        )
        table[action] = replace(rule, validation=_level(rule.class_, change, config))
        faults += (f"policy.{version}.{action}.{fault}" for fault in _faults(codec, table[action], answer))
        if codec.ocpp.signed and answer != "none":
            # A signed message is answered by a backend: the gateway cannot verify it (docs/ocpp.md A16).
            signed = f"{action}-Signed"
            table[signed] = replace(table[action], action=signed, answer="backend")
    faults += (
        f"policy.{version}.{action}: not an action that a charger may send in {version}" for action in changes
    )
    return table


def _level(class_: str, change: ActionPolicy, config: Config) -> Level:
    default: Level = "lenient" if class_ == "tx" else "strict"
    return change.validation or config.validation or default


def _fallback(action: str, configured: str | dict[str, Any] | None) -> Fallback:
    if isinstance(configured, dict):
        return Fallback(payload=configured)
    if configured is not None:
        return Fallback() if configured == "close" else Fallback(code=configured)
    if action == "StartTransaction":
        return Fallback()
    if action in FALLBACKS:
        return Fallback(payload=FALLBACKS[action])
    return Fallback(code="InternalError")


def _faults(codec: Codec, rule: Rule, default_answer: str) -> list[str]:
    """The faults of a rule; each begins with its key."""
    faults = []
    if default_answer == "none" and rule.answer != "none":
        faults.append("answer: a SEND is never answered")
    elif rule.answer == "gateway" and codec.check(rule.action, "response", gateway_answer(rule.action, "")):
        faults.append('answer: must be "backend": the response has required members')
    if rule.fallback.code and rule.fallback.code not in _core.error_codes(rule.version):
        known = ", ".join(_core.error_codes(rule.version))
        faults.append(
            f'fallback: "{rule.fallback.code}" is neither a {rule.version} error code ({known}) nor "close"'
        )
    elif rule.fallback.payload is not None and rule.answer != "none":
        payload = fallback_payload(rule, "")
        violation = codec.check(rule.action, "response", payload)
        if violation:
            faults.append(f"fallback: {violation.code} at {violation.pointer or '/'}: {violation.reason}")
    return faults


_ANY_TIME = "2026-01-01T00:00:00Z"


def gateway_answer(action: str, now: str) -> bytes:
    """The payload of the gateway's own answer; ``now`` is RFC 3339 UTC, ``""``: any.

    See docs/contract.md 3.4.
    """
    return b'{"currentTime":"%s"}' % (now or _ANY_TIME).encode() if action == "Heartbeat" else b"{}"


def fallback_payload(rule: Rule, now: str) -> bytes:
    """The payload of a fallback that has one; BootNotification's gets the gateway's clock."""
    payload = rule.fallback.payload or {}
    if rule.action == "BootNotification":
        payload = {"currentTime": now or _ANY_TIME} | payload
    return orjson.dumps(payload)
