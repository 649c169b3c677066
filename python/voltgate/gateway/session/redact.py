"""Secrets in the few commands that carry any, masked for facts (CONTRACT 3.5). Bytes in, bytes out.

What goes to the charger and back to the backend is never touched. What cannot be searched, because it is not
of the expected shape, is left out altogether.
"""

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from voltgate._core import Frame

MASK = "***"
# Configuration keys and variable names are case-insensitive in OCPP.
_PASSWORDS = frozenset({"authorizationkey", "basicauthpassword"})
_PASSWORD_BYTES = tuple(name.encode() for name in sorted(_PASSWORDS))

# A secret's place: the object that holds it, and under which name.
Place = tuple[dict[str, Any], str]


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


def request(action: str, body: bytes) -> bytes | None:
    """The request without its secrets; None where it has none."""
    return _masked(_REQUESTS.get(action), body)


def answers(action: str) -> bool:
    """Whether a charger's answer may hold a secret."""
    return action in _RESPONSES


def response(action: str, body: bytes) -> bytes | None:
    """The response without its secrets; None where it has none."""
    return _masked(_RESPONSES.get(action), body)


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
    # By hand: urlsplit sees no password where the scheme is left out, or where it holds a slash.
    secret, at, host = url.rpartition("@")
    scheme = secret.partition("://")[0] + "://" if "://" in secret else ""
    return f"{scheme}{MASK}@{host}" if at else url


def stray(frame: Frame) -> bytes:
    """The bytes of a refused frame that may be kept: of a stray answer with a password, none."""
    raw = frame.raw
    secret = frame.type == 3 and any(name in raw.lower() for name in _PASSWORD_BYTES)
    return MASK.encode() if secret else raw
