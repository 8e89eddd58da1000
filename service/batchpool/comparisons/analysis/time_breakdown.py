"""Where the time of one batch went, in seconds of its wall time.

A batch has L lanes. What happens in lanes is summed over them and divided by L, so that all parts
of a batch add up to its wall time; what they do not add up to is reported as `unaccounted`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import NamedTuple

PARTS = ("load", "startup", "dispatch", "cpu", "waiting", "contention", "idle", "close")
"""In the order in which they are shown; `unaccounted` comes after them."""

STARTS_PER_TASK = frozenset({"threading", "multiprocessing"})
"""Backends that start a thread or process per task: a lane between two tasks is starting one."""


@dataclass(frozen=True)
class PhaseTimes:
    """The moments of one batch, in seconds since its claim, and what came before that.

    `lag_s`: from the first claim of the job to the claim of this batch.
    """

    lag_s: float
    begin_s: float
    ready_s: float
    end_s: float


class TaskTime(NamedTuple):
    """What one task did with its time; waiting and contention are None while nobody knows."""

    start_s: float
    wall_s: float
    cpu_s: float
    waiting_s: float | None
    contention_s: float | None

    @property
    def end_s(self) -> float:
        return self.start_s + self.wall_s


@dataclass(frozen=True)
class Idle:
    """Lane-seconds without a task: while items waited, and after the last one was taken."""

    before_s: float
    after_s: float


def split_task_time(
    start_s: float, wall_s: float, cpu_s: float, alone: tuple[float, float] | None
) -> TaskTime:
    """Split one task's time.

    It waits for what the same task waits for when it runs alone, and no longer than it was
    without a CPU here; beyond that something else held it up: a lock, the GIL, other tasks.
    """
    off_cpu_s = max(0.0, wall_s - cpu_s)
    if alone is None:
        return TaskTime(start_s, wall_s, cpu_s, None, None)
    waits_alone_s = max(0.0, alone[0] - alone[1])
    waiting_s = min(off_cpu_s, waits_alone_s)
    return TaskTime(start_s, wall_s, cpu_s, waiting_s, max(0.0, off_cpu_s - waits_alone_s))


def time_breakdown(
    wall_s: float, stamps: PhaseTimes, lanes: int, backend: str, tasks: Sequence[TaskTime]
) -> dict[str, float | None]:
    """The parts of a run whose slowest batch has these tasks.

    Args:
        wall_s: of the run, which ends with that batch.
        lanes: how many tasks the batch could have in flight.
    """
    last_s = max((task.end_s for task in tasks), default=stamps.ready_s)
    idle = idle_lanes(tasks, lanes, stamps.ready_s, last_s)
    is_starting = backend in STARTS_PER_TASK
    before_s, after_s = idle.before_s / lanes, idle.after_s / lanes
    startup_s = stamps.ready_s - stamps.begin_s
    parts: dict[str, float | None] = {
        "load": stamps.lag_s + stamps.begin_s,
        "startup": startup_s + before_s if is_starting else startup_s,
        "dispatch": 0.0 if is_starting else before_s,
        "cpu": sum(task.cpu_s for task in tasks) / lanes,
        "waiting": _per_lane((task.waiting_s for task in tasks), lanes),
        "contention": _per_lane((task.contention_s for task in tasks), lanes),
        "idle": after_s,
        "close": max(0.0, stamps.end_s - last_s),
    }
    known = [part for part in parts.values() if part is not None]
    parts["unaccounted"] = wall_s - sum(known) if len(known) == len(parts) else None
    return parts


def idle_lanes(tasks: Sequence[TaskTime], lanes: int, from_s: float, to_s: float) -> Idle:
    """How long lanes had no task between two moments."""
    last_start_s = max((task.start_s for task in tasks), default=from_s)
    before_s = after_s = 0.0
    cuts = ((from_s, 0), (last_start_s, 0), (to_s, 0))
    for start_s, end_s, flying in _spans(tasks, cuts):
        span_s = max(0.0, min(end_s, to_s) - max(start_s, from_s))
        free_s = max(0, lanes - flying) * span_s
        if start_s < last_start_s:
            before_s += free_s
        else:
            after_s += free_s
    return Idle(before_s, after_s)


def most_in_flight(tasks: Iterable[TaskTime]) -> int:
    """How many tasks were under way at once, at most."""
    return max((flying for _, _, flying in _spans(list(tasks), ())), default=0)


def medians(tasks: Sequence[TaskTime]) -> Mapping[str, float | None]:
    """The median over tasks of each thing that a task spends its time on."""
    return {
        "wall": _median(task.wall_s for task in tasks),
        "cpu": _median(task.cpu_s for task in tasks),
        "waiting": _median(task.waiting_s for task in tasks),
        "contention": _median(task.contention_s for task in tasks),
    }


def _spans(
    tasks: Sequence[TaskTime], cuts: Sequence[tuple[float, int]]
) -> Iterator[tuple[float, float, int]]:
    """Stretches of time in which the number of tasks under way does not change, with it."""
    steps = [*cuts, *((task.start_s, 1) for task in tasks), *((task.end_s, -1) for task in tasks)]
    # At one moment ends come before starts: a lane that goes on at once is one lane, not two.
    steps.sort()
    flying = 0
    for (start_s, step), (end_s, _) in pairwise(steps):
        flying += step
        yield start_s, end_s, flying


def total(numbers: Iterable[float | None]) -> float | None:
    """Their sum; None if one of them is unknown."""
    known = list(numbers)
    return None if None in known else sum(number for number in known if number is not None)


def _per_lane(numbers: Iterable[float | None], lanes: int) -> float | None:
    added = total(numbers)
    return None if added is None else added / lanes


def _median(numbers: Iterable[float | None]) -> float | None:
    known = list(numbers)
    if not known or None in known:
        return None
    return median(number for number in known if number is not None)
