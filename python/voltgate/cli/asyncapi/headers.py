"""The headers of each kind of message (docs/reference.md, "Headers on facts and questions")."""

from typing import Any

from voltgate import _core
from voltgate.gateway.reasons import Outcome

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_TRUE: Schema = {"type": "string", "const": "true"}
_NUMBER: Schema = {"type": "string", "pattern": "^[0-9]+$"}
_CODES = sorted({code for version in _core.versions() for code in _core.error_codes(version.token)})
_VIOLATION: Schema = {"type": "string", "pattern": f"^({'|'.join(_CODES)})( |$)"}

HEADERS: dict[str, Schema] = {
    "ce-specversion": {"type": "string", "const": "1.0"},
    "ce-id": _TEXT,
    "ce-source": {"type": "string", "pattern": "^/(chargers|gateways)/[A-Za-z0-9_=-]+$"},
    "ce-type": {"type": "string", "pattern": "^ocpp\\."},
    "ce-subject": _TEXT,
    "ce-time": _TIME,
    "ce-datacontenttype": {"type": "string", "enum": ["application/json", "application/octet-stream"]},
    "ocpp-message-id": _TEXT,
    "ocpp-session": _TEXT,
    "ocpp-key": {"type": "string", "pattern": "^[^/]+(/[^/]+)+$"},
    "ocpp-violation": _VIOLATION,
    "ocpp-reply-violation": _VIOLATION,
    "ocpp-latin1": _TRUE,
    "ocpp-redacted": _TRUE,
    "ocpp-late": _TRUE,
    "ocpp-answered-by": {"type": "string", "enum": ["gateway", "backend", "fallback"]},
    "ocpp-error-code": {"type": "string", "enum": _CODES},
    "ocpp-error-pointer": _TEXT,
    "ocpp-error-reason": _TEXT,
    "ocpp-reject-bytes": _NUMBER,
    "ocpp-deadline": _TIME,
    "ocpp-outcome": {"type": "string", "enum": [outcome.label for outcome in Outcome]},
    "ocpp-command-id": _TEXT,
    "ocpp-version": {"type": "string", "enum": [version.token for version in _core.versions()]},
    "ocpp-timeout": {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?$"},
    "ocpp-random-key": _TRUE,
    "ocpp-error": _TEXT,
    "traceparent": {"type": "string", "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"},
    "Nats-Msg-Id": _TEXT,
    "Nats-Expected-Last-Subject-Sequence": _NUMBER,
    "Nats-Service-Error-Code": {"type": "string", "pattern": "^[0-9]{3}$"},
    "Nats-Service-Error": _TEXT,
}

_CE = (
    "ce-specversion", "ce-id", "ce-source", "ce-type", "ce-subject", "ce-time", "ce-datacontenttype"
)  # fmt: skip
_FACT = (*_CE, "ocpp-message-id", "ocpp-session", "ocpp-key")
_COMMAND = ("ocpp-command-id", "traceparent", "ocpp-violation", "ocpp-redacted")
_REPLY = ("ocpp-outcome", "ocpp-message-id", "ocpp-version", "ocpp-session")
_FAILED = ("Nats-Service-Error-Code", "Nats-Service-Error")

# By kind of message: what every one of it has, and what some have.
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "fact": (_FACT, ("ocpp-violation", "ocpp-redacted", "ocpp-latin1", "traceparent", "Nats-Msg-Id")),
    "answer": (
        (*_FACT, "ocpp-answered-by"),
        ("ocpp-error-code", "ocpp-reply-violation", "traceparent", "Nats-Msg-Id"),
    ),
    "commandFact": ((*_FACT, "Nats-Msg-Id"), _COMMAND),
    "commandAnswer": ((*_FACT, "Nats-Msg-Id", "ocpp-outcome"), (*_COMMAND, "ocpp-late")),
    "question": ((*_FACT, "ocpp-deadline"), ("ocpp-violation", "ocpp-latin1", "traceparent")),
    "reject": (
        (*_CE, "ocpp-session", "ocpp-error-code", "ocpp-error-pointer", "ocpp-error-reason"),
        ("ocpp-message-id", "ocpp-reject-bytes", "ocpp-latin1", "ocpp-redacted", "traceparent"),
    ),
    "link": ((*_CE, "ocpp-session"), ("Nats-Expected-Last-Subject-Sequence",)),
    "violation": (_CE, ()),
    "security": (tuple(name for name in _CE if name != "ce-subject"), ("ce-subject",)),
    "command": ((), ("ocpp-timeout", "ocpp-deadline", "ocpp-command-id", "ocpp-random-key", "traceparent")),
    "result": (_REPLY, ()),
    "failure": ((*_REPLY, *_FAILED), ()),
    "reply": ((), ("ocpp-error", *_FAILED)),
}


def headers(kind: str) -> Schema:
    """The schema of the headers of a kind of message. A later release may add headers: ignore those."""
    required, optional = KINDS[kind]
    found: Schema = {"type": "object", "properties": {name: HEADERS[name] for name in (*required, *optional)}}
    return found | {"required": list(required)} if required else found
