"""``voltgate chargers import --from steve``: a file in the columns of SteVe's table, and its tokens."""

import csv
import io
import re
import sqlite3
from pathlib import Path

import bcrypt
import pytest

from cli.chargers.book import Kept, Run
from voltgate.backend.tokens import Tokens

ROOT = Path(__file__).parents[3]
HASH = bcrypt.hashpw(b"sixteen letters!", bcrypt.gensalt(4, b"2a")).decode()
COLUMNS = (
    "charge_box_pk", "charge_box_id", "endpoint_address", "ocpp_protocol", "registration_status",
    "charge_point_vendor", "charge_point_model", "description", "note", "security_profile", "auth_password",
    "created_at",
)  # fmt: skip
CHARGERS: list[tuple[str | None, ...]] = [
    ("1", "WEST 1", None, "ocpp1.6J", "Accepted", "V", "M", "by the\nriver", None, "1", HASH, "2026-01-01"),
    ("2", "EAST,2", None, None, "Rejected", None, None, "never seen", '"new"', "0", None, "2026-01-01"),
    ("3", "CERT", None, "ocpp1.6J", "Pending", "V", "M", None, None, "3", None, "2026-01-01"),
    ("4", "SOAP", "http://s", "ocpp1.6S", "Accepted", "V", "M", None, None, "0", None, "2026-01-01"),
    ("5", "OLD", None, "ocpp1.5J", "Accepted", "V", "M", None, None, None, None, "2026-01-01"),
]


def as_csv(rows: list[tuple[str | None, ...]], null: str) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([COLUMNS, *([null if cell is None else cell for cell in row] for row in rows)])
    return text.getvalue()


def as_batch(rows: list[tuple[str | None, ...]]) -> str:
    """What ``mysql --batch`` prints: tabs, no quotes, escapes."""

    def cell(value: str | None) -> str:
        return (
            "NULL" if value is None else value.replace("\\", r"\\").replace("\n", r"\n").replace("\t", r"\t")
        )

    return "".join("\t".join(map(cell, row)) + "\n" for row in [COLUMNS, *rows])


@pytest.mark.parametrize(
    "text",
    [as_csv(CHARGERS, ""), as_csv(CHARGERS, "NULL"), as_csv(CHARGERS, r"\N"), as_batch(CHARGERS)],
    ids=["csv", "NULL", "backslash N", "mysql --batch"],
)
def test_chargers_come_with_their_passwords(chargers: Run, kept: Kept, tmp_path: Path, text: str) -> None:
    file = tmp_path / "charge_box.csv"
    file.write_text(text)
    code, out, err = chargers("import", "--from", "steve", file)
    assert code == 0
    assert kept("WEST=201") == {"enabled": True, "security_profile": 1, "password_hashes": [HASH]}
    assert kept("CERT") == {"enabled": True, "security_profile": 3}, "it needs no password"
    east = kept("EAST=2C2")
    assert (east["enabled"], "security_profile" in east) == (False, False)
    [line] = out.splitlines()
    assert re.fullmatch('"EAST,2",[0-9a-f]{40}', line), "a key for the one without a password"
    assert "3 added, 0 already had a record" in err
    assert [line for line in err.splitlines() if "passed over" in line] == [
        "voltgate: passed over: SOAP speaks ocpp1.6S, which is not served",
        "voltgate: passed over: OLD speaks ocpp1.5J, which is not served",
    ]
    assert "3 already had a record" in chargers("import", "--from", "steve", file)[2], "run again"


def test_a_file_of_an_older_steve_has_fewer_columns(chargers: Run, kept: Kept, tmp_path: Path) -> None:
    file = tmp_path / "charge_box.csv"
    file.write_text("charge_box_id,ocpp_protocol\nCP1,ocpp1.6J\n")
    code, out, _ = chargers("import", "--from", "steve", file)
    assert (code, out[:4]) == (0, "CP1,")
    assert kept("CP1")["enabled"] is True


def test_what_only_steve_takes_as_an_identity_is_passed_over(
    chargers: Run, kept: Kept, tmp_path: Path
) -> None:
    file = tmp_path / "charge_box.csv"
    file.write_text(f"charge_box_id,ocpp_protocol\na:b,ocpp1.6J\n{'x' * 60},\nCP1,\n")
    code, out, err = chargers("import", "--from", "steve", file)
    assert (code, out[:4], kept("CP1")["enabled"]) == (0, "CP1,", True)
    assert [line.partition(" is no legal")[0] for line in err.splitlines() if "passed over" in line] == [
        "voltgate: passed over: 'a:b'",
        f"voltgate: passed over: {'x' * 60!r}",
    ]


def test_a_backslash_is_one_in_each_kind_of_file(chargers: Run, kept: Kept, tmp_path: Path) -> None:
    for name, text in (
        ("csv", "charge_box_id,note\na\\b,\n"),
        ("tsv", "charge_box_id\tnote\nc\\\\d\tNULL\n"),
    ):
        file = tmp_path / name
        file.write_text(text)
        assert chargers("import", "--from", "steve", file)[0] == 0
    assert kept("a=5Cb")
    assert kept("c=5Cd")


WRONG = [
    ("identity\nCP1\n", ":1: the first line must name the columns of charge_box", "a file of ours"),
    ("charge_box_id,registration_status\nCP1,Gone\n", ":2: registration_status: must be one of", "a status"),
    ("charge_box_id,security_profile\nCP1,4\n", ":2: security_profile: must be one of", "a profile"),
    ("charge_box_id,auth_password\nCP1,in clear\n", ":2: auth_password: not a bcrypt hash", "no hash"),
    ("charge_box_id\nCP1\nCP1\n", ":3: CP1 appears twice", "twice"),
    (f"charge_box_id\n{'x' * 140_000}\n", ":2: ", "a field over 128 KiB"),
]


@pytest.mark.parametrize(("text", "told", "why"), WRONG, ids=[why for *_, why in WRONG])
def test_a_wrong_file_is_refused_as_a_whole(
    chargers: Run, tmp_path: Path, text: str, told: str, why: str
) -> None:
    file = tmp_path / "charge_box.csv"
    file.write_text(text)
    code, out, err = chargers("import", "--from", "steve", file)
    assert (code, out) == (2, ""), why
    assert f"{file}{told}" in err, why
    assert "in clear" not in err, "a password is not quoted"
    assert len(chargers("list")[1].splitlines()) == 1, "nothing was written"


def documented(table: str) -> str:
    """The statement of docs/migrate.md that reads a table of SteVe."""
    text = (ROOT / "docs" / "migrate.md").read_text()
    [statement] = re.findall(rf"SELECT [^;`]+ FROM {table}\b[^;`]*;", text)
    return str(statement)


def test_the_documented_statements_make_files_that_can_be_used(
    chargers: Run, kept: Kept, tmp_path: Path
) -> None:
    """By SQLite in the place of MySQL: the statements keep to what both have."""
    base = sqlite3.connect(":memory:")
    base.execute(f"CREATE TABLE charge_box ({', '.join(COLUMNS)})")
    base.executemany(f"INSERT INTO charge_box VALUES ({','.join('?' * len(COLUMNS))})", CHARGERS[:1])
    base.execute("CREATE TABLE ocpp_tag (id_tag, parent_id_tag, expiry_date, max_active_transaction_count)")
    base.executemany(
        "INSERT INTO ocpp_tag VALUES (?, NULL, ?, ?)",
        [("04A1", None, 1), ("04B2", "2020-01-01 00:00:00", 1), ("04C3", None, 0), ("04D4", None, -1)],
    )

    def batch(table: str, names: bool) -> Path:
        cursor = base.execute(documented(table))
        rows = [[name for name, *_ in cursor.description]] * names + [list(row) for row in cursor]
        file = tmp_path / table
        file.write_text(
            "".join("\t".join("NULL" if c is None else str(c) for c in row) + "\n" for row in rows)
        )
        return file

    assert chargers("import", "--from", "steve", batch("charge_box", names=True))[0] == 0
    assert kept("WEST=201")["password_hashes"] == [HASH]
    tokens = Tokens(batch("ocpp_tag", names=False))
    assert [tokens.status(tag) for tag in ("04A1", "04B2", "04C3", "04D4", "04E5")] == [
        "Accepted", "Expired", "Blocked", "Accepted", "Invalid",
    ]  # fmt: skip
