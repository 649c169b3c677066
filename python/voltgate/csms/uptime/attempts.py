"""Attempts: from a driver who was let in to a charged vehicle, or the stage at which it ended.

    authorized --cable--> plugged --transaction--> started --energy--> energy --regular end--> ended
         |                   |                        |                   |                      |
         +---- no session in time after the trial ----+---- session ended without, or with ----+ success
                           failed                          energy but not regularly: failed

An attempt begins with an accepted Authorize or remote start, or with the start of a session by a token. A
token that is shown again before the session starts is the same attempt; one that is shown while its session
is open ends it. Three failed attempts in a row at one port prove it broken until the next success:
"Available" does not prove that it works.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from voltgate.csms.ledger import times
from voltgate.csms.ledger.facts import Fact
from voltgate.csms.ledger.store import Row, Tx
from voltgate.csms.uptime import outages
from voltgate.csms.uptime.trials import How, Trial, Verdict, trial
from voltgate.csms.uptime.watch import Session

STOPPED = timedelta(minutes=1)
"""A token that is shown this long before a session ends may have ended it."""
UNANSWERED = timedelta(hours=1)
IN_A_ROW = 3

# Reasons of a stop that a driver, a vehicle or a limit chose; none in 1.6 means Local (J16 6.2).
REGULAR = frozenset(
    {
        "", "Local", "Remote", "EVDisconnected", "StoppedByEV", "SOCLimitReached", "EnergyLimitReached",
        "TimeLimitReached", "LocalOutOfCredit", "MasterPass", "UnlockCommand", "CostLimitReached", "LimitSet",
    }
)  # fmt: skip

TRIAL = """CREATE TABLE trial (
    stream TEXT NOT NULL, seq INTEGER NOT NULL, charger TEXT NOT NULL, key TEXT NOT NULL,
    evse INTEGER NOT NULL, token TEXT NOT NULL, how TEXT NOT NULL, at TEXT NOT NULL,
    accepted INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (stream, seq))"""

PLUG = """CREATE TABLE plug (
    charger TEXT NOT NULL, evse INTEGER NOT NULL, at TEXT NOT NULL, PRIMARY KEY (charger, evse))"""

ATTEMPT = """CREATE TABLE attempt (
    id TEXT PRIMARY KEY, charger TEXT NOT NULL, evse INTEGER NOT NULL, at TEXT NOT NULL, done TEXT,
    stage TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
    session TEXT NOT NULL DEFAULT '', token TEXT NOT NULL, how TEXT NOT NULL, vendor TEXT NOT NULL,
    model TEXT NOT NULL, firmware TEXT NOT NULL)"""

_SPACE = uuid.UUID("5b0d1d5c-31c5-5f0e-9e58-3f5a4a1f6b4e")
_PLUGGED = frozenset({"Preparing", "Charging", "SuspendedEV", "SuspendedEVSE", "Finishing", "Occupied"})


class Stage(StrEnum):
    """How far an attempt came, in this order."""

    AUTHORIZED = "authorized"
    PLUGGED = "plugged"
    STARTED = "started"
    ENERGY = "energy"
    ENDED = "ended"


class Outcome(StrEnum):
    """Of an attempt."""

    OPEN = "open"
    SUCCESS = "success"
    FAILED = "failed"


class Attempts:
    """Folds trials as they come, and joins them with sessions at ticks."""

    tables: tuple[str, ...] = (
        TRIAL,
        PLUG,
        ATTEMPT,
        "CREATE INDEX attempt_open ON attempt (charger, token) WHERE session = ''",
        "CREATE INDEX attempt_waiting ON attempt (at) WHERE session = '' AND outcome = 'open'",
        "CREATE INDEX attempt_by_session ON attempt (session) WHERE session <> ''",
        "CREATE INDEX attempt_by_port ON attempt (charger, evse, at)",
        "CREATE INDEX attempt_by_time ON attempt (at)",
        "CREATE INDEX trial_by_key ON trial (key)",
    )

    def __init__(self, wait: timedelta) -> None:
        """``wait``: from the trial to the transaction."""
        self._wait = wait

    def fact(self, tx: Tx, fact: Fact) -> None:
        """Store a trial, its verdict, or a cable that was plugged in."""
        if fact.action == "StatusNotification":
            self._plugged(tx, fact)
            return
        match trial(fact):
            case Trial(evse, token, how):
                tx.run(
                    "INSERT INTO trial (stream, seq, charger, key, evse, token, how, at)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (stream, seq) DO NOTHING",
                    fact.stream, fact.seq, fact.charger, fact.key or fact.id, evse, token, str(how),
                    times.text(fact.at),
                )  # fmt: skip
            case Verdict(True):
                tx.run("UPDATE trial SET accepted = 1 WHERE key = ?", fact.key)
            case Verdict():
                tx.run("DELETE FROM trial WHERE key = ?", fact.key)
            case None:
                pass

    def tick(self, tx: Tx, at: datetime, sessions: Sequence[Session]) -> set[tuple[str, int, str]]:
        """Join, resolve, prove. Returns (charger, evse, time) of every attempt that is new or changed."""
        changed = set[tuple[str, int, str]]()
        for row in tx.all(
            "SELECT charger, evse, token, how, at, stream, seq FROM trial WHERE accepted = 1"
            " ORDER BY at, stream, seq"
        ):
            changed |= _tried(tx, row, self._wait)
        tx.run("DELETE FROM trial WHERE accepted = 1 OR at < ?", times.text(at - UNANSWERED))
        for session in sessions:
            changed |= _joined(tx, session, self._wait)
        changed |= _timed_out(tx, at, self._wait)
        first = dict[tuple[str, int], str]()
        for charger, evse, begun in sorted(changed):
            if evse:
                first.setdefault((charger, evse), begun)
        for (charger, evse), begun in first.items():
            _prove(tx, charger, evse, begun)
        return changed

    def _plugged(self, tx: Tx, fact: Fact) -> None:
        body = fact.body
        if (body.get("connectorStatus") or body.get("status")) in _PLUGGED:
            evse = body.get("evseId", body.get("connectorId"))
            tx.run(
                "INSERT INTO plug (charger, evse, at) VALUES (?, ?, ?)"
                " ON CONFLICT (charger, evse) DO UPDATE SET at = excluded.at",
                fact.charger, evse if type(evse) is int else 0, times.text(fact.at),
            )  # fmt: skip


def _tried(tx: Tx, row: Row, wait: timedelta) -> set[tuple[str, int, str]]:
    charger, evse, token, how, at, stream, seq = row
    since = times.text(times.parsed(at) - wait)
    again = tx.one(
        "SELECT 1 FROM attempt WHERE charger = ? AND token = ? AND session = '' AND at >= ? AND at <= ?"
        " AND (evse = ? OR evse = 0 OR ? = 0)",
        charger, token, since, at, evse, evse,
    )  # fmt: skip
    # In the session that this token has started: it ends it, or was shown twice.
    inside = tx.one(
        "SELECT 1 FROM session s JOIN attempt a ON a.session = s.id AND a.session <> ''"
        " WHERE s.charger = ? AND s.token = ? AND a.at <= ? AND (s.ended IS NULL OR s.ended >= ?)",
        charger, token, at, at,
    )  # fmt: skip
    if again or inside:
        return set()
    evse = evse or _only_port(tx, charger)
    return _create(tx, f"{charger}/{stream}/{seq}", charger, evse, at, token, how)


def _create(  # noqa: PLR0913, PLR0917 - the columns of a new attempt
    tx: Tx, name: str, charger: str, evse: int, at: str, token: str, how: str, session: str = ""
) -> set[tuple[str, int, str]]:
    maker = tx.one("SELECT vendor, model, firmware FROM charger WHERE id = ?", charger) or ("", "", "")
    tx.run(
        "INSERT INTO attempt (id, charger, evse, at, stage, outcome, session, token, how, vendor, model,"
        " firmware) VALUES (?, ?, ?, ?, 'authorized', 'open', ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        str(uuid.uuid5(_SPACE, name)), charger, evse, at, session, token, how, *maker,
    )  # fmt: skip
    return {(charger, evse, at)}


def _only_port(tx: Tx, charger: str) -> int:
    """The port of a charger that has one; 0: not known."""
    rows = tx.all("SELECT DISTINCT evse FROM port WHERE charger = ? AND evse > 0", charger)
    return int(rows[0][0]) if len(rows) == 1 else 0


# The second condition is that of the index.
_OF_SESSION = "SELECT id, evse, at FROM attempt WHERE session = ? AND session <> ''"


def _joined(tx: Tx, session: Session, wait: timedelta) -> set[tuple[str, int, str]]:
    """Find or make the attempt of a session, and say how far it came."""
    if session.started is None:
        return set()
    row = tx.one(_OF_SESSION, session.id)
    if row is None:
        refused = session.reason == "DeAuthorized" or "start_refused" in session.flags
        if not session.token or (refused and not session.mwh):
            return set()
        row = _trial_of(tx, session, wait)
    if row is None:
        _create(
            tx, f"session/{session.id}", session.charger, session.evse, times.text(session.started),
            session.token, How.TOKEN, session.id,
        )  # fmt: skip
        row = tx.one(_OF_SESSION, session.id)
        assert row is not None
    id_, before, at = row
    stage, outcome, reason = judged(session)
    done = None if session.ended is None else times.text(session.ended)
    written = tx.run(
        "UPDATE attempt SET session = ?, evse = ?, stage = ?, outcome = ?, reason = ?, done = ? WHERE id = ? "
        "AND (session <> ? OR evse <> ? OR stage <> ? OR outcome <> ? OR reason <> ? "
        "OR COALESCE(done, '') <> ?)",
        session.id, session.evse, stage, outcome, reason, done, id_,
        session.id, session.evse, stage, outcome, reason, done or "",
    )  # fmt: skip
    # Most sessions that go on have more energy, and nothing else.
    return {(session.charger, session.evse, at), (session.charger, before, at)} if written else set()


def _trial_of(tx: Tx, session: Session, wait: timedelta) -> Row | None:
    assert session.started is not None
    return tx.one(
        "SELECT id, evse, at FROM attempt WHERE charger = ? AND token = ? AND session = ''"
        " AND (evse = ? OR evse = 0) AND at >= ? AND at <= ? ORDER BY at, id LIMIT 1",
        session.charger, session.token, session.evse, times.text(session.started - wait),
        times.text(session.ended or session.started + timedelta(days=1)),
    )  # fmt: skip


def judged(session: Session) -> tuple[Stage, Outcome, str]:
    """How far the attempt of a session came; the reason is the charger's, or the flag of a presumed end."""
    stage = Stage.ENERGY if session.mwh > 0 else Stage.STARTED
    if session.ended is None:
        return stage, Outcome.OPEN, ""
    if "end_presumed" in session.flags:
        return stage, Outcome.FAILED, "end_presumed"
    if stage is Stage.ENERGY and session.reason in REGULAR:
        return Stage.ENDED, Outcome.SUCCESS, session.reason
    return stage, Outcome.FAILED, session.reason or "no_energy"


def _timed_out(tx: Tx, at: datetime, wait: timedelta) -> set[tuple[str, int, str]]:
    """Attempts that no session followed."""
    changed = set[tuple[str, int, str]]()
    for id_, charger, evse, begun in tx.all(
        "SELECT id, charger, evse, at FROM attempt WHERE session = '' AND outcome = 'open' AND at <= ?"
        " ORDER BY at, id",
        times.text(at - wait),
    ):
        begins = times.parsed(begun)
        if tx.one(
            "SELECT 1 FROM session WHERE charger = ? AND ended >= ? AND ended <= ?",
            charger, begun, times.text(begins + STOPPED),
        ):  # fmt: skip
            tx.run("DELETE FROM attempt WHERE id = ?", id_)
            continue
        plugged = tx.one(
            "SELECT 1 FROM plug WHERE charger = ? AND (evse = ? OR ? = 0) AND at >= ? AND at <= ?",
            charger, evse, evse, times.text(begins - wait), times.text(begins + wait),
        )  # fmt: skip
        tx.run(
            "UPDATE attempt SET outcome = 'failed', stage = ?, reason = 'no_session', done = ? WHERE id = ?",
            str(Stage.PLUGGED if plugged else Stage.AUTHORIZED), times.text(begins + wait), id_,
        )  # fmt: skip
        changed.add((charger, evse, begun))
    return changed


def _prove(tx: Tx, charger: str, evse: int, first: str) -> None:
    """Make the intervals ``broken`` of a port anew, from the success before its first changed attempt on."""
    row = tx.one(
        "SELECT MAX(at) FROM attempt WHERE charger = ? AND evse = ? AND outcome = 'success' AND at < ?",
        charger, evse, first,
    )  # fmt: skip
    since = (row and row[0]) or ""
    tx.run(
        "DELETE FROM outage WHERE charger = ? AND evse = ? AND kind = 'broken' AND begins > ?",
        charger, evse, since,
    )  # fmt: skip
    failures = 0
    for at, done, outcome in tx.all(
        "SELECT at, done, outcome FROM attempt WHERE charger = ? AND evse = ? AND at > ?"
        " AND outcome <> 'open' ORDER BY at, id",
        charger, evse, since,
    ):  # fmt: skip
        if outcome == Outcome.SUCCESS:
            if failures >= IN_A_ROW:
                outages.end(tx, charger, evse, outages.Kind.BROKEN, at)
            failures = 0
        else:
            failures += 1
            if failures == IN_A_ROW:
                outages.begin(tx, charger, evse, outages.Kind.BROKEN, done, "attempts")
