"""A tariff as one sentence for drivers: "0.39 €/kWh; 0.10 €/min without charging after the first 15 min".

The order and the numbers are the same in every language; a language is one :class:`Words`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from voltgate.csms.tariffs import money
from voltgate.csms.tariffs.conditions import ALWAYS, Calendar, Measure, Range
from voltgate.csms.tariffs.tariff import Bound, Component, Kind, Price, Tariff

_SYMBOLS = {"EUR": "€", "GBP": "£"}  # signs that one currency alone has
_ORDER = (Kind.ENERGY, Kind.START, Kind.CHARGING, Kind.IDLE)
# What is shown as one of each measure, and its unit.
_SHOWN = {
    Measure.ENERGY: (1_000_000, "kWh"),
    Measure.POWER: (1_000_000, "kW"),
    Measure.CURRENT: (1_000, "A"),
    Measure.TIME: (60_000_000, "min"),
    Measure.CHARGING: (60_000_000, "min"),
    Measure.IDLE: (60_000_000, "min"),
}


@dataclass(frozen=True)
class Words:
    """The phrases of one language; numbers are filled in for ``{}``."""

    free: str
    prices: dict[Kind, str]
    """Of a price with its currency."""
    days: tuple[str, ...]
    first_day: str
    last_day: str
    ranges: dict[Measure, tuple[str, str, str]]
    """For at least this, less than this, both."""
    otherwise: str
    idle_cap: str
    minimum: str
    maximum: str
    tax_included: str
    without_tax: str


ENGLISH = Words(
    free="free of charge",
    prices={
        Kind.START: "{} per session",
        Kind.ENERGY: "{}/kWh",
        Kind.CHARGING: "{}/min of charging",
        Kind.IDLE: "{}/min without charging",
    },
    days=("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    first_day="from {}",
    last_day="until {}",
    ranges={
        Measure.ENERGY: ("after the first {}", "for the first {}", "between {} and {}"),
        Measure.POWER: ("at {} or more", "below {}", "at {} to {}"),
        Measure.CURRENT: ("at {} or more", "below {}", "at {} to {}"),
        Measure.TIME: ("after {} of the session", "in the first {}", "between {} and {} of the session"),
        Measure.CHARGING: ("after the first {}", "for the first {}", "between {} and {} of charging"),
        Measure.IDLE: ("after the first {}", "for the first {}", "between {} and {}"),
    },
    otherwise="otherwise {}",
    idle_cap="at most {} for time without charging",
    minimum="at least {} per session",
    maximum="at most {} per session",
    tax_included="prices include {} % tax",
    without_tax="{} without tax",
)


def sentence(tariff: Tariff, words: Words = ENGLISH) -> str:
    """What a session costs, prices with tax, without the full stop."""
    components = sorted(tariff.components, key=lambda one: _ORDER.index(one.kind))
    parts = [phrase(one, tariff, words) for one in components if any(price.price for price in one.prices)]
    parts += idle_cap(tariff, words)
    for bound, text in ((tariff.minimum, words.minimum), (tariff.maximum, words.maximum)):
        if bound is not None:
            parts.append(text.format(_bound(bound, tariff, words)))
    taxes = {one.tax for one in components} - {Decimal(1)}
    if parts and len(taxes) == 1:
        parts.append(words.tax_included.format(_plain((taxes.pop() - 1) * 100)))
    return "; ".join(parts) or words.free


def idle_cap(tariff: Tariff, words: Words = ENGLISH) -> list[str]:
    """The phrase for the most that idle time costs, where there is one."""
    cap = tariff.idle_cap
    return [] if cap is None else [words.idle_cap.format(_money(cap, tariff))]


def phrase(component: Component, tariff: Tariff, words: Words = ENGLISH) -> str:
    """The prices of one component."""
    phrases: list[str] = []
    for price in component.prices:
        amount = words.prices[component.kind].format(_money(price.price, tariff))
        conditions = " ".join(_conditions(price, words))
        if conditions:
            phrases.append(f"{amount} {conditions}")
        else:
            phrases.append(words.otherwise.format(amount) if phrases else amount)
            break  # nobody reaches the prices behind it
    return ", ".join(phrases)


def _conditions(price: Price, words: Words) -> Iterator[str]:
    for one in price.conditions.ranges:
        yield _range(one, words)
    if price.conditions.calendar != ALWAYS:
        yield from _calendar(price.conditions.calendar, words)


def _range(one: Range, words: Words) -> str:
    least, below, both = words.ranges[one.measure]
    if one.least is None or one.below is None:
        text = below if one.least is None else least
        return text.format(
            *(_shown(bound, one.measure) for bound in (one.least, one.below) if bound is not None)
        )
    return both.format(_shown(one.least, one.measure), _shown(one.below, one.measure))


def _shown(bound: int, measure: Measure) -> str:
    size, unit = _SHOWN[measure]
    return f"{_plain((Decimal(bound) / size).quantize(Decimal('0.001')))} {unit}"


def _calendar(calendar: Calendar, words: Words) -> Iterator[str]:
    if (calendar.start, calendar.end) != (ALWAYS.start, ALWAYS.end):
        yield f"{calendar.start:%H:%M}-{calendar.end:%H:%M}"
    if calendar.weekdays != ALWAYS.weekdays:
        yield ", ".join(_days(calendar.weekdays, words.days))
    if calendar.first != date.min:
        yield words.first_day.format(calendar.first)
    if calendar.before != date.max:
        yield words.last_day.format(calendar.before - timedelta(days=1))


def _days(weekdays: tuple[int, ...], names: tuple[str, ...]) -> Iterator[str]:
    """Runs of three days and more have a dash."""
    runs: list[list[int]] = []
    for day in weekdays:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    for run in runs:
        if len(run) > 2:
            yield f"{names[run[0]]}-{names[run[-1]]}"
        else:
            yield from (names[day] for day in run)


def _bound(bound: Bound, tariff: Tariff, words: Words) -> str:
    if bound.gross is not None:
        return _money(bound.gross, tariff)
    assert bound.net is not None
    return words.without_tax.format(_money(bound.net, tariff))


def _money(amount: Decimal, tariff: Tariff) -> str:
    """With as many decimals as the currency has, or more if the price has more."""
    least = money.digits(tariff.currency)
    exponent = amount.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return f"{amount:.{max(least, -exponent)}f} {_SYMBOLS.get(tariff.currency, tariff.currency)}"


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"
