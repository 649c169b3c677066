"""The verifier finds what is wrong, and nothing where nothing is."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from faults.book import Book, business_key
from faults.commander import Commander
from faults.verdict import Stored, judge
from voltgate.charger import Answer, Queued

WHO = "CP 1"
START = orjson.dumps({"connectorId": 1, "timestamp": "2026-03-01T10:00:00Z"})
EVENT = orjson.dumps({"eventType": "Started", "seqNo": 0, "transactionInfo": {"transactionId": "t/1"}})
ANSWER = {"transactionId": 7}


class Told:
    """A charger that was answered twice and obeyed once, and the streams as they must be."""

    def __init__(self) -> None:
        self.book, self.stored = Book(), Stored()
        self.commander = Commander([], [], None)  # type: ignore[arg-type]
        for action, body, answer in (("StartTransaction", START, ANSWER), ("TransactionEvent", EVENT, {})):
            message = Queued(action, {}, body=body)
            self.book.note(WHO, message)
            self.book.settle(message, Answer(answer), 1)
            self.store(action, body)
        self.stored.answers[business_key(WHO, "StartTransaction", START)] = [ANSWER]
        self.book.obey("DataTransfer", {"data": "0-1"})
        self.commander.outcomes["0-1"] = "result"
        self.stored.commands.add("0-1")

    def store(self, action: str, body: bytes) -> None:
        self.stored.facts[business_key(WHO, action, body)] += 1
        self.stored.contents[WHO, action, body] += 1

    def forget(self, action: str, body: bytes) -> None:
        del self.stored.facts[business_key(WHO, action, body)]


def unanswered(told: Told) -> None:
    told.book.note(WHO, Queued("MeterValues", {}, body=b"{}"))


WRONG: list[tuple[str, Callable[[Told], Any]]] = [
    ("lost", lambda told: told.forget("TransactionEvent", EVENT)),
    ("never stored", unanswered),
    ("duplicated", lambda told: told.store("StartTransaction", START)),
    ("made by nobody", lambda told: told.store("MeterValues", b"{}")),
    ("answers not kept", lambda told: told.stored.answers.clear()),
    ("answers not kept", lambda told: next(iter(told.stored.answers.values())).append(ANSWER)),
    ("CALLERRORs", lambda told: told.book.settle(Queued("MeterValues", {}), Answer({}, "InternalError"), 1)),
    ("executed twice", lambda told: told.book.obey("DataTransfer", {"data": "0-1"})),
    ("executed, no fact", lambda told: told.stored.commands.clear()),
    ("odd outcomes", lambda told: told.commander.outcomes.update({"0-2": ""})),
    ("odd outcomes", lambda told: told.book.executed.clear()),
]


def test_what_is_as_promised_has_no_fault() -> None:
    told = Told()
    verdict = judge(told.book, told.commander, told.stored)
    assert verdict.faults == []
    assert [verdict.counts[name] for name in ("generated", "answered", "stored", "  result")] == [2, 2, 2, 1]


@pytest.mark.parametrize(("name", "spoil"), WRONG)
def test_each_kind_of_broken_promise_is_found_and_named(name: str, spoil: Callable[[Told], Any]) -> None:
    told = Told()
    spoil(told)
    verdict = judge(told.book, told.commander, told.stored)
    assert verdict.counts[name] == 1
    assert [fault for fault in verdict.faults if fault.startswith(f"{name} 1, such as ")]


def test_an_end_has_one_invoice_and_nothing_else_has_any() -> None:
    told = Told()
    stop = {"transactionId": 7, "meterStop": 1, "timestamp": "2026-03-01T11:00:00Z"}
    message = Queued("StopTransaction", {}, body=orjson.dumps(stop))
    told.book.note(WHO, message)
    told.book.settle(message, Answer({}), 1)
    told.store("StopTransaction", message.body)
    bill = (WHO, "7")
    cases: tuple[tuple[dict[str, list[tuple[str, str]]], list[str]], ...] = (
        ({"a": [bill]}, []),
        ({"a": [bill, bill]}, ["billed twice"]),
        ({"a": [bill], "b": [bill]}, ["billed twice"]),
        ({"a": []}, ["not billed"]),
        ({"a": [bill], "b": [(WHO, "8")]}, ["billed for nobody"]),
    )
    for invoices, wrong in cases:
        told.stored.invoices = invoices
        faults = judge(told.book, told.commander, told.stored).faults
        assert [fault.partition(" 1, ")[0] for fault in faults] == wrong


def test_the_same_event_has_one_key_however_its_bytes_are() -> None:
    """And every other message is its bytes (docs/contract.md 3.3)."""
    assert business_key(WHO, "TransactionEvent", EVENT) == (WHO, "TransactionEvent", "t/1", "0", "Started")
    assert business_key(WHO, "TransactionEvent", EVENT + b" ") == business_key(WHO, "TransactionEvent", EVENT)
    assert business_key(WHO, "StartTransaction", START + b" ") != business_key(WHO, "StartTransaction", START)
