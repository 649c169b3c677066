"""Reads the streams back with a plain NATS client and holds them against the book."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

import nats
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NotFoundError

from faults.book import Book, Entry, Key, business_key
from faults.commander import Commander
from faults.setups import SETTLE_AFTER

Bill = tuple[str, str]
"""Identity and transaction."""
BATCH = 500
SENT = {"result", "timeout", "lost"}  # how a sane backend's command may end


@dataclass
class Stored:
    """What `OCPP_TX` and `OCPP_COMMANDS` hold."""

    facts: Counter[Key] = field(default_factory=Counter)
    contents: Counter[tuple[str, str, bytes]] = field(default_factory=Counter)
    answers: dict[Key, list[Any]] = field(default_factory=dict)  # Response facts, by the key of their CALL
    commands: set[str] = field(default_factory=set)  # ids of DataTransfer commands
    invoices: dict[str, list[Bill]] | None = None  # less what was credited, by session; None: no books


@dataclass(frozen=True)
class Verdict:
    """The counts of one set-up; ``faults`` lists the violations."""

    counts: dict[str, int]
    faults: list[str]


async def read(urls: Sequence[str], *, bills: bool = True) -> Stored:
    """Everything of a run; its streams are younger than their duplicate window.

    ``bills``: also those of the ledger, where there is one; not every user may see them.
    """
    stored = Stored()
    keys: dict[str, Key] = {}  # by the product's own ocpp-key, which a Response shares with its CALL
    async for subject, headers, body in _messages(urls, "OCPP_TX"):
        action = subject.split(".")[3]
        if action.endswith("Response"):
            stored.answers.setdefault(keys[headers["ocpp-key"]], []).append(json.loads(body))
            continue
        identity = unquote(headers["ce-subject"])
        key = keys[headers["ocpp-key"]] = business_key(identity, action, body)
        stored.facts[key] += 1
        stored.contents[identity, action, body] += 1
    async for subject, _, body in _messages(urls, "OCPP_COMMANDS"):
        if subject.split(".")[3] == "DataTransfer":
            stored.commands.add(json.loads(body)["data"])
    if not bills:
        return stored
    with suppress(NotFoundError):
        async for _, _, body in _messages(urls, "OPS_CDR"):
            stored.invoices = stored.invoices or {}
            document = json.loads(body)
            own = stored.invoices.setdefault(document["cdr"]["session"], [])
            bill = document["cdr"]["charger"], document["bill"]["transaction"]
            if document["cdr"]["kind"] == "invoice":
                own.append(bill)
            else:
                own.remove(bill)
    return stored


class Closing:
    """The end of the books: every fact is folded, and what ended with the last of them has settled."""

    def __init__(self, urls: Sequence[str], ends: int) -> None:
        self._urls, self._ends = list(urls), ends
        self._folded_at: datetime | None = None
        self.seen = "nothing"

    async def closed(self) -> bool:
        """By the last tick: it covers all transaction facts, and a settlement's wait has passed since.

        The last documents may still be on their way out: who waits for one that does not come waits a minute.
        """
        client = await nats.connect(self._urls)
        try:
            last = (await client.jsm().stream_info("OCPP_TX")).state.last_seq
            tick = json.loads((await client.jsm().get_last_msg("OPS_TICK", "ops.tick")).data or b"")
            left = (await client.jsm().stream_info("OPS_CDR")).state.messages
        finally:
            await client.close()
        self.seen = f"{left} documents, last fact {last}, last tick {tick}"
        if tick["positions"]["OCPP_TX"]["seq"] < last:
            return False
        at = datetime.fromisoformat(tick["at"])
        self._folded_at = self._folded_at or at
        waited = at - self._folded_at
        if left < self._ends:
            return waited > timedelta(seconds=60)
        return waited > 3 * timedelta(seconds=SETTLE_AFTER)


async def _messages(urls: Sequence[str], stream: str) -> Any:
    client = await nats.connect(list(urls))
    try:
        jetstream = client.jetstream()
        left = (await jetstream.stream_info(stream)).state.messages
        reader = await jetstream.pull_subscribe(
            "", stream=stream, config=ConsumerConfig(ack_policy=AckPolicy.NONE)
        )
        while left:
            for message in await reader.fetch(min(left, BATCH), timeout=10):
                left -= 1
                yield message.subject, message.headers or {}, message.data
    finally:
        await client.close()


def judge(book: Book, commander: Commander, stored: Stored) -> Verdict:
    """Count, and say what is wrong."""
    entries = list(book.entries.values())
    made = {entry.key for entry in entries}
    lost = [entry for entry in entries if entry.answer is not None and entry.key not in stored.facts]
    outcomes = Counter(commander.outcomes.values())
    twice = [name for name, times in book.executed.items() if times > 1]
    found = {
        "lost": [_words(entry) for entry in lost],
        "never stored": [_words(entry) for entry in entries if entry.key not in stored.facts],
        "duplicated": [str(content) for content, times in stored.contents.items() if times > 1],
        "made by nobody": [str(key) for key in stored.facts if key not in made],
        "answers not kept": list(_unkept(entries, stored)),
        "CALLERRORs": [f"{code}: {times}" for code, times in book.errors.items()],
        "executed twice": twice,
        "executed, no fact": [name for name in book.executed if name not in stored.commands],
        "odd outcomes": list(_odd(commander, book)),
    }
    if stored.invoices is not None:
        found |= _of_books(entries, stored.invoices)
    counts = {
        "generated": book.generated,
        "answered": book.answered,
        "resent": book.resent,
        "stored": sum(stored.facts.values()),
        **{name: len(those) for name, those in found.items()},
        "commands": len(commander.outcomes),
        **{f"  {name}": outcomes[name] for name in sorted(SENT)},
    }
    faults = [f"{name} {len(those)}, such as {those[0]}" for name, those in found.items() if those]
    return Verdict(counts, faults)


def _of_books(entries: list[Entry], invoices: dict[str, list[Bill]]) -> dict[str, list[str]]:
    """Every end has one invoice, and nothing else has any."""
    ended = _ends(entries)
    billed = Counter(bill for bills in invoices.values() for bill in bills)
    return {
        "not billed": [str(end) for end in ended if end not in billed],
        "billed twice": [str(end) for end, times in billed.items() if times > 1],
        "billed for nobody": [str(end) for end in billed if end not in ended],
    }


def ends(book: Book) -> set[Bill]:
    """The transactions that chargers have ended."""
    return _ends(book.entries.values())


def _ends(entries: Iterable[Entry]) -> set[Bill]:
    return {end for entry in entries if (end := _end(entry)) is not None}


def _end(entry: Entry) -> Bill | None:
    """The transaction that a message ends."""
    body = json.loads(entry.message.body)
    if entry.message.action == "StopTransaction":
        return entry.identity, str(body["transactionId"])
    if body.get("eventType") == "Ended":
        return entry.identity, body["transactionInfo"]["transactionId"]
    return None


def _unkept(entries: list[Entry], stored: Stored) -> Iterator[str]:
    """Answers with content that are not the one Response stored with their CALL (docs/contract.md 3.4)."""
    for entry in entries:
        kept = stored.answers.get(entry.key, [])
        if len(kept) > 1 or (entry.answer and kept != [entry.answer]):
            yield f"{_words(entry)}: charger {entry.answer}, stream {kept}"


def _odd(commander: Commander, book: Book) -> Iterator[str]:
    """Commands that did not end, ended oddly, or have a result that no charger gave."""
    for name, outcome in commander.outcomes.items():
        if outcome not in SENT or (outcome == "result" and not book.executed[name]):
            yield f"{name}: {outcome or 'no end'}"


def _words(entry: Entry) -> str:
    return f"{entry.identity} {entry.message.action} {entry.message.body.decode()}"
