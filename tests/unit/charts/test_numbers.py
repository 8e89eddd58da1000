"""Figures as text: three digits, the unit that suits, nothing that a line end could part."""

import pytest

from batchpool.charts import numbers


def plain(text: str) -> str:
    """`text` with ordinary spaces."""
    return text.replace(numbers.NO_BREAK, " ").replace(numbers.THIN, " ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (0.00000084, "0.840 µs"),
        (0.00084, "840 µs"),
        (0.0009997, "1.00 ms"),
        (0.0124, "12.4 ms"),
        (0.318, "318 ms"),
        (0.9996, "1.00 s"),
        (2.054, "2.05 s"),
        (9.999, "10.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min"),
        (72, "1 min 12 s"),
        (119.7, "2 min"),
        (3599.6, "1 h"),
        (12_000, "3 h 20 min"),
        (86_399, "1 d"),
        (187_200, "2 d 4 h"),
        (-2.054, "−2.05 s"),
    ],
)
def test_a_duration_has_three_digits_and_the_unit_that_suits(
    seconds: float | None, text: str
) -> None:
    assert plain(numbers.duration(seconds)) == text


def test_no_figure_is_parted_from_its_unit() -> None:
    texts = [
        numbers.duration(72),
        numbers.ratio(1.89),
        numbers.interval(1.31, 2.24),
        numbers.percent(0.18),
        numbers.size(41 << 20),
        numbers.rate(12_345),
        numbers.plural(12_345, "item"),
        numbers.exact("-1234567.5"),
    ]
    assert not [text for text in texts if " " in text]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0461, "0.046 ×"), (0.92, "0.92 ×"), (1, "1.00 ×"), (9.996, "10.0 ×"), (125.4, "125 ×")],
)
def test_a_ratio_below_ten_has_two_decimals(value: float, text: str) -> None:
    assert plain(numbers.ratio(value)) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (0.0004, "0.04 %"),
        (0.006, "0.6 %"),
        (0.184, "18 %"),
        (0.996, "99.6 %"),
        (0.99999, "99.9 %"),
        (1, "100 %"),
        (1.204, "120 %"),
    ],
)
def test_only_what_is_all_is_a_hundred_percent(share: float, text: str) -> None:
    assert plain(numbers.percent(share)) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.977 KiB"),
        (41.3 * 2**20, "41.3 MiB"),
        (2**50, "1.00 PiB"),
    ],
)
def test_a_size_has_a_binary_unit(n_bytes: float, text: str) -> None:
    assert plain(numbers.size(n_bytes)) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1529", "1 529"),
        ("-12345678901234567890.125", "−12 345 678 901 234 567 890.125"),
        ("999", "999"),
        ("1e400", "1e400"),
        ("NaN", "NaN"),
    ],
)
def test_an_exact_sum_is_shown_in_full(text: str, shown: str) -> None:
    assert plain(numbers.exact(text)) == shown


def test_a_column_has_one_unit_unless_its_values_differ_a_thousandfold() -> None:
    assert numbers.duration_column([0.108, 0.4, None]) == ("ms", ["108", "400", "–"])
    assert numbers.duration_column([2.5, 0.031]) == ("s", ["2.50", "0.03"])
    unit, cells = numbers.duration_column([0.0005, 2.5])
    assert (unit, [plain(cell) for cell in cells]) == ("", ["500 µs", "2.50 s"])
    assert numbers.duration_column([]) == ("", [])
