"""The ledger's own tables (docs/csms/ledger.md): migration 1, with those of the other parts.

Times are RFC 3339 text, energy is mWh, money 1/10,000 of the currency's minor unit.
"""

import re

POSITION = """CREATE TABLE position (
    stream TEXT PRIMARY KEY, created TEXT NOT NULL, seq INTEGER NOT NULL)"""

CHARGER = """CREATE TABLE charger (
    id TEXT PRIMARY KEY, token TEXT NOT NULL, site TEXT NOT NULL DEFAULT '',
    vendor TEXT NOT NULL DEFAULT '', model TEXT NOT NULL DEFAULT '', firmware TEXT NOT NULL DEFAULT '',
    version TEXT NOT NULL DEFAULT '', link TEXT NOT NULL DEFAULT 'down', link_at TEXT,
    epoch INTEGER NOT NULL DEFAULT 0, booted TEXT NOT NULL DEFAULT '', booted_at TEXT,
    clock_offset_ms INTEGER)"""

CONNECTOR = """CREATE TABLE connector (
    charger TEXT NOT NULL, evse INTEGER NOT NULL, connector INTEGER NOT NULL,
    status TEXT NOT NULL, error TEXT NOT NULL DEFAULT '', since TEXT NOT NULL, heard TEXT NOT NULL,
    PRIMARY KEY (charger, evse, connector))"""

# Statuses of the last days, for what sessions derive from them at ticks (idle, unplugged).
STATUS = """CREATE TABLE status (
    charger TEXT NOT NULL, evse INTEGER NOT NULL, at TEXT NOT NULL, seq INTEGER NOT NULL,
    status TEXT NOT NULL, PRIMARY KEY (charger, evse, at, seq))"""

# Offsets of a charger's clock, each from a message that came at once (docs/csms/ledger.md).
CLOCK = """CREATE TABLE clock (
    charger TEXT NOT NULL, connection TEXT NOT NULL, seq INTEGER NOT NULL, at TEXT NOT NULL,
    offset_ms INTEGER NOT NULL, PRIMARY KEY (charger, connection, seq))"""

SESSION = """CREATE TABLE session (
    id TEXT PRIMARY KEY, charger TEXT NOT NULL, evse INTEGER NOT NULL, connector INTEGER NOT NULL,
    tx TEXT NOT NULL, token TEXT NOT NULL DEFAULT '', started TEXT, first_energy TEXT, ended TEXT,
    plug_out TEXT, reason TEXT NOT NULL DEFAULT '', state TEXT NOT NULL,
    mwh INTEGER NOT NULL DEFAULT 0, method TEXT NOT NULL DEFAULT '', mwh_proven INTEGER NOT NULL DEFAULT 0,
    power_w INTEGER, peak_w INTEGER, soc_from INTEGER, soc_to INTEGER,
    charging_s INTEGER NOT NULL DEFAULT 0, idle_s INTEGER NOT NULL DEFAULT 0,
    tariff TEXT NOT NULL DEFAULT '', tariff_rev INTEGER NOT NULL DEFAULT 0,
    currency TEXT NOT NULL DEFAULT '', cost INTEGER, flags TEXT NOT NULL DEFAULT '',
    revision INTEGER NOT NULL DEFAULT 0,
    version TEXT NOT NULL, first_heard TEXT NOT NULL, heard TEXT NOT NULL, presumed TEXT,
    due INTEGER NOT NULL DEFAULT 1, settle_at TEXT)"""

# What facts call a session: ``id:`` transaction ids (1.6 has several where a start was sent again with other
# bytes), ``key:`` ocpp-keys of starts, ``start:`` what makes two starts of 1.6 the same.
ALIAS = """CREATE TABLE alias (
    charger TEXT NOT NULL, alias TEXT NOT NULL, session TEXT NOT NULL,
    PRIMARY KEY (charger, alias, session))"""

# Facts whose session is not known yet, or never will be; ``alias``: the name that they wait for.
PARKED = """CREATE TABLE parked (
    stream TEXT NOT NULL, seq INTEGER NOT NULL, charger TEXT NOT NULL, alias TEXT NOT NULL, at TEXT NOT NULL,
    source BLOB NOT NULL, PRIMARY KEY (stream, seq))"""

# The last tick.
TICK = "CREATE TABLE tick (seq INTEGER PRIMARY KEY, at TEXT NOT NULL)"

# Requests of GetTransactionStatus, and whether the answer was that the transaction is over.
ASKED = """CREATE TABLE asked (
    charger TEXT NOT NULL, key TEXT NOT NULL, tx TEXT NOT NULL, at TEXT NOT NULL, over INTEGER NOT NULL,
    PRIMARY KEY (charger, key))"""

# Provenance: every fact of a session. The body leaves when the session is settled: its document has it.
SAID = """CREATE TABLE said (
    stream TEXT NOT NULL, seq INTEGER NOT NULL, session TEXT NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL,
    charger TEXT NOT NULL, at TEXT NOT NULL, connection TEXT NOT NULL, version TEXT NOT NULL,
    action TEXT NOT NULL, subject TEXT NOT NULL, used_for TEXT NOT NULL DEFAULT '', body BLOB,
    PRIMARY KEY (session, id))"""

SAMPLE = """CREATE TABLE sample (
    session TEXT NOT NULL, at TEXT NOT NULL, wh INTEGER, w INTEGER, soc INTEGER, a1 REAL, a2 REAL, a3 REAL,
    PRIMARY KEY (session, at))"""

LINE = """CREATE TABLE line (
    session TEXT NOT NULL, revision INTEGER NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL,
    begins TEXT NOT NULL, ends TEXT NOT NULL, quantity TEXT NOT NULL, unit TEXT NOT NULL, price TEXT NOT NULL,
    amount INTEGER NOT NULL, tax INTEGER NOT NULL, PRIMARY KEY (session, revision, number))"""

CDR = """CREATE TABLE cdr (
    id TEXT PRIMARY KEY, number TEXT NOT NULL, site TEXT NOT NULL, session TEXT NOT NULL,
    charger TEXT NOT NULL, revision INTEGER NOT NULL, kind TEXT NOT NULL, cost INTEGER NOT NULL,
    currency TEXT NOT NULL, mwh INTEGER NOT NULL, issued TEXT NOT NULL,
    payment TEXT NOT NULL DEFAULT 'due', document BLOB NOT NULL)"""

DECISION = """CREATE TABLE decision (
    kind TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL, valid_from TEXT NOT NULL, body TEXT NOT NULL,
    by TEXT NOT NULL, at TEXT NOT NULL, why TEXT NOT NULL, tick TEXT NOT NULL, PRIMARY KEY (kind, id, seq))"""

# The last invoice number of a site and year.
NUMBER = """CREATE TABLE number (
    site TEXT NOT NULL, year INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (site, year))"""

TABLES = (
    POSITION, TICK, CHARGER, CONNECTOR, STATUS, CLOCK, SESSION, ALIAS, PARKED, ASKED, SAID, SAMPLE, LINE, CDR,
    NUMBER, DECISION,
    "CREATE INDEX session_by_start ON session (started, id)",
    "CREATE INDEX session_by_time ON session (COALESCE(started, first_heard), id)",
    "CREATE INDEX session_by_charger_time ON session (charger, COALESCE(started, first_heard), id)",
    "CREATE INDEX session_by_state_time ON session (state, COALESCE(started, first_heard), id)",
    "CREATE INDEX session_by_charger ON session (charger, evse, state)",
    # Behind the one before it: of two that fit as well SQLite takes the later one.
    "CREATE INDEX session_running ON session (charger, evse) WHERE state = 'open'",
    "CREATE INDEX session_due ON session (due) WHERE due = 1",
    "CREATE INDEX session_settle ON session (settle_at) WHERE settle_at IS NOT NULL",
    "CREATE INDEX alias_by_session ON alias (session)",
    "CREATE INDEX asked_over ON asked (charger, tx) WHERE over = 1",
    "CREATE INDEX parked_for ON parked (charger, alias)",
    "CREATE INDEX said_by_id ON said (id) WHERE body IS NULL",
    "CREATE INDEX said_documented ON said (stream, seq, id) WHERE body IS NULL",
    "CREATE INDEX cdr_by_session ON cdr (session, revision)",
    "CREATE INDEX cdr_by_issue ON cdr (issued, id)",
    "CREATE UNIQUE INDEX cdr_number ON cdr (number)",
)  # fmt: skip


def columns(table: str) -> list[str]:
    """The columns of a table, in the order of its statement."""
    (body,) = (
        found[1]
        for one in TABLES
        if (found := re.match(rf"CREATE TABLE {table} \((.*)\)\s*$", one, re.DOTALL)) is not None
    )
    parts = re.split(r",\s*(?![^(]*\))", body)
    return [part.split()[0] for part in parts if not part.strip().startswith("PRIMARY KEY")]
