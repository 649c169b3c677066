"""The line of each key of a TOML document, which ``tomllib`` does not keep; only for documents it accepts."""

import json
import re
from collections.abc import Iterator

Key = tuple[str | int, ...]

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")'
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|\n"
    r"|[\[\]{}=,.]"
    r"|[^\s\[\]{}=,.\#\"']+",
    re.DOTALL,
)


def lines(text: str) -> dict[Key, int]:
    """Line of each key and list entry, from 1; entries of lists and ``[[tables]]`` are counted from 0."""
    return _Document(text).lines


class _Document:
    def __init__(self, text: str) -> None:
        self.lines: dict[Key, int] = {}
        self._entries: dict[Key, int] = {}
        self._tokens = self._scan(text)
        self._token, self._line = "", 1
        self._next()
        table: Key = ()
        while self._token:
            if self._token == "\n":  # noqa: S105 - a token of TOML, here and below
                self._next()
            elif self._token == "[":  # noqa: S105
                table = self._header()
            else:
                self._pair(table)

    def _scan(self, text: str) -> Iterator[tuple[str, int]]:
        line = 1
        for match in _TOKEN.finditer(text):
            token = match.group()
            if not token.startswith("#"):
                yield token, line
            line += token.count("\n")

    def _next(self) -> None:
        self._token, self._line = next(self._tokens, ("", self._line))

    def _note(self, key: Key, line: int) -> None:
        for length in range(1, len(key) + 1):
            self.lines.setdefault(key[:length], line)

    def _header(self) -> Key:
        line = self._line
        self._next()
        several = self._token == "["  # noqa: S105
        if several:
            self._next()
        key: Key = ()
        for part in self._key():
            key += (part,)
            if key in self._entries and not (several and self._token == "]"):  # noqa: S105
                key += (self._entries[key],)
        if several:
            self._entries[key] = self._entries.get(key, -1) + 1
            key += (self._entries[key],)
            self._next()
        self._next()
        self._note(key, line)
        return key

    def _key(self) -> Iterator[str]:
        """The parts of a dotted key; the token after each is current when it is yielded."""
        while True:
            token = self._token
            self._next()
            quoted = token[0] in "\"'"
            yield (json.loads(token) if token[0] == '"' else token[1:-1]) if quoted else token
            if self._token != ".":  # noqa: S105
                return
            self._next()

    def _pair(self, table: Key) -> None:
        line = self._line
        key = (*table, *self._key())
        self._note(key, line)
        self._next()  # "="
        self._value(key)

    def _value(self, key: Key) -> None:
        if self._token == "[":  # noqa: S105
            self._next()
            number = 0
            while self._token != "]":  # noqa: S105
                if self._token in ("\n", ","):
                    self._next()
                    continue
                self._note((*key, number), self._line)
                self._value((*key, number))
                number += 1
        elif self._token == "{":  # noqa: S105
            self._next()
            while self._token != "}":  # noqa: S105
                if self._token in ("\n", ","):
                    self._next()
                    continue
                self._pair(key)
        else:  # a scalar; a float or a time has a dot in it
            while self._token not in ("", "\n", ",", "]", "}"):
                self._next()
            return
        self._next()
