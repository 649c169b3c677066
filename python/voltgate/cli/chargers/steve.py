"""Reads SteVe's table ``charge_box`` for ``voltgate chargers import --from steve`` (docs/migrate.md).

All of it is checked before anything is written. Columns that no record needs are passed over.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from voltgate.cli.chargers.importing import Row, content
from voltgate.cli.chargers.records import record_of
from voltgate.cli.faults import USAGE, Failure
from voltgate.gateway.registry.hashes import is_hash
from voltgate.gateway.registry.record import is_identity
from voltgate.visible import visible

IDENTITY = "charge_box_id"
_NULL = ("", "NULL", r"\N")  # as tools for MySQL write it
_PROFILES = ("0", "1", "2", "3")  # 0: without password and TLS
_NOT_SERVED = ("ocpp1.2", "ocpp1.5")
_STATUSES = ("Accepted", "Pending", "Rejected")


@dataclass(frozen=True, slots=True)
class Fleet:
    """The chargers of a file; ``passed_over``: those that Voltgate cannot serve, each with the reason."""

    rows: list[Row]
    passed_over: list[str]


def fleet(file: Path) -> Fleet:
    """Every charger of the file. Raises Failure (usage) with the line of the first fault."""
    text = content(file)
    # `mysql --batch` separates by tabs and quotes nothing, tools with a CSV export do both.
    tabs = "\t" in text.partition("\n")[0]
    reader = csv.DictReader(
        io.StringIO(text),
        delimiter="\t" if tabs else ",",
        quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL,
    )
    try:
        return _fleet(reader, file, escaped=tabs)
    except csv.Error as error:  # a field over 128 KiB
        raise Failure(f"{file}:{reader.line_num + 1}: {error}", USAGE) from None


def _fleet(reader: "csv.DictReader[str]", file: Path, *, escaped: bool) -> Fleet:
    if IDENTITY not in (reader.fieldnames or ()):
        raise Failure(f"{file}:1: the first line must name the columns of charge_box: no {IDENTITY}", USAGE)
    found: dict[str, Row] = {}
    passed_over = []
    for cells in reader:
        identity = (cells[IDENTITY] or "").strip()
        if escaped:  # `mysql --batch` doubles a backslash
            identity = identity.replace(r"\\", "\\")
        protocol = _cell(cells, "ocpp_protocol")
        if protocol.endswith("S") or protocol.startswith(_NOT_SERVED):
            passed_over.append(f"{visible(identity)} speaks {visible(protocol)}")
            continue
        if not is_identity(identity):  # SteVe takes 255 characters, and colons
            passed_over.append(f"{identity!r} is no legal identity (1 to 48 characters, none of them ':')")
            continue
        try:
            row = _row(identity, cells)
        except Failure as fault:
            raise Failure(f"{file}:{reader.line_num}: {fault}", USAGE) from None
        if row.identity in found:
            raise Failure(f"{file}:{reader.line_num}: {row.identity} appears twice", USAGE)
        found[row.identity] = row
    return Fleet(list(found.values()), passed_over)


def _cell(cells: dict[str, str], column: str) -> str:
    value = (cells.get(column) or "").strip()
    return "" if value in _NULL else value


def _row(identity: str, cells: dict[str, str]) -> Row:
    status = _cell(cells, "registration_status") or "Accepted"
    profile = _cell(cells, "security_profile") or "0"
    password = _cell(cells, "auth_password")
    if status not in _STATUSES:
        raise Failure(f"registration_status: must be one of {', '.join(_STATUSES)}")
    if profile not in _PROFILES:
        raise Failure(f"security_profile: must be one of {', '.join(_PROFILES)}")
    if password and not is_hash(password):
        raise Failure("auth_password: not a bcrypt hash with a cost of 12 at most")
    record = record_of(
        {
            # SteVe refuses the boot of a rejected charger.
            "enabled": status != "Rejected",
            "security_profile": int(profile) or None,
            "password_hashes": [password] if password else None,
        }
    )
    return Row(identity, None, record, complete=bool(password) or profile == "3")
