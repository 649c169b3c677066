"""What a stream's leader answers to ``$JS.API.STREAM.MSG.GET``: a JSON document, not the message itself."""

from base64 import b64decode

import orjson

from voltgate.gateway.bus.subscriptions import parse_headers
from voltgate.gateway.interfaces import NotRead, Stored

_NO_MESSAGE = 10037


def parse(data: bytes, subject: str | None = None) -> Stored | NotRead:
    """The message in the answer ``data``; ``subject``: the one it must have."""
    try:
        answer = orjson.loads(data)
        if "error" in answer:
            missing = answer["error"]["err_code"] == _NO_MESSAGE
            return NotRead.MISSING if missing else NotRead.UNREADABLE
        message = answer["message"]
        headers, body = (b64decode(message.get(part) or "", validate=True) for part in ("hdrs", "data"))
        if type(message["seq"]) is not int or (subject is not None and message.get("subject") != subject):
            return NotRead.UNREADABLE
        return Stored(message["seq"], parse_headers(headers), body)
    except (ValueError, KeyError, TypeError, AttributeError):
        return NotRead.UNREADABLE
