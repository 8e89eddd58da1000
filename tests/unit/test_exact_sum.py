"""Sums are exact for any numbers, in any order, cut up in any way."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpool.exact_sum import ExactSum

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = st.one_of(st.integers(), FLOATS)


@given(st.lists(NUMBERS))
def test_the_value_is_the_exact_sum_rounded_once(numbers: list[int | float]) -> None:
    total = ExactSum()
    for number in numbers:
        total.add(number)
    exact = sum(map(Fraction, numbers), Fraction())
    if not numbers:
        assert total.value() is None
        return
    if all(isinstance(number, int) for number in numbers):
        assert total.value() == exact
        assert isinstance(total.value(), int)
        return
    try:
        assert total.value() == float(exact)
    except OverflowError:
        assert total.value() == round(exact)


@given(st.lists(NUMBERS), st.lists(NUMBERS))
def test_merging_is_adding_all(left: list[int | float], right: list[int | float]) -> None:
    one, two, whole = ExactSum(), ExactSum(), ExactSum()
    one.add_all(left)
    two.add_all(right)
    whole.add_all(left + right)
    one.merge(two)
    assert one == whole


@given(st.lists(NUMBERS))
def test_the_text_holds_the_whole_sum(numbers: list[int | float]) -> None:
    total = ExactSum()
    total.add_all(numbers)
    again = ExactSum.parse(total.text())
    assert again == total
    assert again.text() == total.text()


def test_text_is_decimal_unless_it_is_very_long() -> None:
    total = ExactSum()
    total.add(-123)
    assert total.text() == "-123"
    total.add(10**5000)
    assert total.text().startswith("0x")
    assert ExactSum.parse(total.text()) == total
    total.add(0.5)
    assert ExactSum.parse(total.text()) == total


def test_add_all_passes_over_what_does_not_count() -> None:
    total = ExactSum()
    total.add_all([True, None, "1", float("nan"), float("inf"), [], 2, 0.5])
    assert total.value() == 2.5


def test_a_sum_of_no_numbers_is_empty_and_not_zero() -> None:
    total, zero = ExactSum(), ExactSum()
    total.add_all([None, "1", True, float("nan")])
    zero.add(0)
    assert (total.value(), total.text(), zero.value(), zero.text()) == (None, "", 0, "0")
    assert ExactSum.parse("") == total != zero
    total.merge(zero)
    assert total == zero


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        ExactSum().add(number)


@pytest.mark.parametrize("text", ["x", "1/0", "1/3", "1/-2", "1.5", "1/2/2"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        ExactSum.parse(text)
