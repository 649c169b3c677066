"""The OCPP schemas, read from the installed package ``ocpp`` and compiled by the core at first use.

The repository has no copy of them (docs/contract.md 5).
"""

from importlib import resources
from threading import Lock
from typing import final

from voltgate import _core

# Subprotocol (docs/ocpp.md A1) -> version token of subjects, labels and config, and back.
VERSIONS = {version.subprotocol: version.token for version in _core.versions()}
SUBPROTOCOLS = {version.token: version.subprotocol for version in _core.versions()}


def schema_files(version: str) -> list[tuple[str, bytes]]:
    """``(file name without .json, bytes)`` of every schema of a version token, sorted by name."""
    folder = resources.files("ocpp") / version / "schemas"
    files = (entry for entry in folder.iterdir() if entry.name.endswith(".json"))
    return sorted((entry.name.removesuffix(".json"), entry.read_bytes()) for entry in files)


@final
class Codec(_core.Codec):
    """Decodes, validates and encodes the frames of one OCPP version (docs/codec.md).

    ``Codec("ocpp1.6")``, ``"ocpp2.0.1"`` or ``"ocpp2.1"``; ValueError for another subprotocol. The tables of
    a version are compiled once per process, whatever thread asks first: all calls for one version return
    the same instance, and so does unpickling or copying it.
    """

    __slots__ = ()

    def __new__(cls, subprotocol: str) -> "Codec":
        """See the class."""
        if subprotocol not in VERSIONS:
            error = ValueError if isinstance(subprotocol, str) else TypeError
            raise error(f"unknown subprotocol {subprotocol!r}: one of {', '.join(VERSIONS)}")
        with _compiling:
            codec = _compiled.get(subprotocol)
            if codec is None:
                version = VERSIONS[subprotocol]
                codec = _compiled[subprotocol] = super().__new__(cls, version, schema_files(version))
        return codec

    def __reduce__(self) -> tuple[type["Codec"], tuple[str]]:
        """Pickled as the name of its version: the tables are those of the process that reads it."""
        return Codec, (self.subprotocol,)


_compiled: dict[str, Codec] = {}
_compiling = Lock()
