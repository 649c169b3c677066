"""Handlers of a charger's configuration: what it reported last, a new report, and changes.

Reports come from the streams, where the gateway has masked what is secret (docs/contract.md 3.5).
"""

from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from aiohttp import web

from voltgate import _core
from voltgate.csms.console import components, doing
from voltgate.csms.console.commands import SENT, Ended
from voltgate.csms.console.components import Name
from voltgate.csms.console.console import Ask, Console, answered
from voltgate.csms.console.facts import action_of, at_of, body_of, commands, events, is_answer
from voltgate.csms.console.history import Reading
from voltgate.csms.console.intents import start_id
from voltgate.csms.console.operations import ConfigurationBody
from voltgate.csms.console.problems import Problem
from voltgate.csms.ledger import times
from voltgate.csms.ledger.facts import Message
from voltgate.csms.ledger.streams import Input

Document = dict[str, Any]

ANSWER_SECONDS = 5.0  # until the fact of an answer is stored
SENT_SECONDS = 60.0  # that a charger may take to answer the question itself, and more
REPORT_SECONDS = 30.0  # until a charger has sent its whole report
# A repeat under the same Idempotency-Key finds the report of the first (streams.duplicate_window).
REPEATED = timedelta(minutes=20)
QUESTIONS = 5  # of the past that are looked at until one has an answer
REPORTS = 500  # of one question
CHANGES = 200
NOT_REACHED = "not_sent", "Not sent: a change before it failed."
CHANGING = ("ChangeConfiguration", "SetVariables")
_BACK = timedelta(days=8)


async def get_configuration(ask: Ask) -> web.Response:
    """What the charger reported last."""
    row = await ask.console.rows.reader.one("SELECT version FROM charger WHERE id = ?", ask.id)
    return answered(await _last(ask.console, ask.id, row[0] if row else ""))


async def read_configuration(ask: Ask) -> web.Response:
    """Ask for a report and wait for all of it."""
    console, id_ = ask.console, doing.command_id(ask)
    version, request = await doing.version(console, ask.id), start_id(id_)
    source = _answers(console, ask.id, version)
    async with AsyncExitStack() as stack:
        reading = await stack.enter_async_context(
            console.history.since(source, datetime.now(UTC) - REPEATED, lasts=SENT_SECONDS)
        )
        ended = await console.sender.send(ask.id, components.asking(version, request), id_)
        found: list[Message] = []
        if ended.outcome == "result" and ended.status in ("", "Accepted"):
            found = await (
                _collected(reading, ANSWER_SECONDS, lambda one: _is_of(one, id_), bool)
                if version == "v16"
                else _collected(
                    reading, REPORT_SECONDS, lambda one: _asked(one) == request, components.complete
                )
            )
    return answered(await _document(console, ask.id, version, found) | doing.outcome(ended, id_))


async def put_configuration(ask: Ask) -> web.Response:
    """Send the changes; one outcome each."""
    id_, changes = doing.command_id(ask), ask.said(ConfigurationBody).changes
    version = await doing.version(ask.console, ask.id)
    ended, bodies = await _changed(ask.console, ask.id, version, ask.said(ConfigurationBody), id_)
    results = components.results(version, changes, bodies) if bodies else []
    rest = len(changes) - len(results)
    if ended.outcome in SENT:
        asked = 1 if version == "v16" else rest
        results += [(ended.outcome, ended.meaning)] * asked + [NOT_REACHED] * (rest - asked)
    else:
        results += [("not_sent", ended.meaning)] * rest
    return answered(
        {
            "outcome": ended.outcome,
            "command_id": id_,
            "meaning": ended.meaning,
            "results": [
                change.model_dump(exclude={"value"}) | {"status": status, "meaning": meaning}
                for change, (status, meaning) in zip(changes, results, strict=True)
            ],
        }
    )


async def perform(console: Console, charger: str, wanted: ConfigurationBody, command_id: str) -> Ended:
    """Change it; the status of the outcome is that of the changes, where they have the same."""
    version = await doing.version(console, charger)
    ended, bodies = await _changed(console, charger, version, wanted, command_id)
    if ended.outcome != "result":
        return ended
    results = components.results(version, wanted.changes, bodies)
    status = results[0][0] if len({status for status, _ in results}) == 1 else ""
    words = [
        f"{change.variable}: {status}. {meaning}".strip()
        for change, (status, meaning) in zip(wanted.changes, results, strict=True)
    ]
    return Ended(ended.outcome, status, " ".join(words))


async def _changed(
    console: Console, charger: str, version: str, wanted: ConfigurationBody, command_id: str
) -> tuple[Ended, list[Document]]:
    """How the last command ended, and the responses of those that have one. Raises Problem: none was sent."""
    bodies: list[Document] = []
    commands = components.changing(version, wanted.changes)
    for number, command in enumerate(commands):
        id_ = command_id if len(commands) == 1 else doing.part_id(command_id, number)
        try:
            ended = await console.sender.send(charger, command, id_)
        except Problem:
            if not bodies:
                raise
            ended = Ended("unavailable", "", "")
        if ended.outcome != "result":
            break
        bodies.append(ended.body)
    return ended, bodies


# -- reports in the streams


def _answers(console: Console, charger: str, version: str) -> Input:
    """Answers of 1.6 are facts of commands, the reports of 2.x those of the charger."""
    if version == "v16":
        return commands(console.config.nats, charger, "GetConfigurationResponse")
    return events(console.config.nats, charger, "NotifyReport")


async def _last(console: Console, charger: str, version: str) -> Document:
    if version == "v16":
        found = await console.history.latest(_answers(console, charger, version), QUESTIONS, CHANGES)
        good = [one for one in found if one.headers.get("ocpp-outcome") == "result"]
        return await _document(console, charger, version, good[-1:])
    questions = await console.history.latest(
        commands(console.config.nats, charger, "GetBaseReport"), QUESTIONS, CHANGES, back=_BACK
    )
    for question in reversed(questions):
        asked = _asked(question)
        since = at_of(question) - timedelta(milliseconds=1)
        async with console.history.since(_answers(console, charger, version), since) as reading:
            reports = await reading.take(min(reading.pending, REPORTS)) if reading else []
        found = [one for one in reports if _asked(one) == asked]
        if found:
            return await _document(console, charger, version, found)
    return await _document(console, charger, version, [])


async def _collected(
    reading: Reading | None,
    seconds: float,
    wanted: Callable[[Message], bool],
    enough: Callable[[list[Document]], bool],
) -> list[Message]:
    """Messages from a reading until their bodies are enough, or the time is over."""
    found: list[Message] = []
    bodies: list[Document] = []
    end = monotonic() + seconds
    while reading is not None and not enough(bodies) and (left := end - monotonic()) > 0:
        one = await reading.next(left)
        if one is not None and wanted(one):
            found.append(one)
            bodies.append(body_of(one))
    return found


def _is_of(message: Message, command_id: str) -> bool:
    return message.headers.get("ocpp-command-id") == _core.header_value(command_id)


def _asked(message: Message) -> object:
    return body_of(message).get("requestId")


async def _document(console: Console, charger: str, version: str, found: list[Message]) -> Document:
    reboots = await _pending(console, charger) if found else set()
    bodies = [body_of(one) for one in found]
    if version == "v16":
        tree, whole = components.of_keys(bodies[-1] if bodies else {}, reboots), bool(bodies)
    else:
        tree, whole = components.of_reports(bodies, reboots), components.complete(bodies)
    at = times.text(at_of(found[-1])) if found else None
    return {"charger": charger, "at": at, "complete": whole, "components": tree}


async def _pending(console: Console, charger: str) -> set[Name]:
    """Variables whose last change since the last boot awaits a reboot."""
    nats = console.config.nats
    boot = events(nats, charger, "BootNotification")
    changing = commands(nats, charger, *CHANGING, *(f"{one}Response" for one in CHANGING))
    boots = await console.history.latest(boot, 1, CHANGES, back=_BACK)
    changed = await console.history.latest(changing, CHANGES, 2 * CHANGES, back=_BACK)
    booted = boots[-1].stored_at if boots else 0.0
    requests = {one.headers.get("ocpp-message-id"): one for one in changed if not is_answer(one)}
    return components.pending(
        (action_of(one).removesuffix("Response"), body_of(request), body_of(one))
        for one in changed
        if is_answer(one)
        and one.stored_at > booted
        and (request := requests.get(one.headers.get("ocpp-message-id"))) is not None
    )
