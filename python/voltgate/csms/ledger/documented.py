"""Which facts a document has already, as after an import of documents: they are not folded again."""

from voltgate.csms.ledger.facts import Fact
from voltgate.csms.ledger.store import Tx

_AT_ONCE = 2000  # sequences that are looked up together; a query for each fact was a fifth of a rebuild


class Documented:
    """Of the stream that is folded; what a document has was folded before, so its rows do not change."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._stream, self._span = "", range(0)
        self._ids: frozenset[str] = frozenset()

    def has(self, tx: Tx, fact: Fact) -> bool:
        """Whether a document has it, under whatever sequence: a stream may have been restored."""
        if fact.seq > self._last_of(tx, fact.stream):
            return False
        if fact.stream != self._stream or fact.seq not in self._span:
            self._read(tx, fact)
        if fact.id in self._ids:
            return True
        return tx.one("SELECT 1 FROM said WHERE id = ? AND body IS NULL", fact.id) is not None

    def _last_of(self, tx: Tx, stream: str) -> int:
        if stream not in self._last:
            row = tx.one("SELECT MAX(seq) FROM said WHERE stream = ? AND body IS NULL", stream)
            self._last[stream] = (row and row[0]) or 0
        return self._last[stream]

    def _read(self, tx: Tx, fact: Fact) -> None:
        self._stream, self._span = fact.stream, range(fact.seq, fact.seq + _AT_ONCE)
        rows = tx.all(
            "SELECT id FROM said WHERE stream = ? AND seq >= ? AND seq < ? AND body IS NULL",
            fact.stream, self._span.start, self._span.stop,
        )  # fmt: skip
        self._ids = frozenset(id_ for (id_,) in rows)
