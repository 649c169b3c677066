"""The head of an upgrade request: what is tolerated in it, what is wrong with it, what it says. Values only.

Tolerated because it harms nobody (docs/contract.md 2.1): empty lines before the request (RFC 9112 2.2), lines
that end with LF alone, spaces and bytes beyond ASCII in the request target, a ``Connection`` header that is
missing or names something else. All other rules of RFC 6455 4.2.1 are judged by websockets.
"""

import re
from urllib.parse import quote_from_bytes, unquote_to_bytes

from websockets.exceptions import (
    InvalidHeader,
    InvalidMethod,
    InvalidUpgrade,
    RequestLineTooLong,
    SecurityError,
)
from websockets.http11 import Request

from voltgate.gateway.reasons import Refusal
from voltgate.gateway.registry.record import is_identity

MAX_BYTES = 32_768  # a constant, like the bounds of websockets for lines
TLS_HANDSHAKE = b"\x16"  # the first byte of a ClientHello (RFC 8446 5.1); no HTTP request begins with it

_END = re.compile(rb"\r?\n\r?\n")
_LINE_END = re.compile(rb"\r?\n")
_PRINTABLE = bytes(range(0x21, 0x7F)).decode()


def end_of(head: bytearray) -> int:
    """Where the head ends; 0 while it has no end."""
    found = _END.search(head)
    return found.end() if found else 0


def fault_of_line(head: bytearray) -> Refusal | None:
    """What is wrong with the request line; None while it is not complete, and where nothing is."""
    line, ended, _ = head.partition(b"\n")
    if not ended:
        return None
    method, target, protocol = _parts(line)
    if not (target and method.isalpha() and protocol.startswith(b"HTTP/")):
        return Refusal.BAD_REQUEST
    return None if protocol == b"HTTP/1.1" else Refusal.HTTP_VERSION


def strict(head: bytes) -> bytes:
    """The head as RFC 9112 writes it; its request line has no fault."""
    line, _, rest = head.partition(b"\n")
    method, target, protocol = _parts(line)
    path = quote_from_bytes(target, safe=_PRINTABLE).encode()
    return b" ".join((method, path, protocol)) + b"\r\n" + _LINE_END.sub(b"\r\n", rest)


def _parts(line: bytes | bytearray) -> tuple[bytes, bytes, bytes]:
    method, _, rest = bytes(line).strip(b" \r").partition(b" ")
    target, _, protocol = rest.strip(b" ").rpartition(b" ")
    return method, target.rstrip(b" "), protocol


def tolerate(request: Request) -> None:
    """Write the ``Connection`` header that RFC 6455 4.2.1 wants: some send none (docs/ocpp.md B)."""
    if "Connection" in request.headers:
        del request.headers["Connection"]
    request.headers["Connection"] = "Upgrade"


def fault(request: Request) -> Refusal | None:
    """Why it is not an upgrade request at all; its details are websockets' to judge."""
    if request.method != "GET":
        return Refusal.BAD_METHOD
    asks = any("websocket" in value.lower() for value in request.headers.get_all("Upgrade"))
    return None if asks else Refusal.NOT_WEBSOCKET


def refusal_of(error: Exception | None) -> Refusal:
    """What websockets found wrong."""
    match error:
        case RequestLineTooLong() | SecurityError():
            return Refusal.HEAD_TOO_LARGE
        case InvalidMethod():
            return Refusal.BAD_METHOD
        case InvalidUpgrade():
            return Refusal.NOT_WEBSOCKET
        case InvalidHeader(name="Sec-WebSocket-Key"):
            return Refusal.WEBSOCKET_KEY
        case InvalidHeader(name="Sec-WebSocket-Version"):
            return Refusal.WEBSOCKET_VERSION
        case _:
            return Refusal.BAD_HEADER


def identity_of(path: str) -> str | None:
    """The charger's identity: the last non-empty segment of the path, percent-decoded once (docs/ocpp.md A3).

    None where that is not a legal identity, or not UTF-8.
    """
    segments = [segment for segment in path.split("?", 1)[0].split("#", 1)[0].split("/") if segment]
    if not segments:
        return None
    try:
        identity = unquote_to_bytes(segments[-1]).decode()
    except UnicodeDecodeError:
        return None
    return identity if is_identity(identity) else None


def offered(request: Request) -> list[str]:
    """The offered subprotocols in the charger's order; an empty header counts as none (docs/ocpp.md B)."""
    values = request.headers.get_all("Sec-WebSocket-Protocol")
    return [name for value in values for part in value.split(",") if (name := part.strip())]
