"""Holds every message that a gateway of these tests publishes against the AsyncAPI document.

The document is that of the gateway's configuration. What a gateway hands over to NATS is looked at where it
leaves, in a thread of its own: a subscriber would be a responder to its questions, and would see what tests
forge. Not looked at: JetStream's and the server's own subjects, and buckets.
"""

import asyncio
import queue
import re
import threading
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import jsonschema
import orjson
from nats.aio.client import Client

from voltgate import Codec
from voltgate.cli.asyncapi.document import SIGNED, described, document
from voltgate.config import Config
from voltgate.gateway.bus import uplink
from voltgate.policy import command_levels, rules
from voltgate.schemas import SUBPROTOCOLS

KNOWN = 10_000  # commands whose replies may still come
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_NOT_OURS = re.compile(r"\$(JS|KV|SYS)\.|ocpp\.tx\.v16\.X\.")  # X: what tests store through a gateway's bus
_UNJUDGED = ("ocpp-violation", "ocpp-redacted", "ocpp-error-code")  # such a body need not fit its schema


class Message(NamedTuple):
    """One publish."""

    subject: str
    headers: dict[str, str]
    body: bytes


def messages(lines: bytes) -> Iterator[Message]:
    """The publishes in lines of the NATS protocol."""
    while lines:
        line, _, rest = lines.partition(b"\r\n")
        if not line.startswith(b"HPUB "):
            lines = rest
            continue
        _, subject, *_, head, total = line.decode().split(" ")
        rows = rest[: int(head)].decode().split("\r\n")[1:-2]
        headers = dict(row.split(": ", 1) for row in rows)
        yield Message(subject, headers, rest[int(head) : int(total)])
        lines = rest[int(total) + 2 :]


class Checker:
    """The document of one configuration. :meth:`fault` says what is wrong with a message; "" for nothing."""

    def __init__(self, config: Config) -> None:
        made: Any = document(config, described)
        self.channels: Counter[str] = Counter()
        """What was seen."""
        self.faults: list[str] = []
        self._schemas, self._messages = made["components"]["schemas"], made["components"]["messages"]
        self._keys = {name: set(channel["messages"]) for name, channel in made["channels"].items()}
        self._places = [
            (name, re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^.]+)", re.escape(channel["address"]))))
            for name, channel in made["channels"].items()
            if channel["address"] is not None and name not in ("kick", "move")
        ]
        table = rules(config)
        self._off = {
            (version, action)
            for version in SUBPROTOCOLS
            for action, level in [
                *((action, rule.validation) for action, rule in table[version].items()),
                *command_levels(version, config).items(),
            ]
            if level == "off"
        }
        """Whose payloads are passed on untagged, whatever they hold."""
        self.off: set[str] = set()
        """The same by record: tokens of chargers."""
        self._commands: dict[str, tuple[str, str]] = {}

    def fault(self, message: Message) -> str:
        for name, place in self._places:
            if match := place.fullmatch(message.subject):
                self.channels[name] += 1
                return self._placed(name, match.groupdict(), message)
        return self._reply(message)

    def _placed(self, name: str, parts: dict[str, str], message: Message) -> str:
        kind = message.headers.get("ce-type", "")
        if "action" in parts:
            if kind != f"ocpp.{parts['version']}.{parts['action']}":
                return f"ce-type {kind}"
            role = {"command": "command.", "ask": "ask."}.get(name, "")
            key = f"{role}{parts['version']}.{parts['action']}"
            if SIGNED in key:
                key = f"{role}signed{'Response' if key.endswith('Response') else ''}"
        else:
            key = "link" if name == "linkHistory" else name
        if key not in self._keys[name]:
            return f"no message {key} in {name}"
        if name == "command":
            self._note(parts, message)
        return self._judge(key, message)

    def _note(self, parts: dict[str, str], message: Message) -> None:
        """Remember the action of a command whose result can be judged."""
        id_ = message.headers["ocpp-message-id"]
        if "ocpp-violation" in message.headers:
            self._commands.pop(id_, None)
        elif not parts["action"].endswith("Response"):
            self._commands[id_] = (parts["version"], parts["action"])
            if len(self._commands) > KNOWN:
                del self._commands[next(iter(self._commands))]

    def _reply(self, message: Message) -> str:
        """To whatever subject the request named."""
        outcome = message.headers.get("ocpp-outcome")
        if outcome == "result":
            self.channels["sendReply"] += 1
            command = self._commands.get(message.headers["ocpp-message-id"])
            return self._judge("send.{}.{}Response".format(*command), message) if command else ""
        if outcome is not None:
            self.channels["sendReply"] += 1
            return self._judge(f"send.{outcome}", message)
        others = ("kicked", "moved", "probed", "ping", "info", "stats")
        found = [key for key in others if not self._judge(key, message)]
        self.channels.update(found[:1])
        return "" if found else "no reply of the document"

    def _judge(self, key: str, message: Message) -> str:
        described = self._messages[key]
        if "headers" in described and (
            fault := self._headers(self._schema(described["headers"]), message.headers)
        ):
            return f"{key}: {fault}"
        payload = described.get("payload")
        if payload is None or ("ocpp-error-code" in message.headers and message.body == b"{}"):
            return ""
        if (file := payload.get("x-ocpp-schema")) is not None:
            fault = self._payload(file, message)
            return f"{key}: {fault}" if fault else ""
        schema = self._schema(payload)
        try:
            jsonschema.Draft7Validator(schema).validate(orjson.loads(message.body))
        except (jsonschema.ValidationError, orjson.JSONDecodeError) as error:
            return f"{key}: {str(error)[:200]}"
        return ""

    def _schema(self, reference: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self._schemas.get(reference.get("$ref", "").rpartition("/")[2], reference)
        return found

    def _headers(self, schema: dict[str, Any], headers: dict[str, str]) -> str:
        """As a JSON schema validator judges them; and a header that is not described is a fault here."""
        if missing := [name for name in schema.get("required", ()) if name not in headers]:
            return f"lacks {missing}"
        for name, value in headers.items():
            rule = schema["properties"].get(name)
            if rule is None:
                return f"has {name}"
            if not (
                value == rule.get("const", value)
                and value in rule.get("enum", (value,))
                and re.search(rule.get("pattern", ""), value)
                and ("format" not in rule or _DATE_TIME.fullmatch(value))
            ):
                return f"{name}: {value}"
        return ""

    def _payload(self, file: str, message: Message) -> str:
        """The codec judges as the schema does (tests/core/test_differential.py)."""
        outcome = message.headers.get("ocpp-outcome", "result")
        if outcome != "result" or any(name in message.headers for name in _UNJUDGED):
            return ""
        version, name = file.split("/")
        action, kind, _ = name.split(".")
        if (version, action) in self._off or message.subject.rpartition(".")[2] in self.off:
            return ""
        violation = Codec(SUBPROTOCOLS[version]).check(action, kind, message.body)
        return f"{violation.pointer} {violation.reason}" if violation else ""


class Tap:
    """All gateways of this process."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[tuple[Checker, bytes] | threading.Event] = queue.SimpleQueue()
        # By loop: another thread may get the number of one that has ended.
        self._checkers: WeakKeyDictionary[asyncio.AbstractEventLoop, Checker] = WeakKeyDictionary()
        original = uplink.hand_over

        async def tapped(client: Client, lines: bytes) -> None:
            checker = self._checkers.get(asyncio.get_running_loop())
            if checker is not None:
                self._waiting.put((checker, bytes(lines)))
            await original(client, lines)

        uplink.hand_over = tapped
        threading.Thread(target=self._run, name="tap", daemon=True).start()

    def open(self, config: Config) -> Checker:
        """What this loop publishes from now on is that of a gateway of ``config``."""
        checker = self._checkers[asyncio.get_running_loop()] = Checker(config)
        return checker

    def close(self) -> None:
        """This loop's gateway has ended."""
        self._checkers.pop(asyncio.get_running_loop(), None)

    def settle(self) -> None:
        """All that was published so far has been looked at."""
        done = threading.Event()
        self._waiting.put(done)
        assert done.wait(60)

    def _run(self) -> None:
        while True:
            waiting = self._waiting.get()
            if isinstance(waiting, threading.Event):
                waiting.set()
                continue
            checker, lines = waiting
            try:
                for message in messages(lines):
                    if not _NOT_OURS.match(message.subject) and (fault := checker.fault(message)):
                        checker.faults.append(f"{message.subject}: {fault}")
            except Exception as error:
                checker.faults.append(repr(error))


@lru_cache(maxsize=1)
def tap() -> Tap:
    """The one of this process."""
    return Tap()
