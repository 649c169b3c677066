"""Messages of a stream, read back: what is asked, and what an answer means.

A direct get (``$JS.API.DIRECT.GET``, ADR-31) is answered by any replica, with the message itself. What only
the leader knows (``$JS.API.STREAM.MSG.GET``) comes as a JSON document.
"""

from base64 import b64decode
from enum import Enum
from typing import Any

import orjson

from voltgate.gateway.bus.subscriptions import parse_headers
from voltgate.gateway.interfaces import NotRead, Stored

_NO_MESSAGE = 10037
_NO_LEADER = "503"
_DIGITS = 20  # of a sequence


class Unanswered(Enum):
    """Why a reply is not the answer to a read."""

    NOT_NOW = "not now"  # nobody can answer it: short 503s while a leader is elected are normal
    FOREIGN = "foreign"  # not of the stream or the subject that was asked for


def query(seq: int, subject: str | None) -> bytes:
    """Ask for the message at ``seq``, or the next one of ``subject`` from there (0: the last one)."""
    asked: dict[str, Any] = {"seq": seq}
    if subject is not None:
        asked = {"last_by_subj": subject} if not seq else asked | {"next_by_subj": subject}
    return orjson.dumps(asked)


def parse_direct(
    headers: dict[str, str], data: bytes, stream: str, subject: str | None = None
) -> Stored | NotRead | Unanswered:
    """The answer to a direct get of ``stream``; ``subject``: the one the message must have."""
    status = headers.get("Status")
    if status is not None:
        if status == _NO_LEADER:
            return Unanswered.NOT_NOW
        return NotRead.MISSING if status == "404" else NotRead.UNREADABLE
    seq = headers.get("Nats-Sequence", "")
    if not (seq.isascii() and seq.isdecimal() and len(seq) <= _DIGITS):
        return Unanswered.FOREIGN
    if headers.get("Nats-Stream") != stream or headers.get("Nats-Subject") != (
        subject or headers.get("Nats-Subject")
    ):
        return Unanswered.FOREIGN
    return Stored(int(seq), headers, data)


def parse_leader(
    headers: dict[str, str], data: bytes, subject: str | None = None
) -> Stored | NotRead | Unanswered:
    """The answer of a stream's leader; ``subject``: the one the message must have."""
    if headers.get("Status") == _NO_LEADER:
        return Unanswered.NOT_NOW
    try:
        answer = orjson.loads(data)
        if "error" in answer:
            error = answer["error"]
            if str(error["code"]) == _NO_LEADER:
                return Unanswered.NOT_NOW
            return NotRead.MISSING if error["err_code"] == _NO_MESSAGE else NotRead.UNREADABLE
        message = answer["message"]
        stored_headers, body = (
            b64decode(message.get(part) or "", validate=True) for part in ("hdrs", "data")
        )
        if type(message["seq"]) is not int or (subject is not None and message.get("subject") != subject):
            return NotRead.UNREADABLE
        return Stored(message["seq"], parse_headers(stored_headers), body)
    except (ValueError, KeyError, TypeError, AttributeError):
        return NotRead.UNREADABLE
