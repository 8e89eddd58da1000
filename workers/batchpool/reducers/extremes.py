"""`min`, `max` and `top`: numbers with the indices of their items, the lowest index on a tie."""

from collections.abc import Sequence
from json import dumps, loads
from typing import Any, Self

from batchpool.json_value import JsonObject
from batchpool.reducers.accumulator import Accumulator
from batchpool.reducers.reducer import Reducer

Found = tuple[int | float, int]
"""A number and the index of its item."""


class Min(Accumulator):
    """The least number."""

    def __init__(self, reducer: Reducer) -> None:
        super().__init__(reducer)
        self._found: Found | None = None

    def add(self, indices: Sequence[int], values: Sequence[Any]) -> None:
        best = self._best(values)
        self._offer((best, indices[values.index(best)]))

    def merge(self, other: Self) -> None:
        if other._found is not None:
            self._offer(other._found)

    def _best(self, values: Sequence[Any]) -> Any:
        return min(values)

    def _offer(self, found: Found) -> None:
        mine = self._found
        if mine is None or (found[0] == mine[0] and found[1] < mine[1]):
            self._found = found
        elif self._best((found[0], mine[0])) != mine[0]:
            self._found = found

    def dump(self) -> Any:
        return dumps(self._found)

    def load(self, raw: Any) -> None:
        found = loads(raw)
        self._found = None if found is None else _pair(found)

    def value(self) -> Any:
        return None if self._found is None else _shown(self._found)


class Max(Min):
    """The greatest number."""

    def _best(self, values: Sequence[Any]) -> Any:
        return max(values)


class Top(Accumulator):
    """The `k` greatest numbers, the greatest first.

    Its integers are short, so that the state is bounded whatever `k` is.
    """

    most = 10**40

    def __init__(self, reducer: Reducer) -> None:
        super().__init__(reducer)
        assert reducer.k is not None
        self._k = reducer.k
        self._found: list[Found] = []

    def add(self, indices: Sequence[int], values: Sequence[Any]) -> None:
        if len(self._found) < self._k:
            self._keep(zip(values, indices, strict=True))
            return
        # Not less: an equal one may be of an earlier item.
        least = self._found[-1][0]
        self._keep(pair for pair in zip(values, indices, strict=True) if pair[0] >= least)

    def merge(self, other: Self) -> None:
        self._keep(other._found)

    def _keep(self, more: Any) -> None:
        self._found = sorted([*self._found, *more], key=_rank)[: self._k]

    def dump(self) -> Any:
        return dumps(self._found, separators=(",", ":"))

    def load(self, raw: Any) -> None:
        self._found = [_pair(found) for found in loads(raw)]

    def value(self) -> Any:
        return [_shown(found) for found in self._found]


def _rank(found: Found) -> tuple[int | float, int]:
    return -found[0], found[1]


def _pair(raw: Any) -> Found:
    number, index = raw
    if type(number) not in (int, float):
        raise ValueError(f"{number!r} is no number")
    return number, int(index)


def _shown(found: Found) -> JsonObject:
    return {"value": found[0], "index": found[1]}
