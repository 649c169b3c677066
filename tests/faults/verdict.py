"""Reads the streams back with a plain NATS client and holds them against the book."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import nats
from nats.js.api import AckPolicy, ConsumerConfig

from faults.book import Book, Entry, Key, business_key
from faults.commander import Commander

BATCH = 500
SENT = {"result", "timeout", "lost"}  # how a sane backend's command may end


@dataclass
class Stored:
    """What `OCPP_TX` and `OCPP_COMMANDS` hold."""

    facts: Counter[Key] = field(default_factory=Counter)
    contents: Counter[tuple[str, str, bytes]] = field(default_factory=Counter)
    answers: dict[Key, list[Any]] = field(default_factory=dict)  # Response facts, by the key of their CALL
    commands: set[str] = field(default_factory=set)  # ids of DataTransfer commands


@dataclass(frozen=True)
class Verdict:
    """All that is counted of one set-up; ``faults`` says in words what must not be."""

    counts: dict[str, int]
    faults: list[str]


async def read(urls: Sequence[str]) -> Stored:
    """Everything of a run; its streams are younger than their duplicate window."""
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
    return stored


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
