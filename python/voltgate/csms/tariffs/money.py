"""Amounts of money: integers in 1/10,000 of the currency's minor unit.

A price may be finer than a coin, a line of a bill is not: :func:`rounded` is the one place where money is
rounded, half to even, to whole minor units.
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal

# Wide enough that the product of a quantity, a price and three taxes is exact.
EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)

PARTS = 10_000  # of a minor unit

# ISO 4217: the currencies whose minor unit is not a hundredth.
_DIGITS = {
    **dict.fromkeys(["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI"], 0),
    **dict.fromkeys(["VND", "VUV", "XAF", "XOF", "XPF"], 0),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}


def digits(currency: str) -> int:
    """Decimals of a currency's minor unit: 2 for EUR, 0 for JPY."""
    return _DIGITS.get(currency, 2)


def rounded(amount: Decimal, currency: str) -> int:
    """An amount of the currency's major unit, rounded to its minor unit, half to even."""
    return int(amount.scaleb(digits(currency), EXACT).to_integral_value(ROUND_HALF_EVEN)) * PARTS


def parsed(amount: str, currency: str) -> int:
    """The inverse of :func:`text`."""
    return int(Decimal(amount).scaleb(digits(currency), EXACT) * PARTS)


def decimal(amount: int, currency: str) -> Decimal:
    """The amount in the major unit."""
    return Decimal(amount).scaleb(-digits(currency), EXACT) / PARTS


def text(amount: int, currency: str) -> str:
    """The amount as the API and bills write it: ``12.30``, in JPY ``1230``."""
    return f"{decimal(amount, currency):.{digits(currency)}f}"
