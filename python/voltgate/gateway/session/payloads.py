"""What the payloads of a few actions mean to the gateway: secrets, passwords, what a command triggers.

Bytes in, values out. Secrets are masked in facts only (docs/contract.md 3.5): what goes to the charger and
back to
the backend is never touched. A payload that cannot be searched, because it is not of the expected shape, is
left out of the fact altogether.
"""

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from voltgate._core import Frame
from voltgate.gateway.interfaces import Verdict

MASK = "***"
# Configuration keys and variable names are case-insensitive in OCPP.
_PASSWORDS = frozenset({"authorizationkey", "basicauthpassword"})
_PASSWORD_BYTES = tuple(name.encode() for name in sorted(_PASSWORDS))

# A secret's place: the object that holds it, and under which name.
Place = tuple[dict[str, Any], str]


# -- secrets --------------------------------------------------------------------------------------------


def _key_values(body: Any) -> Iterator[Place]:
    for entry in [body] if "key" in body else body.get("configurationKey", ()):
        if entry["key"].lower() in _PASSWORDS:
            yield entry, "value"


def _variables(body: Any) -> Iterator[Place]:
    for entry in body.get("setVariableData") or body.get("getVariableResult", ()):
        if entry["variable"]["name"].lower() in _PASSWORDS:
            yield entry, "attributeValue"


def _network(body: Any) -> Iterator[Place]:
    profile = body["connectionData"]
    yield profile, "basicAuthPassword"
    yield profile.get("apn", {}), "apnPassword"
    yield profile.get("vpn", {}), "password"
    yield profile.get("vpn", {}), "key"  # "VPN shared secret"


def _urls(body: Any) -> Iterator[Place]:
    yield body, "location"
    yield body.get("firmware", {}), "location"
    yield body.get("log", {}), "remoteLocation"


_REQUESTS: dict[str, Callable[[Any], Iterator[Place]]] = {
    "ChangeConfiguration": _key_values,
    "SetVariables": _variables,
    "SetNetworkProfile": _network,
    "UpdateFirmware": _urls,
    "SignedUpdateFirmware": _urls,
    "PublishFirmware": _urls,
    "GetDiagnostics": _urls,
    "GetLog": _urls,
}
_RESPONSES: dict[str, Callable[[Any], Iterator[Place]]] = {
    "GetConfiguration": _key_values,
    "GetVariables": _variables,
}


def masked_request(action: str, body: bytes) -> bytes | None:
    """The request without its secrets; None if it has none."""
    return _masked(_REQUESTS.get(action), body)


def response_may_hold_secrets(action: str) -> bool:
    """Whether a charger's response to ``action`` may hold a secret."""
    return action in _RESPONSES


def masked_response(action: str, body: bytes) -> bytes | None:
    """The response without its secrets; None if it has none."""
    return _masked(_RESPONSES.get(action), body)


def storable(frame: Frame) -> bytes:
    """The bytes of a refused frame that may be stored: nothing of a stray CALLRESULT with a password."""
    raw = frame.raw
    secret = frame.type == 3 and any(name in raw.lower() for name in _PASSWORD_BYTES)
    return MASK.encode() if secret else raw


def _masked(places: Callable[[Any], Iterator[Place]] | None, body: bytes) -> bytes | None:
    if places is None:
        return None
    try:
        value = orjson.loads(body)
        found = False
        for holder, name in places(value):
            secret = holder.get(name)
            if secret is None:
                continue
            shown = _without_login(secret) if places is _urls else MASK
            found = found or shown != secret
            holder[name] = shown
    except (ValueError, TypeError, KeyError, AttributeError):
        return b"{}"
    return orjson.dumps(value) if found else None


def _without_login(url: str) -> str:
    # By hand: urlsplit sees no password in a URL without a scheme, or with a slash in the password.
    secret, at, host = url.rpartition("@")
    scheme = secret.partition("://")[0] + "://" if "://" in secret else ""
    return f"{scheme}{MASK}@{host}" if at else url


# -- the charger's own password (docs/contract.md 3.8) --------------------------------------------------

_VERDICTS = {"Accepted": Verdict.TAKEN, "RebootRequired": Verdict.AT_REBOOT}


def passwords(action: str, body: bytes) -> list[bytes]:
    """The new passwords in a command whose body is valid; nearly always none."""
    if action == "ChangeConfiguration":
        entry = orjson.loads(body)
        return [entry["value"].encode()] if entry["key"].lower() == "authorizationkey" else []
    if action == "SetVariables":
        entries = orjson.loads(body)["setVariableData"]
        return [entry["attributeValue"].encode() for entry in entries if _is_password(entry)]
    return []


def verdict(action: str, body: bytes) -> Verdict | None:
    """What a valid result decides about the new password; None if it does not mention it."""
    result = orjson.loads(body)
    if action == "ChangeConfiguration":
        status = result["status"]
    else:
        entries = (entry for entry in result["setVariableResult"] if _is_password(entry))
        status = next((entry["attributeStatus"] for entry in entries), None)
    return None if status is None else _VERDICTS.get(status, Verdict.REFUSED)


def _is_password(entry: dict[str, Any]) -> bool:
    # Names are case-insensitive in OCPP. The variable of this name in other components is a slot's.
    names = entry["component"]["name"].lower(), entry["variable"]["name"].lower()
    return (
        names == ("securityctrlr", "basicauthpassword") and entry.get("attributeType", "Actual") == "Actual"
    )


# -- what a command triggers (docs/contract.md 3.4) -----------------------------------------------------

_REPORTS = ("GetBaseReport", "GetReport")
_TRIGGERS = ("TriggerMessage", "ExtendedTriggerMessage")


def triggered(action: str, request: bytes, response: bytes) -> set[str]:
    """The actions that an accepted command lets the charger send; both payloads are valid."""
    if action not in (*_REPORTS, *_TRIGGERS) or orjson.loads(response).get("status") != "Accepted":
        return set()
    if action in _REPORTS:
        return {"NotifyReport"}
    wanted = orjson.loads(request)["requestedMessage"]
    # SignChargePointCertificate, SignV2GCertificate and the like are all one action.
    certificate = wanted.startswith("Sign") and wanted.endswith("Certificate")
    return {"SignCertificate" if certificate else wanted}
