"""What one release of the gateway says to another, as files under tests/vectors: read, varied, compared.

A golden message is what its release wrote, byte for byte; ``may_lack`` names the headers and fields no reader
may insist on (docs/compatibility.md), ``may_differ`` what is for people.
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
_SEQ = "Nats-Expected-Last-Subject-Sequence"  # the moment's

# How the other gateway sounds: this one as it was, one that has learnt more, one that knew less.
VOICES = ("as written", "later", "earlier")
_SPOKEN_LATER = {"Ocpp-Shade": "of a later release", "ce-lateattribute": "1"}
_KNOWN_LATER = {"later": {"nested": [1, None, {"x": "y"}]}, "also": "later"}


class Release:
    """Golden messages in one of the voices."""

    def __init__(self, voice: str = VOICES[0]) -> None:
        self.voice = voice

    def __call__(self, name: str, identity: str = "", **fields: Any) -> Fact:
        """The message; about another charger, and with ``fields`` as only the moment knows them."""
        golden = MESSAGES[name]
        if identity:
            named = json.dumps(golden).replace("CP 1", identity).replace("CP=201", token(identity))
            golden = json.loads(named.replace("CP%201", attribute(identity)))
        headers, body = dict(golden["headers"]), golden["body"]
        lack = golden.get("may_lack", {})
        if self.voice == "later":
            headers |= _SPOKEN_LATER
        elif self.voice == "earlier":
            headers = {key: value for key, value in headers.items() if key not in lack.get("headers", ())}
        if is_ours(golden["subject"]) and body:
            content = json.loads(body)
            if self.voice == "later":
                content |= _KNOWN_LATER
            elif self.voice == "earlier":
                content = {key: value for key, value in content.items() if key not in lack.get("fields", ())}
            body = json.dumps(content | fields, separators=(",", ":"), ensure_ascii=False)
        return Fact(golden["subject"], headers, body.encode())

    async def store(self, client: Client, name: str, identity: str = "", **fields: Any) -> PubAck:
        """As the other gateway would: into a stream."""
        fact = self(name, identity, **fields)
        headers = {key: value for key, value in fact.headers.items() if key != _SEQ}
        return await client.jetstream().publish(fact.subject, fact.data, headers=headers or None)


def is_ours(subject: str) -> bool:
    """Whether the body is of our own making; the others are OCPP payloads, which no release may touch."""
    return not re.match(r"ocpp\.(tx|event|command)\.", subject)


# -- what of a message is its form ------------------------------------------------------------------------

_FORMS = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<time>"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>"),
    (r"\$voltgate-sha256\$[0-9a-f]{32}\$[0-9a-f]{64}", "<key hash>"),
    (r"\$argon2id\$v=19\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+", "<password hash>"),
    (r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", "<id>"),
    (r"\d+", "<number>"),
]


def _form(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _form(content) for name, content in value.items()}
    if isinstance(value, list):
        return [_form(content) for content in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return "number"
    for pattern, name in _FORMS:
        value = re.sub(pattern, name, value)
    return value


def departures(name: str, said: Fact, gateway: str) -> list[str]:
    """What the golden message has and ``said`` by ``gateway`` has not, or has in another form."""
    golden = Release()(name)

    def parts(fact: Fact, author: str) -> dict[str, Any]:
        found: dict[str, Any] = {"subject": _form(fact.subject.replace(author, "<gateway>"))}
        found |= {f"header {key}": _form(value) for key, value in fact.headers.items()}
        text = fact.data.decode().replace(author, "<gateway>")
        if is_ours(fact.subject) and text:
            return found | {f"field {key}": _form(value) for key, value in json.loads(text).items()}
        return found | {"body": text}

    wanted, has = parts(golden, OTHER), parts(said, gateway)
    for free in MESSAGES[name].get("may_differ", ()):
        del wanted[free]
    return [
        f"{name}: {part} is {has.get(part, 'absent')!r}, was {form!r}"
        for part, form in wanted.items()
        if part not in has or has[part] != form
    ]
