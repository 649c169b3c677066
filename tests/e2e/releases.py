"""What release 0.1.0 wrote for other gateways: golden messages of tests/vectors, sent and compared.

A golden message is byte for byte what that release wrote (docs/compatibility.md).
"""

import json
import re
from pathlib import Path
from typing import Any

from nats.aio.client import Client
from nats.js.api import PubAck

from e2e.strangers import Fact, attribute, token

VECTORS = Path(__file__).parent.parent / "vectors"
MESSAGES: dict[str, dict[str, Any]] = json.loads((VECTORS / "release_0_1_0.json").read_text())
OTHER = "edge-7-4711-0badcafe"  # the gateway that wrote them
_SEQ = "Nats-Expected-Last-Subject-Sequence"  # differs in every run


def golden(name: str, identity: str = "", later: bool = False, **fields: Any) -> Fact:
    """The message, about another charger and with other ``fields``; ``later`` adds a header and fields."""
    message = MESSAGES[name]
    if identity:
        spelled = {" ": identity, "=20": token(identity), "%20": attribute(identity)}
        named = re.sub(r"CP( |=20|%20)[12]", lambda found: spelled[found[1]], json.dumps(message))
        message = json.loads(named)
    headers, body = dict(message["headers"]), message["body"]
    if is_ours(message["subject"]) and body:
        more = {"later": {"nested": [1, None, {"x": "y"}]}, "also": "later"} if later else {}
        body = json.dumps(json.loads(body) | more | fields, separators=(",", ":"))
    if later:
        headers |= {"Ocpp-Shade": "of a later release", "ce-lateattribute": "1"}
    return Fact(message["subject"], headers, body.encode())


async def store(client: Client, fact: Fact) -> PubAck:
    """Write it into its stream."""
    headers = {key: value for key, value in fact.headers.items() if key != _SEQ}
    return await client.jetstream().publish(fact.subject, fact.data, headers=headers or None)


def is_ours(subject: str) -> bool:
    """Whether the body is of our own making; the others are OCPP payloads, which no release changes."""
    return not re.match(r"ocpp\.(tx|event|command)\.", subject)


_FORMS = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<time>"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>"),
    (r"\$voltgate-sha256\$[0-9a-f]{32}\$[0-9a-f]{64}", "<key hash>"),
    (r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", "<id>"),
    (r"\d+", "<number>"),
]


def _form(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    if not isinstance(value, str):
        return value
    for pattern, name in _FORMS:
        value = re.sub(pattern, name, value)
    return value


def departures(name: str, written: Fact, gateway: str) -> list[str]:
    """What the golden message has and ``written`` by ``gateway`` lacks, or has in another form."""

    def parts(fact: Fact, author: str) -> dict[str, Any]:
        found: dict[str, Any] = {"subject": _form(fact.subject.replace(author, "<gateway>"))}
        found |= {f"header {key}": _form(value) for key, value in fact.headers.items()}
        text = fact.data.decode().replace(author, "<gateway>")
        if is_ours(fact.subject) and text:
            return found | {f"field {key}": _form(value) for key, value in json.loads(text).items()}
        return found | {"body": text}

    has = parts(written, gateway)
    return [
        f"{name}: {part} is {has.get(part, 'absent')!r}, was {form!r}"
        for part, form in parts(golden(name), OTHER).items()
        if part not in has or has[part] != form
    ]
