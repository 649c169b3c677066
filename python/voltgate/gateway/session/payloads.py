"""What the payloads of a few actions mean to the gateway: secrets, passwords, what a command triggers.

Bytes in, values out. Secrets are masked in facts only (docs/contract.md 3.5): what goes to the charger and
back to the backend is never touched. Payloads may be of any shape: a lenient level passes them on.
"""

import base64
import re
from contextlib import suppress
from typing import Any

import orjson

from voltgate._core import Frame
from voltgate._core import masked as masked  # noqa: PLC0414 - used as payloads.masked
from voltgate._core import may_hold_secrets as may_hold_secrets  # noqa: PLC0414
from voltgate.gateway.interfaces import Verdict

MASKED = b"***"
_REPORTED = frozenset({"NotifyEvent", "NotifyReport", "PublishFirmwareStatusNotification"})
# The payload of a signed message, base64 (docs/ocpp.md A16).
_SIGNED = re.compile(rb'("payload"\s*:\s*)"([^"]*)"')
_ALPHABET = bytes.maketrans(b"+/", b"-_")
_ANSWERED = frozenset({"GetConfiguration", "GetVariables"})


# -- secrets --------------------------------------------------------------------------------------------


def masked_report(body: bytes, odd: bool) -> bytes | None:
    """The payload without its secrets; None if it has none. ``odd``: it may violate its schema: then a secret
    may be in any place.
    """
    if odd and may_hold_secrets(body):
        return MASKED
    shown = _without_signed_secrets(body)
    found = masked(shown)
    return shown if found is None and shown is not body else found


def _without_signed_secrets(body: bytes) -> bytes:
    """``body`` with ``***`` for each signed payload that holds a secret or cannot be read; else itself."""
    plain = body
    if b"\\" in body:  # a name may be spelled with escapes
        with suppress(orjson.JSONDecodeError):
            plain = orjson.dumps(orjson.loads(body))
    if b'"signature' not in plain:
        return body
    shown = _SIGNED.sub(lambda found: found[1] + b'"***"' if _is_secret(found[2]) else found[0], plain)
    return body if shown == plain else shown


def _is_secret(payload: bytes) -> bool:
    text = payload.rstrip(b"=").translate(_ALPHABET)
    try:
        inner = base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return True
    return masked(inner) is not None


def may_be_reported(action: str) -> bool:
    """Whether a CALL of a charger may hold a secret."""
    return action.removesuffix("-Signed") in _REPORTED


def may_answer_secrets(action: str) -> bool:
    """Whether a charger's answer to ``action`` may hold a secret."""
    return action in _ANSWERED


# An answer that says nothing but that it is one.
_BARE = re.compile(
    rb'\s*\[\s*[345]\s*,\s*(?:"[^"\\]*"|[0-9]+)\s*,\s*(?:"[A-Za-z]{0,40}"\s*,\s*""\s*,\s*)?'
    rb'\{\s*(?:"status"\s*:\s*"[A-Za-z]{0,30}"\s*)?\}\s*\]\s*'
)
_LIKE_AN_ANSWER = re.compile(rb"\W*[345]\W")


def storable(frame: Frame, secretive: bool) -> bytes:
    """The bytes of a refused frame that may be stored; ``***`` for one that may hold a secret.

    ``secretive``: a command was sent on this connection whose answer may quote a secret. An answer that
    belongs to no command may be one to a command of an earlier connection.
    """
    raw = frame.raw
    if frame.known:  # a CALL
        return raw if masked_report(frame.payload or raw, frame.violation is not None) is None else MASKED
    answer = secretive or _LIKE_AN_ANSWER.match(raw) is not None
    if (answer and _BARE.fullmatch(raw) is None) or may_hold_secrets(raw):
        return MASKED
    return raw if _without_signed_secrets(raw) is raw else MASKED


# -- the charger's own password (docs/contract.md 3.8) --------------------------------------------------

_VERDICTS = {"Accepted": Verdict.TAKEN, "RebootRequired": Verdict.AT_REBOOT}


def passwords(action: str, body: bytes) -> list[bytes]:
    """The new passwords in a command; nearly always none."""
    if action == "ChangeConfiguration":
        entry = orjson.loads(body)
        found = [entry.get("value")] if str(entry.get("key")).lower() == "authorizationkey" else []
    elif action == "SetVariables":
        found = [entry.get("attributeValue") for entry in _entries(body, "setVariableData")]
    else:
        return []
    return [value.encode() for value in found if isinstance(value, str)]


def verdict(action: str, body: bytes) -> Verdict | None:
    """What a result decides about the new password; None if it does not mention it."""
    if action == "ChangeConfiguration":
        status = orjson.loads(body).get("status")
    else:
        entries = _entries(body, "setVariableResult")
        status = entries[0].get("attributeStatus") if entries else None
    return _VERDICTS.get(status, Verdict.REFUSED) if isinstance(status, str) else None


def _entries(body: bytes, name: str) -> list[dict[str, Any]]:
    """The entries about the charger's own password."""
    entries = orjson.loads(body).get(name)
    return [entry for entry in entries if _is_password(entry)] if isinstance(entries, list) else []


def _is_password(entry: Any) -> bool:
    # Names are case-insensitive in OCPP. The variable of this name in other components is a slot's.
    try:
        names = entry["component"]["name"].lower(), entry["variable"]["name"].lower()
    except (AttributeError, KeyError, TypeError):
        return False
    return (
        names == ("securityctrlr", "basicauthpassword") and entry.get("attributeType", "Actual") == "Actual"
    )


# -- what a command triggers (docs/contract.md 3.4) -----------------------------------------------------

_REPORTS = ("GetBaseReport", "GetReport")
_TRIGGERS = ("TriggerMessage", "ExtendedTriggerMessage")


def triggered(action: str, request: bytes, response: bytes) -> set[str]:
    """The actions that an accepted command lets the charger send."""
    if action not in (*_REPORTS, *_TRIGGERS) or orjson.loads(response).get("status") != "Accepted":
        return set()
    if action in _REPORTS:
        return {"NotifyReport"}
    wanted = str(orjson.loads(request).get("requestedMessage"))
    # SignChargePointCertificate, SignV2GCertificate and the like are all one action.
    certificate = wanted.startswith("Sign") and wanted.endswith("Certificate")
    return {"SignCertificate" if certificate else wanted}
