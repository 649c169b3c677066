"""The timeline of a charger: what it sent and was sent, decoded, with refusals and commands, newest first.

Payloads are those of the facts, in which the gateway has masked secrets; tokens and addresses of files are
masked for viewers.
"""

from typing import Any
from urllib.parse import unquote

import orjson
from aiohttp import web

from voltgate import _core
from voltgate.config import Config
from voltgate.csms.console import tokens
from voltgate.csms.console.console import Ask, answered
from voltgate.csms.console.endpoints import TimelineQuery
from voltgate.csms.console.facts import at_of, commands, events, is_answer
from voltgate.csms.console.history import NOW
from voltgate.csms.console.roles import Role
from voltgate.csms.ledger import times
from voltgate.csms.ledger.facts import VERSIONS, Message
from voltgate.csms.ledger.pseudonyms import TOKEN_NAMES
from voltgate.csms.ledger.streams import Input

Document = dict[str, Any]

ADDRESS_NAMES = frozenset({"location", "remoteLocation"})  # of files: who has one may read or write it
READ = 5000  # messages of one stream, at most
REFUSED_TEXT = 4096  # characters of a refused frame
_KINDS = {"reject": "refusal", "security": "security", "violation": "violation", "link": "link"}


async def get_timeline(ask: Ask) -> web.Response:
    """The last messages of a charger, from all streams."""
    query = ask.queried(TimelineQuery)
    sources = _sources(ask.console.config, ask.id)
    before = query.before or NOW
    found = await ask.console.history.newest(sources, query.limit + 1, READ, before)
    page = found[: query.limit]
    shown = ask.principal.role >= Role.OPERATOR
    return answered(
        {
            "items": [moment(one, shown=shown) for one in _once(page)],
            "next": at_of(page[-1]).isoformat() if len(found) > query.limit else None,
        }
    )


def _sources(config: Config, charger: str) -> list[Input]:
    nats, token = config.nats, _core.token(charger)
    facts, prefix = nats.stream_prefix, nats.prefix
    return [
        Input(f"{facts}_TX", (f"{prefix}.tx.*.*.{token}",)),
        events(nats, charger, "*"),
        commands(nats, charger, "*"),
        Input(
            f"{facts}_REJECTS",
            (f"{prefix}.reject.*.{token}", f"{prefix}.security.*.{token}", f"{prefix}.violation.{token}"),
        ),
        Input(f"{nats.ops_prefix.upper()}_STATE", (f"{nats.ops_prefix}.link.{token}",)),
    ]


def _once(messages: list[Message]) -> list[Message]:
    """Without the second copy of a link (docs/csms/ledger.md)."""
    found: dict[str, Message] = {}
    for one in reversed(messages):
        found.setdefault(_id(one), one)
    return list(found.values())[::-1]


def moment(message: Message, *, shown: bool) -> Document:
    """The document of a message. ``shown``: with its tokens."""
    parts, headers = message.subject.split("."), message.headers
    class_ = parts[1]
    kind = _KINDS.get(class_) or _kind(class_, message)
    version = next((VERSIONS[part] for part in parts[2:-1] if part in VERSIONS), None)
    return {
        "id": _id(message),
        "at": times.text(at_of(message)),
        "stream": message.stream,
        "seq": message.seq,
        "kind": kind,
        "action": parts[3].removesuffix("Response") if class_ not in _KINDS else _name(class_, parts),
        "version": version,
        "message_id": unquote(headers["ocpp-message-id"]) if "ocpp-message-id" in headers else None,
        "outcome": headers.get("ocpp-outcome"),
        "error": _error(headers),
        "payload": _payload(message, refused=class_ == "reject", shown=shown),
    }


def _kind(class_: str, message: Message) -> str:
    if class_ == "command":
        return "outcome" if is_answer(message) else "command"
    return "answer" if is_answer(message) else "message"


def _name(class_: str, parts: list[str]) -> str:
    """The reason of a refused login; other kinds have no action."""
    return parts[2] if class_ == "security" else ""


def _error(headers: Any) -> str | None:
    """What was wrong with it: refused, answered with an error, or passed on in spite of it."""
    said = [headers.get(name) for name in ("ocpp-error-code", "ocpp-error-pointer", "ocpp-error-reason")]
    said += [headers.get("ocpp-violation"), headers.get("ocpp-reply-violation")]
    return unquote(" ".join(one for one in said if one)) or None


def _payload(message: Message, *, refused: bool, shown: bool) -> Any:
    if not refused:
        try:
            found = orjson.loads(message.data)
        except orjson.JSONDecodeError:
            found = None
        if found is not None:
            return found if shown else _masked(found)
    text = message.data.decode(errors="replace")[:REFUSED_TEXT]
    return text if shown else None  # nobody knows where in it a token is


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: tokens.masked(one) if name in TOKEN_NAMES and isinstance(one, str) else _masked(one)
            for name, one in value.items()
        } | {name: "***" for name in ADDRESS_NAMES & value.keys() if not _is_word(value[name])}
    if isinstance(value, list):
        return [_masked(one) for one in value]
    return value


def _is_word(value: Any) -> bool:
    """The ``location`` of a measured value is one, such as ``Outlet``, and no address."""
    return isinstance(value, str) and value.isalpha()


def _id(message: Message) -> str:
    return unquote(message.headers.get("ce-id", f"{message.stream}/{message.seq}"))
