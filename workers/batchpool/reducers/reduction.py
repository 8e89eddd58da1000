"""What a reducer has come to: of one batch, or merged over batches."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgpack

from batchpool.json_value import JsonObject
from batchpool.reducers.accumulator import Accumulator
from batchpool.reducers.count_values import CountValues
from batchpool.reducers.extremes import Max, Min, Top
from batchpool.reducers.histogram import Histogram
from batchpool.reducers.pointer import parse_pointer, resolve_all
from batchpool.reducers.reducer import Op, Reducer
from batchpool.reducers.sums import Count, Mean, Sum, Variance

ACCUMULATORS: Mapping[Op, type[Accumulator]] = {
    "count": Count,
    "sum": Sum,
    "min": Min,
    "max": Max,
    "mean": Mean,
    "variance": Variance,
    "histogram": Histogram,
    "top": Top,
    "count_values": CountValues,
}


class Reduction:
    """The values that one reducer has taken, and how many it could not take."""

    def __init__(self, reducer: Reducer) -> None:
        self._path = parse_pointer(reducer.of)
        self._accumulator = ACCUMULATORS[reducer.op](reducer)
        self._skipped = 0
        self._first_skipped: int | None = None

    def add(self, indices: Sequence[int], values: Sequence[Any]) -> None:
        """Take the values of items that succeeded; indices ascend."""
        values = resolve_all(values, self._path)
        if not values:
            return
        takes = self._accumulator.takes
        if not self._accumulator.takes_all(values):
            at_all = range(len(values))
            taken = [at for at in at_all if takes(values[at])]
            skipped = [indices[at] for at in at_all if not takes(values[at])]
            self._skip(len(skipped), min(skipped, default=None))
            indices, values = [indices[at] for at in taken], [values[at] for at in taken]
        if values:
            self._accumulator.add(indices, values)

    def merge(self, other: "Reduction") -> None:
        """Add what the same reducer has come to on other items."""
        self._skip(other._skipped, other._first_skipped)
        self._accumulator.merge(other._accumulator)

    def _skip(self, count: int, first: int | None) -> None:
        self._skipped += count
        if first is not None and (self._first_skipped is None or first < self._first_skipped):
            self._first_skipped = first

    def dump(self) -> bytes:
        """All of it, in at most `STATE_BYTES`."""
        state = [self._skipped, self._first_skipped, self._accumulator.dump()]
        return bytes(msgpack.packb(state))

    @classmethod
    def parse(cls, reducer: Reducer, state: bytes | None) -> "Reduction":
        """Read what `dump` gave; nothing was reduced yet if that is None.

        Raises:
            one of `UNPARSABLE`: it is no such thing.
        """
        found = cls(reducer)
        if state is None:
            return found
        try:
            found._skipped, found._first_skipped, raw = msgpack.unpackb(state)
        except msgpack.UnpackException as error:
            raise ValueError(f"a reducer's state cannot be read: {error}") from None
        found._accumulator.load(raw)
        return found

    def show(self) -> JsonObject:
        """What it has come to, as JSON data."""
        return {
            "value": self._accumulator.value(),
            "skipped": {"count": self._skipped, "first_index": self._first_skipped},
            "overflow": self._accumulator.overflow,
        }


def merge(reducer: Reducer, states: Iterable[bytes | None]) -> Reduction:
    """What a reducer has come to over batches, by its state in each.

    Raises:
        one of `UNPARSABLE`: a state is none.
    """
    total = Reduction(reducer)
    for state in states:
        total.merge(Reduction.parse(reducer, state))
    return total


class BatchReductions:
    """The reductions of one batch, continued from what earlier epochs have stored."""

    def __init__(self, reducers: Mapping[str, Reducer], stored: Mapping[str, bytes]) -> None:
        self._stored = dict(stored)
        self._reductions = {
            name: Reduction.parse(reducer, stored.get(name)) for name, reducer in reducers.items()
        }

    def __bool__(self) -> bool:
        return bool(self._reductions)

    def add(self, indices: Sequence[int], values: Sequence[Any]) -> dict[str, bytes]:
        """Take the values of items that succeeded; returns the states that changed by that."""
        for reduction in self._reductions.values():
            reduction.add(indices, values)
        states = {name: reduction.dump() for name, reduction in self._reductions.items()}
        changed = {name: state for name, state in states.items() if self._stored.get(name) != state}
        self._stored |= changed
        return changed
