"""`count`, `sum`, `mean` and `variance`: exact integers and fractions, rounded once at the end."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Self

from batchpool.exact_sum import ExactSum
from batchpool.reducers.accumulator import SCALARS, Accumulator
from batchpool.reducers.reducer import Reducer


class Count(Accumulator):
    """How many values there are, whatever they are."""

    kinds = SCALARS.union((list, dict))
    most = None

    def __init__(self, reducer: Reducer) -> None:
        super().__init__(reducer)
        self._count = 0

    def add(self, indices: Sequence[int], values: Sequence[Any]) -> None:
        self._count += len(values)

    def merge(self, other: Self) -> None:
        self._count += other._count

    def dump(self) -> Any:
        return self._count

    def load(self, raw: Any) -> None:
        self._count = int(raw)

    def value(self) -> Any:
        return self._count


class Moments(Accumulator):
    """Number, sum and, where it is asked for, sum of squares of the values."""

    has_squares = False

    def __init__(self, reducer: Reducer) -> None:
        super().__init__(reducer)
        self._count = 0
        self._sum = ExactSum()
        self._squares = ExactSum()

    def add(self, indices: Sequence[int], values: Sequence[Any]) -> None:
        self._count += len(values)
        self._sum.add_all(values)
        if self.has_squares:
            self._squares.add_squares(values)

    def merge(self, other: Self) -> None:
        self._count += other._count
        self._sum.merge(other._sum)
        self._squares.merge(other._squares)

    def dump(self) -> Any:
        return [self._count, self._sum.text(), self._squares.text()]

    def load(self, raw: Any) -> None:
        count, total, squares = raw
        self._count = int(count)
        self._sum, self._squares = ExactSum.parse(total), ExactSum.parse(squares)


class Sum(Moments):
    """The sum, as that of the job."""

    def value(self) -> Any:
        return self._sum.value()


class Mean(Moments):
    """The float nearest to the mean; None without a value."""

    def value(self) -> Any:
        return _rounded(self._sum.fraction() / self._count) if self._count else None


class Variance(Moments):
    """The float nearest to the variance of a sample, n - 1 below; None with fewer than two."""

    has_squares = True

    def value(self) -> Any:
        if self._count < 2:
            return None
        total = self._sum.fraction()
        around_mean = self._squares.fraction() - total * total / self._count
        return _rounded(around_mean / (self._count - 1))


def _rounded(number: Fraction) -> int | float:
    try:
        return float(number)
    except OverflowError:
        return round(number)
