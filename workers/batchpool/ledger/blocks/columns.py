"""Outcomes as columns: what is paid for every item is paid once, in C."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from batchpool.model import ExecutionSite, FailedAttempt, Outcome, RecordState, TaskError


class Columns(NamedTuple):
    """The outcomes of one block, at least one, sorted by index; each field as in `Outcome`."""

    indices: tuple[int, ...]
    states: tuple[RecordState, ...]
    values: tuple[Any, ...]
    errors: tuple[TaskError | None, ...]
    sites: tuple[ExecutionSite, ...]
    starts_ns: tuple[int, ...]
    walls_ns: tuple[int, ...]
    cpus_ns: tuple[int, ...]
    seen: tuple[int | float | None, ...]
    attempts: tuple[int, ...]
    tries: tuple[tuple[FailedAttempt, ...], ...]

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> "Columns":
        """The columns of these outcomes, in any order."""
        return cls(*zip(*sorted(outcomes, key=itemgetter(0)), strict=True))


def is_uniform(column: Sequence[object]) -> bool:
    """Whether all values are equal; they are compared by identity first."""
    return column.count(column[0]) == len(column)


def count_states(made: Columns) -> dict[RecordState, int]:
    """The number of outcomes by state."""
    return {state: made.states.count(state) for state in dict.fromkeys(made.states)}
