"""The bodies that are not OCPP payloads: links, security facts, violations, replies about commands."""

from typing import Any, get_args

from voltgate.config import Version
from voltgate.gateway.reasons import Reason

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_MAYBE: Schema = {"type": ["string", "null"]}
_TIME: Schema = {"type": "string", "format": "date-time"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_VERSION: Schema = {"type": "string", "enum": list(get_args(Version))}


def _object(**members: Schema) -> Schema:
    return {"type": "object", "properties": members, "required": list(members)}


_FAULT = _object(code=_TEXT, pointer=_TEXT, reason=_TEXT)
_SERVICE = {"type": _TEXT, "name": _TEXT, "id": _TEXT, "version": _TEXT, "metadata": {"type": "object"}}
_ENDPOINT = {"name": _TEXT, "subject": _TEXT, "queue_group": _TEXT}

BODIES: dict[str, Schema] = {
    "link": _object(
        state={"type": "string", "enum": ["up", "down"]},
        identity=_TEXT,
        version=_VERSION,
        session=_TEXT,
        replaces=_MAYBE,
        epoch={"type": ["integer", "null"]},
        gateway=_TEXT,
        remote=_TEXT,
        security_profile={"type": "integer", "minimum": 0, "maximum": 3},
        at=_TIME,
        reason={
            "type": ["string", "null"],
            "enum": [None, *(reason.label for reason in Reason), "gateway_lost"],
        },
    ),
    "security": _object(
        reason=_TEXT, identity=_MAYBE, count=_COUNT, since=_TIME, at=_TIME, remote=_TEXT, gateway=_TEXT
    ),
    "violation": _object(
        identity=_TEXT,
        version=_VERSION,
        since=_TIME,
        at=_TIME,
        violations={
            "type": "array",
            "items": _object(action=_TEXT, code=_TEXT, pointer=_TEXT, count=_COUNT),
        },
    ),
    "callError": _object(code=_TEXT, description=_TEXT, details={"type": "object"}),
    "fault": _FAULT,
    "kicked": _object(session=_TEXT, gateway=_TEXT),
    "moved": _object(moved={"type": "boolean"}, session=_TEXT, gateway=_TEXT),
    "probed": _object(alive={"type": "boolean"}, session=_TEXT, gateway=_TEXT),
    "ping": _object(**_SERVICE),
    "info": _object(
        **_SERVICE, description=_TEXT, endpoints={"type": "array", "items": _object(**_ENDPOINT)}
    ),
    "stats": _object(
        **_SERVICE,
        started=_TIME,
        endpoints={
            "type": "array",
            "items": _object(**_ENDPOINT, num_requests=_COUNT, num_errors=_COUNT, processing_time=_COUNT),
        },
    ),
}
