"""What the chargers write down: every transaction message, its answer, and every command they obeyed.

Nothing here asks the product: a business key is made anew from docs/contract.md 3.3.
"""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from voltgate.charger import Answer, Queued

Key = tuple[str, ...]


@dataclass(slots=True, eq=False)
class Entry:
    """One transaction message of one charger."""

    identity: str
    message: Queued
    answer: dict[str, Any] | None = None
    """The payload of the CALLRESULT: the CSMS has it, and the charger forgets it (docs/ocpp.md C)."""

    @property
    def key(self) -> Key:
        return business_key(self.identity, self.message.action, self.message.body)


class Book:
    """Of all chargers of a run."""

    def __init__(self) -> None:
        self.entries: dict[Queued, Entry] = {}
        self.answered = 0
        self.resent = 0  # answered, at a later send than the first
        self.errors = Counter[str]()  # CALLERRORs that a transaction message got
        self.executed = Counter[str]()  # by command id

    @property
    def generated(self) -> int:
        return len(self.entries)

    def note(self, identity: str, message: Queued) -> None:
        """A charger made a message that must not get lost."""
        self.entries[message] = Entry(identity, message)

    def settle(self, message: Queued, answer: Answer, attempt: int) -> None:
        """It was answered."""
        if answer.code:
            self.errors[answer.code] += 1
            return
        entry = self.entries[message]
        assert entry.answer is None, f"{entry} was taken over before"
        entry.answer = answer.payload
        self.answered += 1
        self.resent += attempt > 1

    def obey(self, action: str, payload: dict[str, Any]) -> None:
        """A CALL of the CSMS reached a charger; `commander` puts the command id into it."""
        if action == "DataTransfer":
            self.executed[payload["data"]] += 1


def business_key(identity: str, action: str, body: bytes) -> Key:
    """What makes two messages the same one, whoever carried them and however often."""
    if action == "TransactionEvent":
        event = json.loads(body)
        transaction = event["transactionInfo"]["transactionId"]
        return identity, action, transaction, str(event["seqNo"]), event["eventType"]
    return identity, action, body.decode()
