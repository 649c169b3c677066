"""Rounding and the text of amounts."""

from decimal import Decimal

import pytest

from voltgate.csms.tariffs import money


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("0.005", "EUR", "0.00"),  # half to even
        ("0.015", "EUR", "0.02"),
        ("0.0150000000000000000000000001", "EUR", "0.02"),
        ("2.675", "EUR", "2.68"),  # whose binary neighbour is below
        ("-0.125", "EUR", "-0.12"),
        ("12", "EUR", "12.00"),
        ("1234.5", "JPY", "1234"),
        ("1235.5", "JPY", "1236"),
        ("0.0125", "KWD", "0.012"),
        ("0.00015", "CLF", "0.0002"),
        ("123456789012345.675", "EUR", "123456789012345.68"),
    ],
)
def test_rounding_is_half_to_even_in_minor_units(amount: str, currency: str, text: str) -> None:
    rounded = money.rounded(Decimal(amount), currency)
    assert rounded % money.PARTS == 0
    assert money.text(rounded, currency) == text
    assert money.decimal(rounded, currency) == Decimal(text)
