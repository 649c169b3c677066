"""The handler of intents: what a person wants of a charger, sent as a command."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

from aiohttp import web

from voltgate.csms.console import intents
from voltgate.csms.console.bodies import DoBody
from voltgate.csms.console.commands import Ended
from voltgate.csms.console.console import Ask, Console, answered
from voltgate.csms.console.intents import Command, Do, Intent
from voltgate.csms.console.jobs import documented
from voltgate.csms.console.problems import Fault, Kind, Problem

LONGEST_ID = 255


async def do(ask: Ask) -> web.Response:
    """Send it, once for each ``Idempotency-Key``, and say how it ended."""
    id_ = command_id(ask)
    return answered(outcome(await perform(ask.console, ask.id, ask.said(DoBody), id_), id_))


async def perform(console: Console, charger: str, wanted: DoBody, command_id: str) -> Ended:
    """Send the command of an intent under this id. Raises Problem, ImpossibleError."""
    sender = console.sender
    command = sender.repeated(charger, command_id) if wanted.do is Do.STOP else None
    return await sender.send(
        charger, command or await _command(console, charger, wanted, command_id), command_id
    )


def command_id(ask: Ask) -> str:
    """The ``Idempotency-Key``, or an id of its own. Raises Problem."""
    given = ask.request.headers.get("Idempotency-Key")
    if given is None:
        return str(uuid4())
    # What is not UTF-8 arrives as surrogates, which are not printable.
    if not (given.isprintable() and 0 < len(given.encode()) <= LONGEST_ID):
        fault = Fault("Idempotency-Key", f"must have 1 to {LONGEST_ID} bytes of printable UTF-8")
        raise Problem(Kind.INVALID, faults=[fault])
    return given


def part_id(command_id: str, part: object) -> str:
    """The id of one of several commands of a request: the same for each repeat."""
    return hashlib.sha256(f"{command_id}\n{part}".encode()).hexdigest()


def started(
    ask: Ask, what: str, chargers: Mapping[str, str], perform: Callable[[str, str], Awaitable[Ended]]
) -> web.Response:
    """Start a job, once for each ``Idempotency-Key``. ``perform``: of a charger, under a command id.

    Another request under the same key is another job; its commands have the ids of the first.
    """
    id_, body = command_id(ask), "" if ask.body is None else ask.body.model_dump_json()
    request = "\n".join((ask.by, ask.request.method, ask.request.path, body))
    job = ask.console.jobs.start(
        part_id(id_, request)[:32], what, ask.by, chargers, lambda one: perform(one, part_id(id_, one))
    )
    return answered(documented(job, ask.principal))


def outcome(ended: Ended, command_id: str) -> dict[str, Any]:
    """The document of an outcome."""
    return {
        "outcome": ended.outcome,
        "status": ended.status or None,
        "command_id": command_id,
        "meaning": ended.meaning,
    }


async def version(console: Console, charger: str) -> str:
    """The version token of a charger. Raises ImpossibleError where it has never been connected."""
    row = await console.rows.reader.one("SELECT version FROM charger WHERE id = ?", charger)
    return intents.known(row[0] if row else "")


async def _command(console: Console, charger: str, wanted: DoBody, command_id: str) -> Command:
    transaction = await _transaction(console, charger, wanted) if wanted.do is Do.STOP else None
    intent = Intent(wanted.do, wanted.evse, wanted.connector, wanted.token, transaction, wanted.hard)
    return intents.command(intent, await version(console, charger), command_id)


async def _transaction(console: Console, charger: str, wanted: DoBody) -> str:
    rows = console.rows
    if wanted.session is not None:
        transaction = await rows.transaction(charger, wanted.session)
        if transaction is None:
            raise Problem(Kind.INVALID, faults=[Fault("/session", "is not a session of this charger")])
        return transaction
    found = await rows.open_session(charger, wanted.evse)
    if len(found) != 1:
        what = "no session is open there" if not found else "several sessions are open: name one"
        raise Problem(Kind.CONFLICT, what)
    return found[0][1]
