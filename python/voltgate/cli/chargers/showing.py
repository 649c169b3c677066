"""A charger's record as commands print it: without its hashes."""

from typing import Any

from voltgate.gateway.registry.record import Record
from voltgate.visible import visible

COLUMNS = ("identity", "state", "profile", "versions", "validation", "quirks", "passwords")


def shown(identity: str, record: Record) -> dict[str, Any]:
    """The columns of a charger, for JSON."""
    return {
        "identity": identity,
        "state": "enabled" if record.enabled else "disabled",
        "profile": record.security_profile,
        "versions": record.versions,
        "validation": record.validation,
        "quirks": sorted(record.quirks),
        "passwords": [
            hash_.split("$")[1] if "$" in hash_ else "unusable" for hash_ in record.password_hashes
        ],
    }


def text(value: Any) -> str:
    """A column for a person."""
    if isinstance(value, list | tuple):
        value = " ".join(value)
    return "-" if value in (None, "") else visible(str(value))
