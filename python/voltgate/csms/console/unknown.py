"""Tokens that drivers have presented lately and that nobody has decided on.

The database has pseudonyms only, which lead nowhere without a decision, so the facts of chargers are read.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from aiohttp import web

from voltgate.config import Nats
from voltgate.csms.console.console import Ask, answered
from voltgate.csms.console.facts import at_of, body_of
from voltgate.csms.console.intents import OPERATOR_TOKEN
from voltgate.csms.ledger import times
from voltgate.csms.ledger.facts import Message, identity
from voltgate.csms.ledger.streams import Input
from voltgate.csms.uptime.trials import presented

LATELY = timedelta(days=7)
READ = 5000  # messages of one stream, at most
SHOWN = 100


async def unknown_tokens(ask: Ask) -> web.Response:
    """Those that were presented last, newest first."""
    people, history = ask.console.people, ask.console.history
    found: list[Message] = []
    for source in sources(ask.console.config.nats):
        found += await history.latest(source, READ, READ, back=LATELY)
    items = unknown(found, lambda token: people.token(people.pseudonym(token)) is not None)
    return answered({"items": items, "next": None})


def sources(nats: Nats) -> tuple[Input, Input]:
    """The facts in which chargers present tokens."""
    facts, prefix = nats.stream_prefix, nats.prefix
    starts = tuple(f"{prefix}.tx.*.{action}.*" for action in ("StartTransaction", "TransactionEvent"))
    return Input(f"{facts}_EVENTS", (f"{prefix}.event.*.Authorize.*",)), Input(f"{facts}_TX", starts)


def unknown(facts: list[Message], is_known: Callable[[str], bool]) -> list[dict[str, Any]]:
    """By token without case, as OCPP compares them; the one that was presented last comes first."""
    found: dict[str, dict[str, Any]] = {}
    for fact in sorted(facts, key=lambda one: one.stored_at):
        token = presented(body_of(fact))[0].strip()
        if not token or token == OPERATOR_TOKEN or is_known(token):
            continue
        before = found.pop(token.lower(), {"times": 0})
        found[token.lower()] = {
            "token": token,
            "at": times.text(at_of(fact)),
            "charger": identity(fact.subject.rpartition(".")[2]),
            "times": before["times"] + 1,
        }
    return [*found.values()][::-1][:SHOWN]
