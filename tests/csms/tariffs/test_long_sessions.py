"""Documents that one message of NATS cannot hold."""

import random

import orjson
import pytest

from csms.ledger.world import World
from csms.tariffs.test_settled import charge, documents
from voltgate.csms.ledger import documents as ledger_documents
from voltgate.csms.ledger.documents import MOST, PART, Parts
from voltgate.csms.ledger.facts import Message


def published(world: World) -> list[Message]:
    """The outbox as the stream has it, in any order."""
    found = [
        Message("OPS_CDR", seq, subject, orjson.loads(headers), bytes(body), 0.0)
        for seq, (_, subject, headers, body) in enumerate(world.books.outbox(1000))
        if subject.startswith("ops.cdr.")
    ]
    random.Random(7).shuffle(found)
    return found


def test_a_document_in_parts_is_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_documents, "MOST", 500)
    world = charge(World())
    messages = published(world)
    assert len(messages) > 5
    assert max(len(one.data) for one in messages) <= 500
    parts = Parts()
    (joined,) = [body for one in messages if (body := parts.document(one)) is not None]
    rebuilt = World()
    rebuilt.books.take_documents([joined])
    assert documents(rebuilt) == documents(world)


def test_a_short_document_is_one_message() -> None:
    world = charge(World())
    (message,) = published(world)
    assert PART not in message.headers
    assert len(message.data) < MOST
    assert Parts().document(message) == message.data
