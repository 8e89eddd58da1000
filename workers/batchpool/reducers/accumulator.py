"""The promise of every op: what it keeps of the values that it has taken."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

from batchpool.reducers.reducer import Reducer

NUMBERS: frozenset[type] = frozenset({int, float})
SCALARS: frozenset[type] = NUMBERS | {str, bool, type(None)}

LONGEST_DIGITS = 2_000
"""Longer integers are skipped, so that a variance, of twice as many digits, can be written."""


class Accumulator(ABC):
    """What one op keeps of one batch.

    Attributes:
        kinds: the types that it takes; bool is none of the numbers.
        most: an integer must be less than this, and greater than its negative; None: any. With a
            bound, only numbers are taken.
        overflow: values that were taken and for which it had no room.
    """

    kinds: ClassVar[frozenset[type]] = NUMBERS
    most: ClassVar[int | None] = 10**LONGEST_DIGITS

    def __init__(self, reducer: Reducer) -> None:
        self.overflow = 0

    @classmethod
    def takes_all(cls, values: Sequence[Any]) -> bool:
        """Whether it takes each of the values, at least one."""
        kinds = set(map(type, values))
        if not kinds <= cls.kinds:
            return False
        # Compared as they are: Python compares ints and floats exactly.
        most = cls.most
        return most is None or int not in kinds or -most < min(values) <= max(values) < most

    @classmethod
    def takes(cls, value: Any) -> bool:
        """Whether it takes a value."""
        kind = type(value)
        if cls.most is None or kind is not int:
            return kind in cls.kinds
        return bool(-cls.most < value < cls.most)

    @abstractmethod
    def add(self, indices: Sequence[int], values: Sequence[Any]) -> None:
        """Add values that it takes, at least one; indices ascend."""

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Add what another one has of other items."""

    @abstractmethod
    def dump(self) -> Any:
        """All that it keeps, for msgpack."""

    @abstractmethod
    def load(self, raw: Any) -> None:
        """Take over what `dump` gave.

        Raises:
            one of `UNPARSABLE`: it did not.
        """

    @abstractmethod
    def value(self) -> Any:
        """What it comes to, as JSON data."""
