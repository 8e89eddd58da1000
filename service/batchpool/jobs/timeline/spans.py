"""Spans as columns: when the items of one place ran, 45 bytes each."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from batchpool.ledger.blocks.record_codec import BlockTimes

NO_SUM = float("nan")


TYPECODES = "IqqqBBId"


@dataclass
class Spans:
    """One entry of each column per item; times are nanoseconds since the job was submitted.

    `state` is a position in RECORD_STATES, `claim` the number of the epoch that ran the item, and
    `seen` the shared sum that it saw; NaN where it has none, and empty if the job has none.
    """

    index: "array[int]"
    start: "array[int]"
    wall: "array[int]"
    cpu: "array[int]"
    state: "array[int]"
    attempt: "array[int]"
    claim: "array[int]"
    seen: "array[float]"

    @classmethod
    def empty(cls) -> "Spans":
        columns: list[array[Any]] = [array(code) for code in TYPECODES]
        return cls(*columns)

    @classmethod
    def of(cls, times: BlockTimes, claim: int, origin_ns: int, with_sums: bool) -> "Spans":
        """The spans of a block whose epoch began at `origin_ns`."""
        count = len(times.indices)
        seen: array[float] = array("d")
        if with_sums:
            given = times.seen or [None] * count
            seen.extend(NO_SUM if value is None else float(value) for value in given)
        attempts = array("B", bytes([1]) * count)
        for at, attempt in times.attempts.items():
            attempts[at] = min(attempt, 255)
        return cls(
            index=times.indices,
            start=array("q", map(origin_ns.__add__, times.starts)),
            wall=times.walls,
            cpu=times.cpus,
            state=array("B", times.states),
            attempt=attempts,
            claim=array("I", [claim]) * count,
            seen=seen,
        )

    def __len__(self) -> int:
        return len(self.index)

    def extend(self, other: "Spans") -> None:
        for mine, theirs in zip(self._columns(), other._columns(), strict=True):
            mine.extend(theirs)

    def ordered_by(self, ranks: Sequence[int]) -> "Spans":
        """The same, sorted by `ranks`, one per item; equal ones stay in order."""
        return self.at(sorted(range(len(self)), key=ranks.__getitem__))

    def at(self, positions: Sequence[int]) -> "Spans":
        """The spans at these positions, in their order."""
        # `seen` is empty, or as long as the others.
        return Spans(
            *(
                array(column.typecode, map(column.__getitem__, positions) if column else ())
                for column in self._columns()
            )
        )

    def split_by(self, ranks: Sequence[int]) -> Iterator[tuple[int, "Spans"]]:
        """Rank -> the spans that have it, in order."""
        first = 0
        ordered = self.ordered_by(ranks)
        for rank, last in _ends_of_runs(sorted(ranks)):
            yield rank, ordered.part(first, last)
            first = last

    def part(self, first: int, last: int) -> "Spans":
        return Spans(*(column[first:last] for column in self._columns()))

    def _columns(self) -> "Iterable[array[Any]]":
        return (getattr(self, each.name) for each in fields(self))


def _ends_of_runs(ordered: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Each value of a sorted sequence with the position after its last one."""
    at = 0
    while at < len(ordered):
        value, at = ordered[at], bisect_right(ordered, ordered[at], at)
        yield value, at
