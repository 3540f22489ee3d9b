"""Numbers and units against values that can be checked by hand."""

from decimal import Decimal

import pytest

from lmresp.ingest import units


@pytest.mark.parametrize(
    ("quantity", "value", "unit", "expected"),
    [
        ("protein", "45", "mg/dL", "0.45"),
        ("protein", "450", "mg/L", "0.45"),
        ("protein", "0.045", "g/dL", "0.45"),
        ("glucose", "60", "mg/dL", "3.33044"),  # 60 mg/dL = 600 mg/L / 180.156 g/mol
        ("glucose", "3.3", "mmol/l", "3.3"),
        ("cell_count", "0.005", "10^9/L", "5"),
        ("cell_count", "5", "cells / µL", "5"),
        ("cell_count", "5", "/mm3", "5"),
        ("pressure", "250", "mmH2O", "25"),
        ("pressure", "20", "mmHg", "27.1902"),  # 20 x 133.322 / 98.0665
    ],
)
def test_conversion(quantity, value, unit, expected):
    converted = units.convert(quantity, Decimal(value), unit)
    assert converted is not None
    assert float(converted) == pytest.approx(float(expected), rel=2e-6)


def test_an_unknown_unit_is_not_guessed():
    assert units.convert("protein", Decimal(1), "mg%") is None
    assert units.convert("protein", Decimal(1), "") is None
    assert units.convert("protein", Decimal(1), "mmol/L") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1.50", "1.5"), ("2.0", "2"), ("1e3", "1000"), ("1,5", "1.5"), ("0,125", "0.125"), ("-0.0", "0"), ("+7", "7")],
)
def test_one_spelling_of_a_number(text, expected):
    number = units.number(text)
    assert number is not None
    assert units.number_text(number) == expected


@pytest.mark.parametrize(
    "text", ["1,234", "1.234,5", "1,234.5", "NaN", "inf", "1e999", "", "NA", "<5", "1 000", "١٢", "0x10", "1_000"]
)
def test_not_plainly_a_number(text):
    assert units.number(text) is None
