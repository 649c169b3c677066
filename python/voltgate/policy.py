"""The policy of each action that a charger may send: class, origin of the answer, fallback.

See docs/contract.md 3.4.

The defaults come from the core's action table; the configuration overrides single entries. No message is
handled here.
"""

import difflib
from collections.abc import Iterator
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

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing: then there is nothing to wait for (docs/contract.md 3.4)."""
        return self.payload == {}

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

    Raises ConfigError, one line per fault, if OCPP does not allow the configured policy.
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
            change.validation or config.validation or "lenient",
            _fallback(action, change.fallback),
        )
        table[action] = rule
        faults += (
            f"{config.where('policy', version, action, key)}: {text}"
            for key, text in _faults(codec, rule, answer)
        )
        if codec.ocpp.signed:
            # A signed CALL is answered by a backend: the gateway cannot verify it (docs/ocpp.md A16).
            signed = f"{action}-Signed"
            by: Answer = "none" if answer == "none" else "backend"
            table[signed] = replace(table[action], action=signed, answer=by)
    commands = command_levels(version, config)
    for action, change in changes.items():
        where = config.where("policy", version, action)
        if action not in commands:
            close = difflib.get_close_matches(action, (*table, *commands), 1)
            meant = f"; did you mean {close[0]}?" if close else "; `voltgate actions` lists them"
            faults.append(f"{where}: not an action of {version}{meant}")
        elif change != ActionPolicy(validation=change.validation) or change.validation is None:
            faults.append(f"{where}: not an action that a charger may send: only its validation can be set")
    return table


def command_levels(version: str, config: Config) -> dict[str, Level]:
    """How strictly the commands of a version and their results are validated, by action.

    Strict, but where the policy of the action says otherwise: a backend can be mended. The global level is
    for what chargers send (docs/contract.md 2.2).
    """
    changes = config.policy.get(version, {})  # type: ignore[call-overload]
    senders = ((action, sender) for action, sender, *_ in _core.actions(version))
    return {
        action: changes.get(action, ActionPolicy()).validation or "strict"
        for action, sender in senders
        if sender != "charger"
    }


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


def _faults(codec: Codec, rule: Rule, default_answer: str) -> Iterator[tuple[str, str]]:
    """The faults of a rule: the key, and what is wrong with it."""
    if default_answer == "none" and rule.answer != "none":
        yield "answer", "a SEND is never answered: remove the key"
    elif rule.answer == "gateway" and codec.check(rule.action, "response", gateway_answer(rule.action, "")):
        yield "answer", 'must be "backend": the response has required members'
    if rule.fallback.code and rule.fallback.code not in _core.error_codes(rule.version):
        known = ", ".join(_core.error_codes(rule.version))
        yield (
            "fallback",
            f'"{rule.fallback.code}" is neither a {rule.version} error code ({known}) nor "close"',
        )
    elif rule.fallback.payload is not None and rule.answer != "none":
        payload = fallback_payload(rule, "")
        violation = codec.check(rule.action, "response", payload)
        if violation:
            yield "fallback", f"{violation.code} at {violation.pointer or '/'}: {violation.reason}"


_ANY_TIME = "2026-01-01T00:00:00Z"


def gateway_answer(action: str, now: str) -> bytes:
    """The payload of the gateway's own answer; ``now`` is RFC 3339 UTC; ``""`` if any time will do.

    See docs/contract.md 3.4.
    """
    return b'{"currentTime":"%s"}' % (now or _ANY_TIME).encode() if action == "Heartbeat" else b"{}"


def fallback_payload(rule: Rule, now: str) -> bytes:
    """The payload of a fallback that has one; for BootNotification, with the gateway's time added."""
    payload = rule.fallback.payload or {}
    if rule.action == "BootNotification":
        payload = {"currentTime": now or _ANY_TIME} | payload
    return orjson.dumps(payload)
