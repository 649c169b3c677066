"""The AsyncAPI document: channels, messages and operations, as the configuration has prefixes and policy.

The gateway is the application that it describes: it sends facts and questions, and receives commands.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from voltgate import __version__, _core
from voltgate.cli.asyncapi.bodies import BODIES
from voltgate.cli.asyncapi.headers import KINDS, headers
from voltgate.config import Config
from voltgate.gateway.reasons import Outcome
from voltgate.policy import Rule, rules

Value = dict[str, Any]
# The schema of a payload: version, action, "request" or "response".
Payload = Callable[[str, str, str], Value]

SIGNED = "-Signed"
_ABOUT = """What Voltgate exchanges on NATS with services: facts, questions and commands of OCPP. Bodies are
OCPP payloads, whose schemas are not copied here: `voltgate schema VERSION ACTION` prints one, and `voltgate
schema --all FOLDER` writes all of them, with this document referring to them. Prefixes and the class of each
action are those of the default configuration: `voltgate asyncapi --config FILE` prints yours. Header values
are percent-encoded where they are not printable ASCII. A later release may add headers and members: ignore
them."""
_PARAMETERS: Value = {
    "token": {
        "description": "The charger's identity: A-Z a-z 0-9 _ - as they are, every other byte of its UTF-8 "
        "form as =XX in upper-case hex."
    },
    "version": {"description": "The OCPP version.", "enum": [one.token for one in _core.versions()]},
    "action": {
        "description": "The OCPP action; of an answer, with Response behind it; in 2.x also with -Signed, "
        "where the payload is a JWS."
    },
    "reason": {"description": "Why an upgrade was refused: docs/reference.md, closed sets."},
}


def described(version: str, action: str, kind: str) -> Value:
    """A payload whose schema is elsewhere."""
    return {"type": "object", "x-ocpp-schema": file_name(version, action, kind)}


def referred(version: str, action: str, kind: str) -> Value:
    """A payload whose schema is in a file beside the document."""
    return {"$ref": f"./{file_name(version, action, kind)}"}


def file_name(version: str, action: str, kind: str) -> str:
    """Of the schema, in the folder of all."""
    return f"{version}/{action}.{kind}.json"


def document(config: Config, payload: Payload) -> Value:
    """The whole document."""
    made = _Document(config, payload)
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Voltgate",
            "version": __version__,
            "description": " ".join(_ABOUT.split()),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"nats": {"host": "127.0.0.1:4222", "protocol": "nats"}},
        "channels": made.channels,
        "operations": made.operations,
        "components": {
            "messages": made.messages,
            "schemas": {f"{kind}Headers": headers(kind) for kind in KINDS} | BODIES,
            "parameters": _PARAMETERS,
        },
    }


class _Document:
    """Collects channels with their messages, and the operations on them."""

    def __init__(self, config: Config, payload: Payload) -> None:
        self.channels: Value = {}
        self.operations: Value = {}
        self.messages: Value = {}
        self._payload, self._rules = payload, rules(config)
        nats = config.nats
        for class_ in ("tx", "event", "live"):
            self._channel(
                class_, f"{nats.prefix}.{class_}.{{version}}.{{action}}.{{token}}", self._facts(class_)
            )
        self._channel(
            "command", f"{nats.prefix}.command.{{version}}.{{action}}.{{token}}", self._command_facts()
        )
        for name, place in (("reject", "{version}.{token}"), ("security", "{reason}.{token}"),
                            ("violation", "{token}"), ("link", "{token}")):  # fmt: skip
            self._channel(name, f"{nats.prefix}.{name}.{place}", self._own(name))
        self._channel("linkHistory", f"{nats.ops_prefix}.link.{{token}}", ["link"])
        self._exchange(
            "ask",
            "send",
            f"{nats.rpc_prefix}.ask.{{version}}.{{action}}.{{token}}",
            self._questions(),
            self._replies(),
        )
        self._exchange(
            "send",
            "receive",
            f"{nats.rpc_prefix}.send.{{action}}.{{token}}",
            self._commands(),
            self._outcomes(),
        )
        for verb, body in (("kick", "kicked"), ("move", "moved"), ("probe", "probed")):
            subject = f"{nats.rpc_prefix}.link.{verb}.{{token}}"
            self._exchange(
                verb, "receive", subject, [self._message(verb)], [self._message(body, BODIES[body])]
            )
        for verb in ("ping", "info", "stats"):
            answer = self._message(verb, BODIES[verb])
            self._exchange(
                f"service-{verb}",
                "receive",
                f"$SRV.{verb.upper()}",
                [self._message(f"{verb}Request")],
                [answer],
            )

    # -- channels and operations --------------------------------------------------------------------

    def _channel(self, name: str, subject: str, messages: Iterable[str]) -> None:
        self._place(name, subject, messages)
        self.operations[name] = {"action": "send", "channel": {"$ref": f"#/channels/{name}"}}

    def _place(self, name: str, subject: str | None, messages: Iterable[str]) -> None:
        parameters = [part.strip("{}") for part in (subject or "").split(".") if part.startswith("{")]
        channel: Value = {"address": subject}
        if parameters:
            channel["parameters"] = {one: {"$ref": f"#/components/parameters/{one}"} for one in parameters}
        channel["messages"] = {one: {"$ref": f"#/components/messages/{one}"} for one in messages}
        self.channels[name] = channel

    def _exchange(
        self,
        name: str,
        action: str,
        subject: str,
        requests: Iterable[str],
        replies: Iterable[str],
    ) -> None:
        """Requests on a subject, and their replies on whatever subject a request names."""
        self._place(name, subject, requests)
        self._place(f"{name}Reply", None, replies)
        self.operations[name] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{name}"},
            "reply": {"channel": {"$ref": f"#/channels/{name}Reply"}},
        }

    # -- messages -----------------------------------------------------------------------------------

    def _message(self, key: str, payload: Value | None = None, kind: str = "", name: str = "") -> str:
        """Add a message with the headers of ``kind``. ``name``: its ``ce-type``, where it has one."""
        message: Value = {"name": name or key}
        if kind:
            message["headers"] = {"$ref": f"#/components/schemas/{kind}Headers"}
        if payload is not None:
            own = next((one for one, body in BODIES.items() if body is payload), None)
            message["payload"] = {"$ref": f"#/components/schemas/{own}"} if own else payload
        self.messages[key] = message
        return key

    def _own(self, name: str) -> Iterator[str]:
        if name == "reject":
            key = self._message(name, None, name, "ocpp.{version}.reject")
            self.messages[key]["contentType"] = "application/octet-stream"
            yield key
        else:
            yield self._message(name, BODIES[name], name, f"ocpp.{name}")

    def _facts(self, class_: str) -> Iterator[str]:
        """What chargers send, and the answers that have content."""
        for version, action, rule in self._actions():
            if rule.class_ == class_:
                yield self._of(version, action, "request", "fact", "")
                if rule.answer.startswith("backend") or action == "Heartbeat":
                    yield self._of(version, action, "response", "answer", "")
        if class_ != "live":
            yield self._message("signed", {"type": "object"}, "fact", f"ocpp.{{version}}.{{action}}{SIGNED}")
            name = f"ocpp.{{version}}.{{action}}{SIGNED}Response"
            yield self._message("signedResponse", {"type": "object"}, "answer", name)

    def _command_facts(self) -> Iterator[str]:
        for version, action in self._sent():
            yield self._of(version, action, "request", "commandFact", "command.")
            yield self._of(version, action, "response", "commandAnswer", "command.")

    def _questions(self) -> Iterator[str]:
        for version, action, rule in self._actions():
            if rule.answer.startswith("backend"):
                yield self._of(version, action, "request", "question", "ask.")
        name = f"ocpp.{{version}}.{{action}}{SIGNED}"
        yield self._message("ask.signed", {"type": "object"}, "question", name)

    def _replies(self) -> Iterator[str]:
        for version, action, rule in self._actions():
            if rule.answer.startswith("backend"):
                yield self._of(version, action, "response", "reply", "ask.")
        yield self._message("ask.error", {"type": "string"}, "reply", "error")

    def _commands(self) -> Iterator[str]:
        for version, action in self._sent():
            yield self._of(version, action, "request", "command", "send.")

    def _outcomes(self) -> Iterator[str]:
        for version, action in self._sent():
            yield self._of(version, action, "response", "result", "send.")
        bodies = {Outcome.ERROR: BODIES["callError"], Outcome.INVALID: BODIES["fault"]}
        for outcome in Outcome:
            if outcome is not Outcome.RESULT:
                yield self._message(f"send.{outcome.label}", bodies.get(outcome), "failure", outcome.label)

    def _actions(self) -> Iterator[tuple[str, str, Rule]]:
        """Version, action and rule of what chargers send, but for signed forms."""
        for version, table in self._rules.items():
            for action, rule in table.items():
                if not action.endswith(SIGNED):
                    yield version, action, rule

    def _sent(self) -> Iterator[tuple[str, str]]:
        """Version and action of every command."""
        for version in self._rules:
            rows = _core.actions(version)
            yield from ((version, action) for action, sender, *_ in rows if sender != "charger")

    def _of(self, version: str, action: str, payload: str, kind: str, role: str) -> str:
        """The message of an action. Keys of what is not a charger's fact begin with their role."""
        suffix = "Response" if payload == "response" else ""
        name = f"{version}.{action}{suffix}"
        return self._message(role + name, self._payload(version, action, payload), kind, f"ocpp.{name}")
