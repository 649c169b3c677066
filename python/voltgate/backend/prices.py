"""Costs by a flat price where no CSMS keeps books: a text file, see docs/csms/backend.md.

``CP001 0.45``: a kWh costs 0.45 in the operator's currency, with tax. ``*`` is any other charger. A charger
without a line gets no cost.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from voltgate.backend.bounded import Bounded
from voltgate.backend.lines import OTHERS, Lines, charger, number
from voltgate.backend.payloads import figure, text

ENERGY = "Energy.Active.Import.Register"


class Prices:
    """The file, and the register at the begin of each transaction. Errors: see Lines."""

    def __init__(self, path: Path) -> None:
        self._lines = Lines(path, prices)
        self._begins: Bounded[tuple[str, str], float] = Bounded()  # Wh

    def saw(self, charger: str, event: dict[str, Any]) -> None:
        """A TransactionEvent; the lowest register of its transaction is that of its begin."""
        about = (charger, text(event, "transactionInfo", "transactionId"))
        registers = list(energies(event))
        if registers:
            self._begins[about] = min(*registers, self._begins.get(about, registers[0]))

    async def cost(self, charger: str, transaction: str, event: dict[str, Any]) -> float | None:
        """The cost so far, or in total. None: not known, because there is no price or no begin."""
        rules = self._lines.rules()
        price, registers = rules.get(charger, rules.get(OTHERS)), list(energies(event))
        begin = self._begins.get((charger, transaction))
        if price is None or not registers or (begin is None and len(registers) < 2):
            return None
        begin = min(registers) if begin is None else min(begin, *registers)
        return round((max(registers) - begin) * price / 1000, 2)


def prices(words: list[str]) -> Iterable[tuple[str, float]]:
    """Of a line: IDENTITY PRICE. Raises ValueError."""
    if len(words) != 2:
        raise ValueError("a line is an identity and the price of a kWh")
    yield charger(words[0]), number(words[1])


def energies(event: dict[str, Any]) -> Iterator[float]:
    """The registers of the whole charger, without phases, that an event has; in Wh."""
    values = event.get("meterValue")
    for value in values if isinstance(values, list) else ():
        samples = value.get("sampledValue") if isinstance(value, dict) else None
        for sample in samples if isinstance(samples, list) else ():
            register = figure(sample, "value")
            if register is None or "phase" in sample or sample.get("measurand", ENERGY) != ENERGY:
                continue
            if sample.get("location", "Outlet") == "Outlet":
                scale = 1000 if text(sample, "unitOfMeasure", "unit") == "kWh" else 1
                power = figure(sample, "unitOfMeasure", "multiplier") or 0
                if -9 <= power <= 9:
                    yield register * scale * 10**power
