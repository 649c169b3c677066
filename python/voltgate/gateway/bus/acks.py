"""What a PubAck says, checked like any other input. Bytes in, a verdict out.

Whoever sees a reply subject can send to it: a PubAck counts only with the right types and from the stream
that keeps what was published (docs/contract.md 3.7), in its domain if one is named: where a leaf node and its
hub both have such a stream, both acknowledge.
"""

from enum import Enum, auto
from typing import Any

import orjson

from voltgate.config import Nats
from voltgate.gateway.bus.domain import BUCKETS
from voltgate.gateway.interfaces import Ack

# The stream, or what it may use of the server or the account, is full.
FULL = {10077, 10047, 10028, 10023, 10002}
# The same Nats-Msg-Id is on its way to a quorum: soon it is a duplicate, or can be stored.
IN_PROCESS = 10158
KEY = f"HPUB {BUCKETS}".encode()  # how a publish to a key of a bucket begins
LONGEST = 4096  # bytes; a PubAck has about a hundred

_NO_RESPONDERS = b"NATS/1.0 503"
_UNAVAILABLE = 503


class NoAck(Enum):
    """What came in place of a PubAck."""

    FULL = auto()
    NOT_NOW = auto()  # no responders, or no leader for a moment
    REFUSED = auto()  # by the stream, which would refuse it again
    GARBAGE = auto()  # not from JetStream, or not about this message


class Acks:
    """Judges what comes to the reply subject of a publish."""

    def __init__(self, config: Nats) -> None:
        self._domain = config.domain
        facts, streams = f"HPUB {config.prefix}.", config.stream_prefix
        kept = {
            "TX": ("tx",),
            "EVENTS": ("event",),
            "REJECTS": ("reject", "security", "violation"),
            "COMMANDS": ("command",),
            "LINKS": ("link",),
        }
        self._beginnings = {
            f"{streams}_{name}": tuple(f"{facts}{class_}.".encode() for class_ in classes)
            for name, classes in kept.items()
        }

    def judge(self, hpub: bytes, headers: bytes, data: bytes) -> Ack | NoAck:
        """Whether the message of the command ``hpub`` is stored."""
        if not data:
            return NoAck.NOT_NOW if headers.startswith(_NO_RESPONDERS) else NoAck.GARBAGE
        if len(data) > LONGEST:
            return NoAck.GARBAGE
        try:
            body = orjson.loads(data)
        except orjson.JSONDecodeError:
            return NoAck.GARBAGE
        if type(body) is not dict:
            return NoAck.GARBAGE
        if "error" in body:
            return _refused(body["error"])
        stream, seq, duplicate = body.get("stream"), body.get("seq"), body.get("duplicate", False)
        if type(stream) is not str or type(seq) is not int or seq <= 0 or type(duplicate) is not bool:
            return NoAck.GARBAGE
        return Ack(stream, seq, duplicate) if self.keeps(stream, body.get("domain"), hpub) else NoAck.GARBAGE

    def keeps(self, stream: str, domain: Any, hpub: bytes) -> bool:
        """Whether ``stream`` of ``domain`` is the one that keeps the message of the command ``hpub``."""
        beginning = self._beginnings.get(stream) or self._of_bucket(stream)
        return hpub.startswith(beginning) and self._domain in ("", domain)

    def _of_bucket(self, stream: str) -> bytes:
        """How commands begin whose messages ``stream`` keeps: the stream of a KV bucket, else none."""
        name, bucket, key = stream.partition("KV_")
        return KEY + f"{key}.".encode(errors="replace") if bucket and not name and key else b"\n"


def _refused(error: Any) -> NoAck:
    if type(error) is not dict or type(error.get("code")) is not int:
        return NoAck.GARBAGE
    number = error.get("err_code", 0)
    if type(number) is not int:
        return NoAck.GARBAGE
    if number in FULL:
        return NoAck.FULL
    return NoAck.NOT_NOW if error["code"] == _UNAVAILABLE or number == IN_PROCESS else NoAck.REFUSED
