"""The OCPP schemas, read from the installed package ``ocpp`` and compiled by the core at first use.

Nothing of them lives in this repository (docs/contract.md 5).
"""

from importlib import resources
from typing import Self, cast

from voltgate import _core

# Subprotocol (docs/ocpp.md A1) -> version token of subjects, labels and config, and back.
VERSIONS = {version.subprotocol: version.token for version in _core.versions()}
SUBPROTOCOLS = {version.token: version.subprotocol for version in _core.versions()}


def schema_files(version: str) -> list[tuple[str, bytes]]:
    """``(file name without .json, bytes)`` of every schema of a version token, sorted by name."""
    folder = resources.files("ocpp") / version / "schemas"
    files = (entry for entry in folder.iterdir() if entry.name.endswith(".json"))
    return sorted((entry.name.removesuffix(".json"), entry.read_bytes()) for entry in files)


class Codec(_core.Codec):
    """Decodes, validates and encodes the frames of one OCPP version (docs/contract.md 5).

    ``Codec("ocpp1.6")``, ``"ocpp2.0.1"`` or ``"ocpp2.1"``; ValueError for another subprotocol. The
    tables of a version are compiled once per process, so every instance of a version is the same one.
    """

    def __new__(cls, subprotocol: str) -> Self:
        """See the class."""
        if subprotocol not in VERSIONS:
            raise ValueError(f"unknown subprotocol {subprotocol!r}: one of {', '.join(VERSIONS)}")
        if subprotocol not in _compiled:
            version = VERSIONS[subprotocol]
            _compiled[subprotocol] = super().__new__(cls, version, schema_files(version))
        return cast(Self, _compiled[subprotocol])


_compiled: dict[str, Codec] = {}
