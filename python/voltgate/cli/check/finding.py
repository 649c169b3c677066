"""A line of ``voltgate check``."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Check:
    """One line. ``hint``: works, and could be better."""

    name: str
    verdict: Literal["ok", "hint", "fail"]
    text: str
