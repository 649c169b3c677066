"""What the payloads of a few actions mean to the gateway: secrets, passwords, what a command triggers.

Bytes in, values out. Secrets are masked in facts only (docs/contract.md 3.5): what goes to the charger and
back to the backend is never touched. Payloads may be of any shape: a lenient level passes them on.
"""

import base64
import re
from typing import Any

import orjson

from voltgate._core import Frame
from voltgate.gateway.interfaces import Verdict

MASK = "***"
MASKED = MASK.encode()
_REPORTED = frozenset({"NotifyEvent", "NotifyReport", "PublishFirmwareStatusNotification"})

# Names of configuration keys, variables and properties; case-insensitive in OCPP. Write-only ones are secret.
_NAMES = r"authorization_?key|password|passphrase|vpn_?key|sim_?pin|private_?key"
_SECRET = re.compile(_NAMES, re.IGNORECASE)
_LOGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S*@")
_ODD = re.compile(rb"[a-z]:(?:\\?/){2}\S*@|" + _NAMES.encode(), re.IGNORECASE)
# Bytes without any of these have no secret, and are not parsed: a name, the @ of a login, an escape.
_SUSPICIOUS = re.compile(rb'@|\\u|"signature|' + _NAMES.encode(), re.IGNORECASE)
# The payload of a signed message (docs/ocpp.md A16), where it is not parsed.
_SIGNED = re.compile(rb'"payload"\s*:\s*"([^"]*)"')
_URLS = frozenset({"location", "remoteLocation", "ocppCsmsUrl"})
# Of an entry that is about a secret, these say which one it is; chargers may quote it anywhere else.
_NO_SECRETS = frozenset(
    {"attributeStatus", "attributeType", "component", "dataType", "key", "mutability", "status", "type",
     "variable"}
)  # fmt: skip
_ANSWERED = frozenset({"GetConfiguration", "GetVariables"})


# -- secrets --------------------------------------------------------------------------------------------


def masked(body: bytes, quoted: bool = False) -> bytes | None:
    """The payload without its secrets; None if it has none.

    ``quoted``: it answers a command that holds a secret, which may be in any of its texts.
    """
    if not quoted and _SUSPICIOUS.search(body) is None:
        return None
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return MASKED if quoted or may_hold_secrets(body) else None
    shown = _without_secrets(value, "", quoted)
    return None if shown == value else orjson.dumps(shown)


def masked_report(body: bytes, odd: bool) -> bytes | None:
    """The same for a payload that may violate its schema (``odd``): then a secret may be in any place."""
    return MASKED if odd and may_hold_secrets(body) else masked(body)


def _without_secrets(value: Any, name: str, secret: bool) -> Any:
    """``value`` of the property ``name``; ``secret``: it belongs to an entry about a secret."""
    if isinstance(value, dict):
        secret = secret or _about_secret(value)
        vpn = name == "vpn"  # its "key" is the shared secret, elsewhere a key's name
        if (signed := _signed(value)) is not None and _is_secret(signed):
            value = value | {"payload": MASK}
        return {
            key: _without_secrets(one, key, (secret and key not in _NO_SECRETS) or (vpn and key == "key"))
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(one, name, secret) for one in value]
    if value is None or isinstance(value, bool):
        return value
    if secret or _SECRET.search(name):
        return MASK
    if not isinstance(value, str):
        return value
    return _without_login(value) if name in _URLS or _LOGIN.search(value) else value


def _about_secret(entry: dict[str, Any]) -> bool:
    variable = entry.get("variable")
    named = variable.get("name") if isinstance(variable, dict) else entry.get("key")
    return isinstance(named, str) and _SECRET.search(named) is not None


def _without_login(url: str) -> str:
    # By hand: urlsplit sees no password in a URL without a scheme, or with a slash in the password.
    secret, at, host = url.rpartition("@")
    scheme = secret.partition("://")[0] + "://" if "://" in secret else ""
    return f"{scheme}{MASK}@{host}" if at else url


def _signed(entry: Any) -> str | None:
    """The payload of a signed message as it is in its envelope, base64; None for another value."""
    if not isinstance(entry, dict) or not {"signature", "signatures"} & entry.keys():
        return None
    payload = entry.get("payload")
    return payload if isinstance(payload, str) else None


def _unsigned(payload: str) -> bytes:
    """Raises ValueError for what is not base64, of either alphabet."""
    text = payload.rstrip("=").replace("+", "-").replace("/", "_").encode()
    return base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _is_secret(payload: str) -> bool:
    """Whether a signed payload holds a secret, or cannot be read."""
    try:
        return masked(_unsigned(payload)) is not None
    except ValueError:
        return True


def may_be_reported(action: str) -> bool:
    """Whether a CALL of a charger may hold a secret."""
    return action.removesuffix("-Signed") in _REPORTED


def may_answer_secrets(action: str) -> bool:
    """Whether a charger's answer to ``action`` may hold a secret."""
    return action in _ANSWERED


def may_hold_secrets(body: bytes) -> bool:
    """Whether the name of a secret or a login is in ``body``, of whatever form it is."""
    if _ODD.search(body) is not None:
        return True
    signed = _SIGNED.findall(body) if b'"signature' in body else ()
    return any(_is_secret(payload.decode(errors="replace")) for payload in signed)


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
    return MASKED if (answer and _BARE.fullmatch(raw) is None) or may_hold_secrets(raw) else raw


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
