"""The TransactionEvent keys seen lately in this process, to count those that return with other bytes."""

from voltgate._core import Fact

_REMEMBERED = 25_000  # a generation


class TransactionKeys:
    """The last TransactionEvent keys of this process (docs/contract.md 3.3).

    Two generations: when the younger is full the older is dropped, at no cost for any one message.
    """

    def __init__(self) -> None:
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}

    def conflicts(self, fact: Fact) -> bool:
        """Whether ``fact.key`` was seen with another message; remembers this one."""
        key, message = hash(fact.key), hash(fact.nats_id)
        before = self._young.get(key)
        if before is None:
            before = self._old.get(key, message)
            if len(self._young) >= _REMEMBERED:
                self._old, self._young = self._young, {}
            self._young[key] = before
        return before != message
