"""A table that forgets what was written first: no charger can make the memory of a backend grow."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

MOST = 50_000  # entries

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Bounded(OrderedDict[Key, Value], Generic[Key, Value]):
    """The last ``most`` entries that were written."""

    def __init__(self, most: int = MOST) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: Key, value: Value) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)
