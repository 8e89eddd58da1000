"""`histogram`: how many numbers lie in each bin, below the first one and above the last."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from functools import partial
from operator import add
from typing import Any, Self

from batchpool.reducers.accumulator import Accumulator
from batchpool.reducers.reducer import Reducer


class Histogram(Accumulator):
    """A bin has its lower bound and not its upper one; the last bin has both."""

    def __init__(self, reducer: Reducer) -> None:
        super().__init__(reducer)
        self._edges = reducer.edges()
        # [below, the bins ..., above]
        self._counts = [0] * (len(self._edges) + 1)

    def add(self, indices: Sequence[int], values: Sequence[Any]) -> None:
        for place, count in Counter(map(partial(bisect_right, self._edges), values)).items():
            self._counts[place] += count
        on_last_edge = values.count(self._edges[-1])
        self._counts[-1] -= on_last_edge
        self._counts[-2] += on_last_edge

    def merge(self, other: Self) -> None:
        self._counts = list(map(add, self._counts, other._counts))

    def dump(self) -> Any:
        return self._counts

    def load(self, raw: Any) -> None:
        if len(raw) != len(self._counts):
            raise ValueError(f"{len(raw)} counts for {len(self._counts)} places")
        self._counts = [int(count) for count in raw]

    def value(self) -> Any:
        below, *counts, above = self._counts
        return {"bounds": self._edges, "counts": counts, "below": below, "above": above}
