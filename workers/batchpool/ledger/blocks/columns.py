"""Outcomes as columns: what is paid for every item is paid once, in C."""

from collections.abc import Iterable, Sequence
from itertools import chain, compress
from typing import Any, NamedTuple

from batchpool.model import ExecutionSite, FailedAttempt, Outcome, RecordState, TaskError


class Columns(NamedTuple):
    """The outcomes of one block, at least one, sorted by index; each field as in `Outcome`."""

    indices: Sequence[int]
    states: Sequence[RecordState]
    values: Sequence[Any]
    errors: Sequence[TaskError | None]
    sites: Sequence[ExecutionSite]
    starts_ns: Sequence[int]
    walls_ns: Sequence[int]
    cpus_ns: Sequence[int]
    seen: Sequence[int | float | None]
    attempts: Sequence[int]
    tries: Sequence[tuple[FailedAttempt, ...]]

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> "Columns":
        """The columns of these outcomes, in any order."""
        return cls.of_fields(list(chain.from_iterable(outcomes)))

    @classmethod
    def of_fields(cls, fields: list[Any]) -> "Columns":
        """The same of outcomes that lie flat, field after field."""
        columns = [fields[at :: len(cls._fields)] for at in range(len(cls._fields))]
        indices = columns[0]
        if indices != list(range(indices[0], indices[0] + len(indices))):
            order = sorted(range(len(indices)), key=indices.__getitem__)
            columns = [list(map(column.__getitem__, order)) for column in columns]
        return cls(*columns)

    def succeeded(self) -> tuple[Sequence[int], Sequence[Any]]:
        """The indices and values of the items that succeeded."""
        if self.states.count("succeeded") == len(self.states):
            return self.indices, self.values
        chosen = [state == "succeeded" for state in self.states]
        return list(compress(self.indices, chosen)), list(compress(self.values, chosen))


def is_uniform(column: Sequence[object]) -> bool:
    """Whether all values are equal; they are compared by identity first."""
    return column.count(column[0]) == len(column)


def count_states(made: Columns) -> dict[RecordState, int]:
    """The number of outcomes by state."""
    return {state: made.states.count(state) for state in dict.fromkeys(made.states)}
