"""Exact sums of integers of any size and of floats, taken as binary fractions."""

from collections.abc import Sequence
from fractions import Fraction
from math import isfinite
from operator import mul
from typing import Any

# Python refuses decimal texts of ints beyond 4300 digits; hex is never refused, and linear.
_LONGEST_DECIMAL_BITS = 14_000
_ONLY_INTS = frozenset({int})


class ExactSum:
    """A sum in which every addition is exact; only `value()` rounds, once.

    A sum of no numbers is empty: its value is None, not 0.

    The sum is `numerator / 2**shift`: every finite float is such a fraction, so
    no gcd is ever needed.
    """

    __slots__ = ("_numerator", "_shift", "has_floats", "is_empty")

    def __init__(self) -> None:
        self._numerator = 0
        self._shift = 0
        self.has_floats = False
        self.is_empty = True

    def add(self, value: int | float) -> None:
        """Add one number.

        Raises:
            ValueError: it is NaN or infinite.
        """
        if isinstance(value, int):
            self.is_empty = False
            self._numerator += value << self._shift
            return
        if not isfinite(value):
            raise ValueError(f"{value!r} cannot be added to an exact sum; must be a finite number")
        numerator, denominator = value.as_integer_ratio()
        self.has_floats = True
        self.is_empty = False
        self._add_fraction(numerator, denominator.bit_length() - 1)

    def add_all(self, values: Sequence[Any]) -> None:
        """Add the ints and finite floats among `values`; ignore everything else, bools too."""
        if not values:
            return
        if _ONLY_INTS.issuperset(map(type, values)):
            self.add(sum(values))
            return
        ints: list[int] = []
        for value in values:
            kind = type(value)
            if kind is int:
                ints.append(value)
            elif kind is float and isfinite(value):
                self.add(value)
        if ints:
            self.add(sum(ints))

    def add_squares(self, values: Sequence[int | float]) -> None:
        """Add the square of each number; floats must be finite."""
        ints = [value for value in values if isinstance(value, int)]
        if ints:
            self.add(sum(map(mul, ints, ints)))
        for value in values:
            if isinstance(value, float):
                numerator, denominator = value.as_integer_ratio()
                self.has_floats = True
                self.is_empty = False
                self._add_fraction(numerator * numerator, 2 * (denominator.bit_length() - 1))

    def merge(self, other: "ExactSum") -> None:
        """Add another sum to this one."""
        self.has_floats = self.has_floats or other.has_floats
        self.is_empty = self.is_empty and other.is_empty
        self._add_fraction(other._numerator, other._shift)

    def text(self) -> str:
        """The sum as `"123"`, or `"num/den"` once a float took part; very long numbers are hex.

        An empty sum is `""`.
        """
        if self.is_empty:
            return ""
        if not self.has_floats:
            return _write(self._numerator)
        return f"{_write(self._numerator)}/{_write(1 << self._shift)}"

    @classmethod
    def parse(cls, text: str) -> "ExactSum":
        """Read a text written by `text()`.

        Raises:
            ValueError: it is not such a text.
        """
        total = cls()
        if not text:
            return total
        numerator, slash, denominator = text.partition("/")
        total.is_empty = False
        total._numerator = int(numerator, 0)
        if slash:
            power = int(denominator, 0)
            if power < 1 or power & (power - 1):
                raise ValueError(f"{denominator!r}: the denominator must be a power of two")
            total._shift = power.bit_length() - 1
            total.has_floats = True
        return total

    def value(self) -> int | float | None:
        """The sum as a number: an int, or the float nearest to it if a float took part.

        A sum beyond the range of floats stays an int, rounded to the nearest one. None if empty.
        """
        if self.is_empty:
            return None
        if not self.has_floats:
            return self._numerator
        try:
            return self._numerator / (1 << self._shift)
        except OverflowError:
            return round(Fraction(self._numerator, 1 << self._shift))

    def fraction(self) -> Fraction:
        """The sum, not rounded; 0 if it is empty."""
        return Fraction(self._numerator, 1 << self._shift)

    def _add_fraction(self, numerator: int, shift: int) -> None:
        if shift > self._shift:
            self._numerator <<= shift - self._shift
            self._shift = shift
        self._numerator += numerator << (self._shift - shift)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExactSum):
            return NotImplemented
        mine, theirs = self._numerator << other._shift, other._numerator << self._shift
        kind = (self.has_floats, self.is_empty)
        return mine == theirs and kind == (other.has_floats, other.is_empty)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ExactSum({self.text()})"


def _write(number: int) -> str:
    return str(number) if number.bit_length() <= _LONGEST_DECIMAL_BITS else hex(number)
