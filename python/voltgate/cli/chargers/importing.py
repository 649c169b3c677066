"""Reads the CSV of ``voltgate chargers import``; all of it is checked before anything is written.

``steve`` reads the files of another system.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from voltgate.cli.chargers.records import legal, record_of
from voltgate.cli.faults import USAGE, Failure
from voltgate.cli.versions import version_token
from voltgate.gateway.registry.record import Record

COLUMNS = (
    "identity",
    "password",
    "security_profile",
    "versions",
    "validation",
    "quirks",
    "certificate_cn",
    "enabled",
)
_TRUE = {"": True, "true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True, slots=True)
class Row:
    """One charger; ``password`` None: generate a key, unless ``complete`` says that the record needs none."""

    identity: str
    password: str | None
    record: Record
    complete: bool = False


def content(file: Path) -> str:
    """The text of a file. Raises Failure (usage)."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{file}: {getattr(error, 'strerror', None) or 'not UTF-8'}", USAGE) from None


def rows(file: Path) -> list[Row]:
    """Every charger of the file. Raises Failure (usage) with the line of the first fault."""
    reader = csv.DictReader(io.StringIO(content(file)), restkey="")
    try:
        return _rows(reader, file)
    except csv.Error as error:  # a NUL, a field over 128 KiB
        raise Failure(f"{file}:{reader.line_num + 1}: {error}", USAGE) from None


def _rows(reader: "csv.DictReader[str]", file: Path) -> list[Row]:
    strange = set(reader.fieldnames or ()) - set(COLUMNS)
    if "identity" not in (reader.fieldnames or ()) or strange:
        raise Failure(f"{file}:1: the first line must name the columns, of {', '.join(COLUMNS)}", USAGE)
    found: dict[str, Row] = {}
    for cells in reader:
        where = f"{file}:{reader.line_num}: "
        if "" in cells:
            raise Failure(f"{where}more cells than columns", USAGE)
        row = _row({name: (value or "").strip() for name, value in cells.items()}, where)
        if row.identity in found:
            raise Failure(f"{where}{row.identity} appears twice", USAGE)
        found[row.identity] = row
    return list(found.values())


def _row(cells: dict[str, str], where: str) -> Row:
    enabled, profile = cells.get("enabled", "").lower(), cells.get("security_profile", "")
    try:
        if enabled not in _TRUE:
            raise Failure("enabled: must be true or false")
        if profile not in ("", "1", "2", "3"):
            raise Failure("security_profile: must be 1, 2 or 3")
        record = record_of(
            {
                "enabled": _TRUE[enabled],
                "security_profile": int(profile) if profile else None,
                "versions": [version_token(one) for one in cells.get("versions", "").split()] or None,
                "validation": cells.get("validation") or None,
                "quirks": cells.get("quirks", "").split(),
                "certificate_cn": cells.get("certificate_cn") or None,
            }
        )
        return Row(legal(cells["identity"]), cells.get("password") or None, record)
    except Failure as fault:
        raise Failure(f"{where}{fault}", USAGE) from None


def line(identity: str, password: str) -> str:
    """A login as ``voltgate swarm --password-file`` reads it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow((identity, password))
    return text.getvalue()
