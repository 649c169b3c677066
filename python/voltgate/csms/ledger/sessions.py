"""Facts find their sessions here; what happens with sessions as time goes on is in ``closing``.

Every transaction fact belongs to the session that its names lead to (``names``), or waits (``parking``) until
it has such a name, or until a tick places it by connector and time.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from voltgate.csms.ledger import closing, names, parking, rows, settling, sources, tables, times
from voltgate.csms.ledger.acting import Acting, Settings
from voltgate.csms.ledger.decisions import Decision, Kind
from voltgate.csms.ledger.documented import Documented
from voltgate.csms.ledger.facts import Fact
from voltgate.csms.ledger.flags import Flag
from voltgate.csms.ledger.names import Known
from voltgate.csms.ledger.registers import Rises
from voltgate.csms.ledger.session import State
from voltgate.csms.ledger.store import Tx
from voltgate.csms.ledger.told import OCPP16, Mark, Source, Told, told

NAMESPACE = UUID("6f1c0f55-5d0b-5a38-9b52-5b6b6a0c9a41")
ACTIONS = frozenset(
    {"StartTransaction", "StartTransactionResponse", "StopTransaction", "MeterValues", "TransactionEvent"}
)
_CLOCK_SET = datetime(2020, 1, 1, tzinfo=UTC)
_KEPT = timedelta(days=35)
_CACHED = 32_768  # sessions whose register is followed in memory, less than a kilobyte each


@dataclass(slots=True)
class Live:
    """The picture of a session that goes on, reading by reading."""

    rises: Rises
    last: tuple[str, int] = ("", 0)
    power: int | None = None
    peak: int | None = None
    soc_from: int | None = None
    soc: int | None = None
    placed: bool = False
    """Its row has an EVSE."""

    def add(self, one: Told) -> None:
        """Take the readings of one message."""
        self.last = (one.stream, one.seq)
        if one.mark is Mark.BEGIN and one.meter is not None:
            self.rises.add(one.at or one.received, one.meter)
        for point in one.points:
            if point.register is not None:
                self.rises.add(point.at or one.received, point.register)
                self.rises.curve.clear()  # the total is enough here
            if point.power is not None:
                self.power = point.power
                self.peak = max(self.peak or 0, point.power)
            if point.soc is not None:
                self.soc = point.soc
                self.soc_from = self.soc_from if self.soc_from is not None else point.soc


class Sessions:
    """See Part."""

    tables: tuple[str, ...] = tables.TABLES

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._live: OrderedDict[str, Live] = OrderedDict()
        self._named: dict[tuple[str, str], Known] = {}  # open sessions, until a tick changes them
        self._documented = Documented()

    # -- between ticks ------------------------------------------------------------------------------------

    def fact(self, tx: Tx, fact: Fact) -> None:
        """See Part."""
        if fact.action in ACTIONS and fact.stream.endswith("_TX"):
            if self._documented.has(tx, fact):
                return
            source = sources.of_fact(fact)
            one = told(source)
            if one is not None:
                self._place(tx, fact.charger, source, one)
        elif fact.action.startswith("GetTransactionStatus"):
            _asked(tx, fact)

    def _place(self, tx: Tx, charger: str, source: Source, one: Told) -> None:
        match one.mark:
            case Mark.BEGIN if source.version == OCPP16:
                self._begin_16(tx, charger, source, one)
            case Mark.ANSWER:
                self._answer(tx, charger, source, one)
            case _ if source.action == "TransactionEvent" and one.tx:
                self._event(tx, charger, source, one)
            case _ if one.tx and (session := self._known(tx, charger, source, one)):
                self.join(tx, charger, session, source, one)
            case _:
                sources.park(tx, charger, f"id:{one.tx}" if one.tx else "", source)

    def _known(self, tx: Tx, charger: str, source: Source, one: Told) -> Known | None:
        """The session with the transaction id."""
        name = (charger, f"id:{one.tx}")
        found = self._named.get(name)
        if found is None:
            found, several = names.named(tx, *name, source, one)
            if found is not None and found.state is State.OPEN and not several:
                self._named[name] = found
        return found

    def _name(self, tx: Tx, charger: str, one: Told, session: Known) -> None:
        names.give(tx, charger, f"id:{one.tx}", session.id)
        self._named.pop((charger, f"id:{one.tx}"), None)

    def _begin_16(self, tx: Tx, charger: str, source: Source, one: Told) -> None:
        same = f"start:{one.evse}/{one.token}/{one.at and times.text(one.at)}/{one.meter}"
        reliable = one.at is not None and one.at >= _CLOCK_SET
        named = (names.last(tx, charger, name, source, one) for name in (f"key:{source.key}", same))
        session = next((known for known in named if known is not None), None)
        if session is not None and not reliable and session.ended is not None:
            session = None  # a charger without a clock starts like this every time
        if session is None:
            session = self.open(tx, charger, same if reliable else source.key, source, one)
        else:
            self.join(tx, charger, session, source, one)
        for alias in (f"key:{source.key}", same):
            names.give(tx, charger, alias, session.id)
        self._unpark(tx, charger, f"key:{source.key}")

    def _answer(self, tx: Tx, charger: str, source: Source, one: Told) -> None:
        session = names.last(tx, charger, f"key:{source.key}", source, one)
        if session is None:
            sources.park(tx, charger, f"key:{source.key}", source)
            return
        if one.tx:
            self._name(tx, charger, one, session)
        self.join(tx, charger, session, source, one)
        if one.tx:
            # A person can stop it before the next tick derives the rest.
            tx.run("UPDATE session SET tx = ? WHERE id = ? AND state = 'open'", one.tx, session.id)
            self._unpark(tx, charger, f"id:{one.tx}")

    def _event(self, tx: Tx, charger: str, source: Source, one: Told) -> None:
        alias = f"id:{one.tx}"
        session = self._known(tx, charger, source, one)
        if session is not None and one.mark is Mark.BEGIN and _is_another(tx, session, source, one):
            session = None
        if session is None:
            # Not those that come later: a rebuild knows them from their documents.
            (count,) = tx.one(
                "SELECT COUNT(*) FROM alias a JOIN session s ON s.id = a.session "
                "WHERE a.charger = ? AND a.alias = ? AND s.first_heard <= ?",
                charger, alias, times.text(source.at),
            ) or (0,)  # fmt: skip
            session = self.open(tx, charger, f"{alias}/{count}", source, one)
            self._name(tx, charger, one, session)
        else:
            self.join(tx, charger, session, source, one)

    def _unpark(self, tx: Tx, charger: str, alias: str) -> None:
        for source in sources.unpark(tx, charger, alias):
            one = told(source)
            if one is not None:
                self._place(tx, charger, source, one)

    def open(self, tx: Tx, charger: str, seed: str, source: Source, one: Told) -> Known:
        """A new session, of a fact that belongs to none."""
        id_ = str(uuid5(NAMESPACE, f"{charger}\n{seed}"))
        at = times.text(source.at)
        tx.run(
            "INSERT INTO session (id, charger, evse, connector, tx, token, started, state, version, "
            "first_heard, heard) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
            id_, charger, one.evse or 0, one.connector or 1, one.tx, one.token,
            times.text(one.at or one.received) if one.mark is Mark.BEGIN else None, State.OPEN,
            source.version, at, at,
        )  # fmt: skip
        session = names.known(tx, id_)
        self.join(tx, charger, session, source, one)
        return session

    def join(self, tx: Tx, charger: str, session: Known, source: Source, one: Told) -> None:
        """Give a fact to a session, and bring its live picture up to date."""
        if not sources.keep(tx, session.id, charger, source):
            return
        at = times.text(source.at)
        silent = session.state is State.SETTLED and Flag.END_PRESUMED.label in session.flags.split()
        due = 0 if one.mark in (Mark.UPDATE, Mark.VALUES) and session.state is State.OPEN else 1
        if silent and one.mark is not Mark.END:
            due = 0
        if session.state is not State.OPEN:
            tx.run(
                "UPDATE session SET heard = CASE WHEN heard < ? THEN ? ELSE heard END, "
                "due = CASE WHEN due = 1 THEN 1 ELSE ? END, "
                "presumed = CASE WHEN state = 'presumed' THEN NULL ELSE presumed END WHERE id = ?",
                at, at, due, session.id,
            )  # fmt: skip
            return
        live = self._followed(tx, session.id, one)
        # A column in SET has its indexes written, changed or not: those that seldom change are apart.
        tx.run(
            "UPDATE session SET heard = CASE WHEN heard < ? THEN ? ELSE heard END, "
            "mwh = ?, power_w = ?, peak_w = ?, soc_from = ?, soc_to = ? WHERE id = ?",
            at, at, live.rises.total, live.power, live.peak, live.soc_from, live.soc, session.id,
        )  # fmt: skip
        if due:
            tx.run("UPDATE session SET due = 1 WHERE id = ? AND due = 0", session.id)
        if one.evse and not live.placed:
            tx.run("UPDATE session SET evse = ? WHERE id = ? AND evse = 0", one.evse, session.id)
            live.placed = True
        rows.add_samples(tx, session.id, one.points, one.received)

    def _followed(self, tx: Tx, session: str, one: Told) -> Live:
        """The live picture with this fact, always in the order of the stream, cached or not."""
        live = self._live.get(session)
        if live is None or live.last > (one.stream, one.seq):
            live = Live(Rises(self._settings.csms.max_power_w))
            for source in sources.kept(tx, session):
                if (known := told(source)) is not None:
                    live.add(known)
            self._live[session] = live
        else:
            live.add(one)
        self._live.move_to_end(session)
        while len(self._live) > _CACHED:
            self._live.popitem(last=False)
        return live

    # -- at ticks -----------------------------------------------------------------------------------------

    def tick(self, tx: Tx, at: datetime) -> None:
        """See Part."""
        now = Acting(tx, at, self._settings)
        if parking.place(self, now):
            self._named.clear()
        closing.presume(now)
        due = [id_ for (id_,) in tx.all("SELECT id FROM session WHERE due = 1 ORDER BY id")]
        changed = set(due)
        self._named = {name: one for name, one in self._named.items() if one.id not in changed}
        for id_ in due:
            self._live.pop(id_, None)
            closing.derive(now, id_)
        closing.settle(now)

    def decision(self, tx: Tx, decision: Decision) -> None:
        """See Part."""
        if decision.kind in (Kind.CORRECTION, Kind.WAIVER):
            tx.run("UPDATE session SET due = 1 WHERE id = ?", decision.id)


def _is_another(tx: Tx, session: Known, source: Source, one: Told) -> bool:
    """2.x: whether a Started belongs to another session with the same id: the one known is over by then.

    Only times of the charger itself are compared: its clock may be wrong.
    """
    if one.at is None or session.started is None:
        return False
    kept = sources.kept(tx, session.id)
    if session.state is State.SETTLED:
        kept = settling.documented(tx, session.id) + kept
    if any(source.id == fact.id for fact in kept):
        return False
    facts = [earlier for fact in kept if (earlier := told(fact)) is not None]
    over = [fact.at or fact.received for fact in facts if fact.mark is Mark.END]
    if not over and session.ended is not None:
        over = [max(fact.at or fact.received for fact in facts)]
    if not over:
        return False
    begins = {fact.at for fact in facts if fact.mark is Mark.BEGIN}
    # A charger without a clock begins the same time again.
    return one.at >= min(over) or (one.at < _CLOCK_SET and bool(begins) and one.at not in begins)


def _asked(tx: Tx, fact: Fact) -> None:
    """What a charger says about a transaction: over only if nothing of it is queued either."""
    if fact.action == "GetTransactionStatus":
        tx.run("DELETE FROM asked WHERE charger = ? AND at < ?", fact.charger, times.text(fact.at - _KEPT))
        tx.run(
            "INSERT INTO asked (charger, key, tx, at, over) VALUES (?, ?, ?, ?, 0) ON CONFLICT DO NOTHING",
            fact.charger, fact.key or fact.id, str(fact.body.get("transactionId") or ""), times.text(fact.at),
        )  # fmt: skip
    elif fact.body.get("ongoingIndicator") is False and fact.body.get("messagesInQueue") is False:
        tx.run(
            "UPDATE asked SET over = 1, at = ? WHERE charger = ? AND key = ?",
            times.text(fact.at), fact.charger, fact.key or "",
        )  # fmt: skip
