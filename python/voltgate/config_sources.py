"""Reads the configuration file and the environment; knows the source of each value (docs/contract.md 4.2).

Not here: which keys there are (config), and what is wrong with a value (config_faults).
"""

import json
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voltgate.config_lines import Key, lines

ENV_PREFIX = "VOLTGATE_"
_LARGEST = 1 << 20  # bytes of a file
_pipes: dict[int, bytes] = {}  # by inode


class ConfigError(Exception):
    """The configuration is invalid. The text has one line per fault, each with the key to change."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the values of one configuration come from: flags beat variables, variables beat the file."""

    file: str = ""
    """The file as the user named it; "" without one."""
    lines: Mapping[Key, int] = field(default_factory=dict)
    variables: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    """Names of environment variables by lower-case key."""
    texts: frozenset[str] = frozenset()
    """Names of variables whose value is not JSON."""
    flags: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def of(self, key: Key) -> str:
        """``voltgate.toml:12``, the name of a variable, ``command line``, or "" for a default."""
        inner: Any = self.flags
        for part in key:
            entries = dict(enumerate(inner)) if isinstance(inner, list) else inner
            inner = entries.get(part) if isinstance(entries, Mapping) else None
        if inner is not None:
            return "command line"
        names = tuple(str(part).lower() for part in key)
        for length in range(len(names), 0, -1):
            if (name := self.variables.get(names[:length])) is not None:
                return name
        while key not in self.lines and key and isinstance(key[-1], int):
            key = key[:-1]  # an entry that a list lacks
        return f"{self.file}:{self.lines[key]}" if key in self.lines else ""


def read(file: Path | None, flags: Mapping[str, Any]) -> tuple[dict[str, Any], Sources]:
    """The values of ``file``, and the sources of all values. Raises ConfigError."""
    variables = {
        tuple(name[len(ENV_PREFIX) :].lower().split("__")): name
        for name in os.environ
        if name.upper().startswith(ENV_PREFIX)
    }
    texts = frozenset(name for name in variables.values() if not _is_json(os.environ[name]))
    if file is None:
        return {}, Sources(variables=variables, texts=texts, flags=flags)
    name = shown(file)
    data = content(file)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        number = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"{name}:{number}: is not UTF-8: save the file as UTF-8") from None
    try:
        values = tomllib.loads(text)
        return values, Sources(name, lines(text), variables, texts, flags)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_not_toml(name, text, error)) from None
    except RecursionError:
        raise ConfigError(
            f"{name}: values are nested too deeply: at most lists of lists are needed"
        ) from None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def content(file: Path) -> bytes:
    """The bytes of a file or pipe. A pipe can be read once: its content is remembered. Raises ConfigError."""
    try:
        found = file.stat()
        if stat.S_ISFIFO(found.st_mode) and found.st_ino in _pipes:
            return _pipes[found.st_ino]
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISFIFO(found.st_mode)):
            raise ConfigError(f"{shown(file)}: is not a file: name a TOML file")
        with file.open("rb") as opened:
            data = opened.read(_LARGEST + 1)
    except FileNotFoundError:
        remedy = "`voltgate config example` prints one with every key"
        raise ConfigError(f"{shown(file)}: does not exist: {remedy}") from None
    except OSError as error:
        raise ConfigError(f"{shown(file)}: cannot be read: {error.strerror}") from None
    if len(data) > _LARGEST:
        raise ConfigError(f"{shown(file)}: is larger than 1 MiB: name a TOML file")
    if stat.S_ISFIFO(found.st_mode):
        _pipes[found.st_ino] = data
    return data


def shown(file: Path) -> str:
    """The file as the user named it, also in a worker, which gets a copy of it from its supervisor."""
    if file.parent != Path("/proc/self/fd"):
        return str(file)
    try:
        copied = re.fullmatch(r"/memfd:(.*) \(deleted\)", str(file.readlink()))
    except OSError:
        return str(file)
    return copied[1] if copied else str(file)


_TOML = {
    "Cannot overwrite": "this key appears twice: remove one",
    "Cannot declare": "this table appears twice: join the two",
    "Invalid value": "the value is not TOML: put text in quotes",
    "Invalid statement": "neither `key = value` nor `[table]`",
    "Expected '='": "a key needs a value: `key = value`",
    "Expected ']'": "the bracket of a table is not closed: `[table]`",
    "Expected newline": "one `key = value` per line",
    "Expected": "the quotes are not closed",
    "Unterminated": "the quotes are not closed",
    "Unclosed": "the list or table is not closed",
    "Illegal character": "the quotes are not closed, or the text holds a control character",
    "Unescaped": "write \\\\ for a backslash, or put the text in single quotes",
}


def _not_toml(file: str, text: str, error: ValueError) -> str:
    """A line for a file that ``tomllib`` does not read."""
    found = re.search(r"\(at line (\d+), column \d+\)", str(error))
    line = int(found[1]) if found else len(text.splitlines())
    if text.startswith("\ufeff"):
        why = "it begins with a byte order mark: save it as UTF-8 without one"
    else:
        said = str(error).partition(" (at ")[0]
        why = next((why for begins, why in _TOML.items() if said.startswith(begins)), said)
    return f"{file}:{line}: is not valid TOML: {why}"
