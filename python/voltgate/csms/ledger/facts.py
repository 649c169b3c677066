"""Facts: messages of the streams, decoded as far as every reader needs it (docs/contract.md 3.2 and 3.3).

Tokens end here: a fact has their pseudonyms.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from voltgate.csms.ledger import times
from voltgate.csms.ledger.pseudonyms import Pseudonyms

VERSIONS = {"v16": "ocpp1.6", "v201": "ocpp2.0.1", "v21": "ocpp2.1"}
_ESCAPED = re.compile(rb"=([0-9A-F]{2})")
# An escaped NUL, or an escaped backslash, which may stand before the text u0000.
_NUL = re.compile(rb"\\\\|\\u0000")
# To find nineteen digits in a row: a regular expression would take six times as long as parsing the JSON.
_ZEROS, _LONG = bytes.maketrans(b"123456789", b"0" * 9), b"0" * 19
MOST = 2**63 - 1  # of an integer in a database
_WITH_VERSION = 5  # tokens of ocpp.<class>.<version>.<action>.<token>


class UnreadableError(Exception):
    """A message that is not a fact: somebody else has published to the stream."""


class Message(NamedTuple):
    """A message as a stream delivers it."""

    stream: str
    seq: int
    subject: str
    headers: Mapping[str, str]
    data: bytes
    stored_at: float
    """When the stream stored it, seconds since 1970."""


class Fact(NamedTuple):
    """One message of a stream.

    ``id``: the same fact twice has the same id. ``key``: ``ocpp-key``, which a Response shares with its
    request. ``at``: when the gateway received it. ``version``: ``ocpp1.6`` ..., "" for links. ``action``: the
    OCPP action, with ``Response`` behind it for answers, or ``link``.
    """

    stream: str
    seq: int
    id: str
    subject: str
    key: str | None
    charger: str
    at: datetime
    version: str
    action: str
    body: dict[str, Any]
    headers: Mapping[str, str]


def parsed(data: bytes) -> Any:
    """JSON without what databases cannot store: NUL in text, integers beyond 64 bits. Raises ValueError."""
    if b"\\u0000" in data:
        data = _NUL.sub(lambda found: b"\\ufffd" if found[0] == b"\\u0000" else found[0], data)
    document = orjson.loads(data)
    if _LONG in data.translate(_ZEROS) and isinstance(document, dict | list):
        _bound(document)
    return document


def _bound(document: Any) -> None:
    rest = [document]
    while rest:
        one = rest.pop()
        for key, value in one.items() if isinstance(one, dict) else enumerate(one):
            if isinstance(value, int) and value > MOST:  # JSON below -2**63 is read as a float
                one[key] = MOST
            elif isinstance(value, dict | list):
                rest.append(value)


@lru_cache(maxsize=65_536)
def identity(token: str) -> str:
    """The identity that a token of a subject stands for (docs/contract.md 3.1)."""
    plain = _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), token.encode())
    return plain.decode(errors="replace").replace("\0", "\ufffd")


def token(identity_: str) -> str:
    """The token of an identity (docs/contract.md 3.1)."""
    return "".join(
        chr(byte) if chr(byte).isascii() and (chr(byte).isalnum() or byte in b"_-") else f"={byte:02X}"
        for byte in identity_.encode()
    )


def decoded(message: Message, pseudonyms: Pseudonyms) -> Fact:
    """The fact of a message. Raises UnreadableError."""
    headers, subject = message.headers, message.subject
    if "\0" in "".join(headers.values()):
        headers = {name: text.replace("\0", "\ufffd") for name, text in headers.items()}
    tokens = subject.split(".")
    fact_id = headers.get("Nats-Msg-Id") or headers.get("ce-id")
    if fact_id is None:
        raise UnreadableError("has neither Nats-Msg-Id nor ce-id")
    try:
        at = times.parsed(headers["ce-time"])
        body = parsed(message.data)
    except (KeyError, ValueError) as error:
        raise UnreadableError(f"its time or its body cannot be read: {type(error).__name__}") from None
    if not isinstance(body, dict):
        raise UnreadableError("its body is not an object")
    if pseudonyms.may_hold(message.data):
        body = pseudonyms.hide(body)
    if len(tokens) == _WITH_VERSION and tokens[2] in VERSIONS:
        version, action = VERSIONS[tokens[2]], tokens[3]
    elif "link" in tokens:
        version, action = "", "link"
    else:
        raise UnreadableError("its subject is not one of a fact")
    charger = identity(tokens[-1])
    key = headers.get("ocpp-key")
    return Fact(
        message.stream, message.seq, fact_id, subject, key, charger, at, version, action, body, headers
    )
