"""``voltgate permissions``: what a user of NATS needs for each role, and nothing else (docs/contract.md 4.1).

One table for the command and for ``deploy/nats/permissions``, which is its output. What the gateway needs is
listed in ``check.permissions``, so that ``voltgate check`` asks the server for the same.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from voltgate.cli.faults import EXIT_CODES, USAGE, Failure
from voltgate.cli.service import loaded
from voltgate.cli.terminal import ConfigFile, out
from voltgate.config import Config, Nats
from voltgate.service_api import ROOT, permitted

app = typer.Typer()

API = "$JS.API."
OPS = [f"OPS_{name}" for name in ("ALERT", "CDR", "PEOPLE", "SET", "STATE", "TICK")]  # streams of the CSMS
# A command may take as long as its caller says: longer than the server's default of two minutes.
RESPONSES = '{ max: 1, expires: "1h" }'


@dataclass(frozen=True, slots=True)
class Role:
    """The subjects of a user. ``responds``: it also answers on whatever subject a request asks for."""

    publish: list[str]
    subscribe: list[str]
    responds: bool = False

    def __str__(self) -> str:
        """The content of a ``permissions`` block in a configuration of nats-server."""
        return "\n".join(
            [
                _rules("publish", self.publish),
                _rules("subscribe", self.subscribe),
                *([f"allow_responses: {RESPONSES}"] if self.responds else []),
            ]
        )


def _rules(verb: str, subjects: list[str]) -> str:
    if not subjects:
        return f'{verb}: {{ deny: ">" }}'
    rows = "\n".join(f"    {json.dumps(one)}" for one in dict.fromkeys(subjects))
    return f"{verb}: {{\n  allow: [\n{rows}\n  ]\n}}"


# -- the table ------------------------------------------------------------------------------------------


def gateway(config: Config, _: str) -> Role:
    """What ``serve`` publishes and subscribes to."""
    from voltgate.cli.check.permissions import ASK, needed  # noqa: PLC0415 - loads the gateway
    from voltgate.cli.check.responders import INFO  # noqa: PLC0415
    from voltgate.gateway.bus.services import NAME  # noqa: PLC0415

    wanted = needed(config)
    return Role([ASK, INFO, *wanted["publish"]], [*wanted["subscribe"], *permitted(NAME)], responds=True)


def backend(config: Config, _: str) -> Role:
    """What ``voltgate backend`` needs: all questions, the bucket of its transaction ids, and the CSMS."""
    from voltgate.backend.followups import COMMANDS, FOLLOWED  # noqa: PLC0415 - loads nats-py
    from voltgate.backend.people import STREAM as PEOPLE  # noqa: PLC0415
    from voltgate.backend.service import BUCKET  # noqa: PLC0415
    from voltgate.backend.services import NAME  # noqa: PLC0415

    nats, stream = config.nats, f"KV_{BUCKET}"
    api = [f"{API}STREAM.{verb}.{stream}" for verb in ("INFO", "CREATE")]
    reads = [f"{API}DIRECT.GET.{stream}.>", f"{API}STREAM.MSG.GET.{stream}"]
    asks = [f"{nats.ops_prefix}.ask.*", *(f"{nats.rpc_prefix}.send.{action}.*" for action in COMMANDS)]
    follows = [one for followed in (PEOPLE, f"{nats.stream_prefix}_LINKS") for one in _consumes(followed)]
    publish = [f"{API}INFO", *api, *reads, f"$KV.{BUCKET}.>", *asks, *follows]
    facts = [f"{nats.prefix}.{subject}" for subject in FOLLOWED]
    hears = [f"{nats.rpc_prefix}.ask.>", *facts, f"{nats.ops_prefix}.tick", *permitted(NAME)]
    return Role(publish, [*_inbox(), *hears], responds=True)


def answer(config: Config, action: str) -> Role:
    """What a service needs that answers the questions of one action, in each version.

    Libraries for NATS services subscribe to ``$SRV`` under a name that only they know.
    """
    return Role([], [f"{config.nats.rpc_prefix}.ask.*.{action}.*", f"{ROOT}.>"], responds=True)


def command(config: Config, action: str) -> Role:
    """What a service needs that sends one command, to any charger."""
    return Role([f"{config.nats.rpc_prefix}.send.{action}.*"], _inbox())


def consumer(config: Config, name: str) -> Role:
    """What a service needs that reads facts by the durable pull consumer of this name, on any stream.

    The operator creates it: a new consumer may deliver to any subject, whatever its maker may publish to.
    """
    verbs = (f"{API}CONSUMER.INFO", f"{API}CONSUMER.MSG.NEXT")
    reads = [f"{verb}.{stream}.{name}" for stream in _facts(config.nats) for verb in verbs]
    acks = [f"$JS.ACK.{stream}.{name}.>" for stream in _facts(config.nats)]
    return Role([*reads, *acks], _inbox())


def csms(config: Config, _: str) -> Role:
    """What ``voltgate csms`` needs: it reads all facts, sends commands and keeps its own streams."""
    reads = [*_facts(config.nats), *OPS]
    return Role(
        [
            f"{config.nats.rpc_prefix}.send.*.*",
            "ops.>",
            f"{API}INFO",
            f"{API}STREAM.NAMES",
            *(f"{API}STREAM.{verb}.{name}" for verb in ("CREATE", "UPDATE", "MSG.GET") for name in OPS),
            *(f"{API}DIRECT.GET.{name}.>" for name in OPS),
            *(f"{API}STREAM.INFO.{stream}" for stream in reads),
            *(one for stream in reads for one in _consumes(stream)),
            f"{API}CONSUMER.DELETE.OPS_ALERT.*",  # of channels that are removed
        ],
        [*_inbox(), "ops.>", f"{config.nats.prefix}.live.>", f"{config.nats.prefix}.link.*"],
        responds=True,  # to questions of backends
    )


def operator(config: Config, _: str) -> Role:
    """What the commands of ``voltgate`` need: streams, the registry, commands and live facts."""
    from voltgate.cli.check.permissions import ASK  # noqa: PLC0415 - loads the gateway
    from voltgate.gateway.bus import streams  # noqa: PLC0415

    names = [str(stream.name) for stream in streams.wanted(config)]
    rpc, lower = config.nats.rpc_prefix, config.nats.stream_prefix.lower()
    return Role(
        [
            ASK,
            f"{rpc}.send.*.*",
            f"{rpc}.link.*.*",
            f"{ROOT}.>",  # `nats micro ls`
            f"$KV.{lower}_chargers.>",
            f"{API}INFO",
            f"{API}STREAM.NAMES",
            f"{API}STREAM.LIST",
            *(
                f"{API}STREAM.{verb}.{name}"
                for verb in ("INFO", "CREATE", "UPDATE", "MSG.GET")
                for name in names
            ),
            *(f"{API}DIRECT.GET.{name}{rest}" for name in names for rest in ("", ".>")),
            *(one for name in names for one in _consumes(name)),
            *(f"{API}CONSUMER.DELETE.{name}.*" for name in names),
        ],
        [*_inbox(), f"{config.nats.prefix}.>"],
    )


ROLES: dict[str, Callable[[Config, str], Role]] = {
    role.__name__: role for role in (gateway, backend, answer, command, consumer, csms, operator)
}
WITH_NAME = {"answer": "ACTION", "command": "ACTION", "consumer": "NAME"}


def _inbox() -> list[str]:
    # Never the gateway's own (nats.inbox_prefix): who reads that sees PubAcks, and could answer questions.
    return ["_INBOX.>"]


def _facts(nats: Nats) -> list[str]:
    return [f"{nats.stream_prefix}_{name}" for name in ("TX", "EVENTS", "REJECTS", "COMMANDS", "LINKS")]


def _consumes(stream: str) -> Iterable[str]:
    """To make consumers of a stream, and to ask and acknowledge them."""
    yield f"{API}CONSUMER.CREATE.{stream}"  # without a name
    yield f"{API}CONSUMER.CREATE.{stream}.>"
    yield f"{API}CONSUMER.DURABLE.CREATE.{stream}.*"  # nats-py's, for durable ones
    yield f"{API}CONSUMER.INFO.{stream}.*"
    yield f"{API}CONSUMER.MSG.NEXT.{stream}.*"
    yield f"$JS.ACK.{stream}.*.>"


def role_of(config: Config, role: str, name: str = "") -> Role:
    """The role, for ACTION or NAME where it needs one. Raises Failure (usage)."""
    if role not in ROLES:
        raise Failure(f"ROLE {role}: one of {', '.join(ROLES)}", USAGE)
    wanted = WITH_NAME.get(role)
    if wanted is None and name:
        raise Failure(f"{role}: needs nothing behind it", USAGE)
    if wanted is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise Failure(f"{role}: needs {wanted}: letters, digits, - and _", USAGE)
    if wanted == "ACTION" and name not in _actions(role):
        where = "actions --commands" if role == "command" else "policy"
        raise Failure(f"{role} {name}: no such action; `voltgate {where}` lists them", USAGE)
    from voltgate.gateway.bus.domain import within  # noqa: PLC0415

    found = ROLES[role](config, name)
    return replace(found, publish=[within(config.nats.domain, one) for one in found.publish])


def _actions(role: str) -> set[str]:
    from voltgate import _core  # noqa: PLC0415 - the extension

    senders = ("charger", "both") if role == "answer" else ("csms", "both")
    rows = [row for version in _core.versions() for row in _core.actions(version.token)]
    return {action for action, sender, *_ in rows if sender in senders}


# -- the command ----------------------------------------------------------------------------------------


@app.command(epilog=EXIT_CODES)
def permissions(
    role: Annotated[str, typer.Argument(metavar="ROLE", help=f"One of {', '.join(ROLES)}.")],
    name: Annotated[str, typer.Argument(metavar="[ACTION|NAME]", help="For answer, command, consumer.")] = "",
    config: ConfigFile = None,
) -> None:
    """Print the permissions that a NATS user needs for a role.

    The output is the content of a `permissions` block in a configuration of nats-server.
    """
    out(str(role_of(loaded(config), role, name)))
