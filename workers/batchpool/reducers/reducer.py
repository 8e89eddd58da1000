"""A reducer as a job orders it."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from batchpool.json_value import JsonObject, JsonValue

Op = Literal["count", "sum", "min", "max", "mean", "variance", "histogram", "top", "count_values"]
OPS: tuple[Op, ...] = get_args(Op)

MOST_REDUCERS = 10
MOST_K = 1000
MOST_BINS = 1000
STATE_BYTES = 64 * 1024
"""What the state of one reducer in one batch may have."""

_ENTRY_BYTES = 64
_FEW_BYTES = 1024


@dataclass(frozen=True)
class Reducer(JsonValue):
    """What to reduce, and how.

    Args:
        of: a JSON pointer to the part of each value that is taken; '' is the whole value.
        k: of `top`: how many.
        bounds: of `histogram`: ascending; or `low`, `high` and the number of `bins`.
    """

    op: Op
    of: str = ""
    k: int | None = None
    bounds: list[int | float] | None = None
    low: int | float | None = None
    high: int | float | None = None
    bins: int | None = None

    def to_json(self) -> JsonObject:
        return {name: value for name, value in super().to_json().items() if value is not None}

    def edges(self) -> list[int | float]:
        """The bounds of the bins of a histogram, each rounded once."""
        if self.bounds is not None:
            return self.bounds
        assert self.low is not None and self.high is not None and self.bins is not None
        low, high = Fraction(self.low), Fraction(self.high)
        inner = [low + (high - low) * at / self.bins for at in range(1, self.bins)]
        whole = [int(edge) if edge.denominator == 1 else float(edge) for edge in inner]
        return [self.low, *whole, self.high]

    @property
    def room_bytes(self) -> int:
        """About as much as its state may take in each batch, unless its numbers are very long."""
        if self.op == "count_values":
            return STATE_BYTES
        return _FEW_BYTES if self.k is None else self.k * _ENTRY_BYTES
