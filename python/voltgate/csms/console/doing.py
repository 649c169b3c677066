"""The handler of intents: what a person wants of a charger, sent as a command."""

from uuid import uuid4

from aiohttp import web

from voltgate.csms.console import intents
from voltgate.csms.console.bodies import DoBody
from voltgate.csms.console.console import Ask, answered
from voltgate.csms.console.intents import Command, Do, ImpossibleError, Intent
from voltgate.csms.console.problems import Fault, Kind, Problem

LONGEST_ID = 255


async def do(ask: Ask) -> web.Response:
    """Send it, once for each ``Idempotency-Key``, and say how it ended."""
    sender, command_id = ask.console.sender, _id(ask)
    wanted = ask.said(DoBody)
    command = sender.repeated(ask.id, command_id) if wanted.do is Do.STOP else None
    ended = await sender.send(ask.id, command or await _command(ask, wanted, command_id), command_id)
    return answered(
        {
            "outcome": ended.outcome,
            "status": ended.status or None,
            "command_id": command_id,
            "meaning": ended.meaning,
        }
    )


def _id(ask: Ask) -> str:
    given = ask.request.headers.get("Idempotency-Key")
    if given is None:
        return str(uuid4())
    if not 0 < len(given) <= LONGEST_ID:
        raise Problem(
            Kind.INVALID, faults=[Fault("Idempotency-Key", f"must have 1 to {LONGEST_ID} characters")]
        )
    return given


async def _command(ask: Ask, wanted: DoBody, command_id: str) -> Command:
    transaction = await _transaction(ask, wanted) if wanted.do is Do.STOP else None
    intent = Intent(wanted.do, wanted.evse, wanted.connector, wanted.token, transaction, wanted.hard)
    row = await ask.console.rows.reader.one("SELECT version FROM charger WHERE id = ?", ask.id)
    try:
        return intents.command(intent, row[0] if row else "", command_id)
    except ImpossibleError as error:
        raise Problem(Kind.CONFLICT, str(error)) from None


async def _transaction(ask: Ask, wanted: DoBody) -> str:
    rows = ask.console.rows
    if wanted.session is not None:
        transaction = await rows.transaction(ask.id, wanted.session)
        if transaction is None:
            raise Problem(Kind.INVALID, faults=[Fault("/session", "is not a session of this charger")])
        return transaction
    found = await rows.open_session(ask.id, wanted.evse)
    if len(found) != 1:
        what = "no session is open there" if not found else "several sessions are open: name one"
        raise Problem(Kind.CONFLICT, what)
    return found[0][1]
