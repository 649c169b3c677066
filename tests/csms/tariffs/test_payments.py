"""Payments: decisions on documents, and an acquirer behind a real NATS."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nats
import orjson
import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig

from csms.tariffs.documents import billed, document
from csms.tariffs.sessions import CHARGING, tariff, used
from jetstream import NatsServer
from voltgate.csms.ledger import decided, decisions, documents, store, tables, times
from voltgate.csms.ledger.decisions import Decision, Kind
from voltgate.csms.ledger.documents import Cdr
from voltgate.csms.ledger.facts import Message, identity
from voltgate.csms.ledger.store import Database
from voltgate.csms.tariffs.payments import Payments

TICK = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Bench:
    """A database with the part; ticks a minute apart."""

    def __init__(self, database: Database) -> None:
        self.database, self.part, self.at, self.seq = database, Payments(), TICK, 0
        store.prepare(database, [*tables.TABLES, *self.part.tables])

    def tick(self, *decided_: Decision) -> None:
        """As the ledger does: decisions, then the tick."""
        self.at += MINUTE
        with self.database.begin() as tx:
            for one in decided_:
                decided.keep(tx, one, self.at)
                self.part.decision(tx, one)
            self.part.tick(tx, self.at)

    def decision(self, cdr: str, state: object, kind: Kind = Kind.PAYMENT) -> Decision:
        self.seq += 1
        return Decision(kind, cdr, self.seq, times.EPOCH, "ann", self.at, "", {"state": state})

    def issue(self, id: str, kind: str = "invoice", revision: int = 1) -> None:
        """At the tick that comes next."""
        issued = times.text(self.at + MINUTE)
        cdr = Cdr(id, f"-2026-{id}", "", "s", "c", revision, kind, 1, "EUR", 1, issued)
        with self.database.begin() as tx:
            documents.keep(tx, cdr, b"{}")

    def payments(self) -> dict[str, str]:
        with self.database.begin() as tx:
            return dict(tx.all("SELECT id, payment FROM cdr"))


@contextmanager
def opened(tmp_path: Path) -> Iterator[Bench]:
    database = store.opened(f"sqlite:///{tmp_path / 'csms.db'}")
    try:
        yield Bench(database)
    finally:
        database.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with opened(tmp_path) as one:
        yield one


def test_the_last_decision_counts(bench: Bench) -> None:
    bench.issue("1")
    bench.tick()
    assert bench.payments() == {"1": "due"}
    bench.tick(bench.decision("1", "paid"))
    assert bench.payments() == {"1": "paid"}
    bench.tick(bench.decision("1", "waived"), bench.decision("1", "refunded"))
    assert bench.payments() == {"1": "refunded"}


@pytest.mark.parametrize("state", ["overdue", None, 7, ["paid"]])
def test_what_is_not_a_state_changes_nothing(bench: Bench, state: object) -> None:
    bench.issue("1")
    bench.tick()
    bench.tick(
        bench.decision("1", state), bench.decision("1", "paid", Kind.RULE), bench.decision("2", "paid")
    )
    assert bench.payments() == {"1": "due"}


def test_a_decision_before_its_document_counts_neither_live_nor_in_a_rebuild(tmp_path: Path) -> None:
    """A rebuild has every document before its first tick."""
    for name in ("live", "rebuilt"):
        (tmp_path / name).mkdir()
        with opened(tmp_path / name) as bench:
            if name == "rebuilt":
                bench.issue("1")
            bench.tick(bench.decision("1", "paid"))
            if name == "live":
                bench.at -= MINUTE
                bench.issue("1")  # at the tick of the decision, behind it
                bench.at += MINUTE
            bench.tick()
            assert bench.payments() == {"1": "due"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("due", {"1": "waived", "1c": "waived"}),
        ("waived", {"1": "waived", "1c": "waived"}),
        ("paid", {"1": "paid", "1c": "due"}),
        ("refunded", {"1": "refunded", "1c": "due"}),
    ],
)
def test_a_credit_of_what_nobody_paid_is_nothing_to_pay(
    bench: Bench, before: str, after: dict[str, str]
) -> None:
    bench.issue("1")
    bench.tick()
    bench.tick(bench.decision("1", before))
    bench.issue("1c", "credit")
    bench.issue("2", revision=2)
    bench.tick()
    assert bench.payments() == {**after, "2": "due"}


def test_a_credit_that_is_not_issued_yet_cancels_nothing(bench: Bench) -> None:
    bench.issue("1")
    bench.tick()
    bench.at += MINUTE
    bench.issue("1c", "credit")  # of the tick after the next
    bench.at -= MINUTE
    bench.tick()
    assert bench.payments() == {"1": "due", "1c": "due"}
    bench.tick()
    assert bench.payments() == {"1": "waived", "1c": "waived"}


# -- an acquirer ------------------------------------------------------------------------------------------


async def acquire(client: Client, cards: dict[str, str]) -> None:
    """What an adapter does: read documents, charge the card of the token, publish what came of it.

    Written against docs/csms/tariffs.md alone. ``cards``: what the bank says about each token.
    """
    js = client.jetstream()
    subscription = await js.subscribe("ops.cdr.>", durable="acquirer", stream="OPS_CDR")
    for _ in range((await js.stream_info("OPS_CDR")).state.messages):
        message = await subscription.next_msg()
        document = orjson.loads(message.data)
        state = cards[document["bill"]["token"]]
        if document["cdr"]["kind"] == "credit":
            state = "refunded"
        decision = {"by": "acquirer", "at": "2026-06-01T12:30:00Z", "why": "card", "body": {"state": state}}
        token = document["cdr"]["id"].replace("/", "=2F")
        await js.publish(f"ops.set.payment.{token}", orjson.dumps(decision))
        await message.ack()


async def test_an_acquirer_pays_by_decision(nats_server: NatsServer, bench: Bench) -> None:
    sold = tariff(energy=[{"priceKwh": 1}])
    usage = used("2026-06-01 10:00", (60, 20, CHARGING))
    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    await js.add_stream(StreamConfig(name="OPS_CDR", subjects=["ops.cdr.>"]))
    await js.add_stream(StreamConfig(name="OPS_SET", subjects=["ops.set.>"]))
    invoice, credit = document(billed(usage, sold)), document(billed(usage, sold).credited(), kind="credit")
    heads: list[dict[str, Any]] = []
    for body, id in ((invoice, "s/1"), (credit, "s/1/credit")):
        heads.append({**orjson.loads(body)["cdr"], "id": id})
        await js.publish("ops.cdr.RDAM=201", orjson.dumps({**orjson.loads(body), "cdr": heads[-1]}))
    for head in heads:
        bench.issue(head["id"], head["kind"])
    await asyncio.wait_for(acquire(client, {"pseudonym": "paid"}), 30)
    bench.at += MINUTE  # the documents' tick
    decided_ = []
    for seq in (1, 2):
        message = await js.get_msg("OPS_SET", seq)
        assert message.subject is not None
        assert identity(message.subject.rpartition(".")[2]) == heads[seq - 1]["id"]
        stored = Message("OPS_SET", seq, message.subject, {}, message.data or b"", 0.0)
        decided_.append(decisions.decoded(stored, first=True))
    bench.tick(*decided_)
    assert bench.payments() == {"s/1": "paid", "s/1/credit": "refunded"}
    await client.close()
